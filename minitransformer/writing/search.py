"""Search: write the translation of a source, token by token.

Greedy search takes the likeliest token each time. Beam search keeps several
beginnings, for the likeliest sentence need not begin with the likeliest
word.
"""

import numpy as np
import tensorflow as tf

from minitransformer.runs.compilation import compiled

IMPOSSIBLE = -1e9  # a log-probability that no sum makes likely again


def greedy_search(model, source_ids, *, max_len, use_xla=True):
    """Translate by taking the likeliest token each time.

    Args:
        model: Has `start`, `step` and `config`, as `Transformer` and
            `LSTMSeq2Seq` have them.
        source_ids: Integers `(batch, source)`, padded behind.
        max_len: The most tokens to write, the end included.
        use_xla: Whether XLA compiles, where TensorFlow has it.

    Returns:
        NumPy int32 `(batch, max_len)`: the translations, without the
        beginning, filled up with `pad_id` behind their `eos_id`.

    Raises:
        ValueError: if the source is empty or has ids outside the
            vocabulary, or `max_len` is out of its range.
    """
    source = check(model, source_ids, max_len)
    return compiled(write_greedily, use_xla)(model, source, max_len).numpy()


def write_greedily(model, source_ids, max_len):
    """Do what `greedy_search` does, in one compiled program."""
    config, batch = model.config, source_ids.shape[0]

    def go_on(t, ids, token, ended, state):
        return (t < max_len) & ~tf.reduce_all(ended)

    def one_token(t, ids, token, ended, state):
        logits, state = model.step(token, state, t)
        token = tf.argmax(logits, axis=-1, output_type=tf.int32)
        token = tf.where(ended, config.pad_id, token)
        ended = ended | (token == config.eos_id)
        here = tf.range(max_len) == t
        ids = tf.where(here, token[:, None], ids)
        return t + 1, ids, token, ended, state

    return tf.while_loop(
        go_on,
        one_token,
        (
            tf.constant(0),
            tf.fill((batch, max_len), config.pad_id),
            tf.fill((batch,), config.bos_id),
            tf.zeros(batch, tf.bool),
            model.start(source_ids, max_len),
        ),
    )[1]


def beam_search(
    model,
    source_ids,
    *,
    beam_size,
    max_len,
    length_penalty=0.6,
    use_xla=True,
):
    """Translate by keeping the best beginnings, several at a time.

        score(y) = log P(y | source) / penalty(|y|)
        penalty(n) = ((5 + n) / 6) ^ length_penalty

    Args:
        model, source_ids, max_len, use_xla: As for `greedy_search`.
        beam_size: How many beginnings are kept; 1 is greedy search.
        length_penalty: 0 compares sums of log-probabilities, which favours
            the short; more favours the long.

    Returns:
        ids: NumPy int32 `(batch, max_len)`, the best translation each, as
            from `greedy_search`.
        scores: NumPy float32 `(batch,)`, theirs. A translation that has not
            ended within `max_len` counts as it is.

    Raises:
        ValueError: as `greedy_search`, or if an option is out of its range.

    References:
        Vaswani et al. 2017, §6.1; Wu et al. 2016, equation 14, without
        its coverage penalty.
    """
    source = check(model, source_ids, max_len)
    if beam_size < 1:
        raise ValueError(f"beam_size={beam_size}: give at least 1.")
    if not length_penalty >= 0:
        raise ValueError(
            f"length_penalty={length_penalty}: give 0 or more."
        )
    ids, scores = compiled(keep_the_best, use_xla)(
        model, source, beam_size, max_len, float(length_penalty)
    )
    return ids.numpy(), scores.numpy()


def keep_the_best(model, source_ids, beam_size, max_len, length_penalty):
    """Do what `beam_search` does, in one compiled program."""
    config, batch = model.config, source_ids.shape[0]

    def penalty(length):
        return ((5 + tf.cast(length, tf.float32)) / 6) ** length_penalty

    def go_on(t, ids, token, total, length, ended, state):
        # No token adds to a log-probability: the best to hope for is this.
        hope = tf.where(ended, IMPOSSIBLE, total / penalty(max_len))
        best = tf.where(ended, total / penalty(length), IMPOSSIBLE)
        better = tf.reduce_max(hope, axis=1) > tf.reduce_max(best, axis=1)
        return (t < max_len) & tf.reduce_any(better)

    def one_token(t, ids, token, total, length, ended, state):
        logits, state = model.step(tf.reshape(token, [-1]), state, t)
        vocab_size = logits.shape[-1]
        more = tf.nn.log_softmax(tf.cast(logits, tf.float32))
        more = tf.reshape(more, (batch, beam_size, vocab_size))
        # What has ended goes on with padding, which costs nothing.
        padding = tf.range(vocab_size) == config.pad_id
        nothing = tf.where(padding, 0.0, IMPOSSIBLE)
        more = tf.where(ended[..., None], nothing, more)
        totals = total[..., None] + more  # (batch, beam, vocab_size)
        length += tf.cast(~ended, tf.int32)
        ranked = totals / penalty(length)[..., None]

        # All continuations of all beginnings compete.
        best = tf.math.top_k(
            tf.reshape(ranked, (batch, -1)), beam_size
        ).indices
        parent, token = best // vocab_size, best % vocab_size

        def follow(values):  # (batch, beam, …): each takes its parent's
            return tf.gather(values, parent, batch_dims=1)

        total = tf.gather(
            tf.reshape(totals, (batch, -1)), best, batch_dims=1
        )
        here = tf.range(max_len) == t
        ids = tf.where(here, token[..., None], follow(ids))
        ended = follow(ended) | (token == config.eos_id)
        rows = tf.range(batch)[:, None] * beam_size + parent
        state = tf.nest.map_structure(
            lambda part: tf.gather(part, tf.reshape(rows, [-1])), state
        )
        return t + 1, ids, token, total, follow(length), ended, state

    shape = (batch, beam_size)
    # All begin alike: the first stands for them.
    total = tf.where(tf.range(beam_size) == 0, 0.0, IMPOSSIBLE)
    _, ids, _, total, length, _, _ = tf.while_loop(
        go_on,
        one_token,
        (
            tf.constant(0),
            tf.fill((*shape, max_len), config.pad_id),
            tf.fill(shape, config.bos_id),
            tf.broadcast_to(total, shape),
            tf.zeros(shape, tf.int32),
            tf.zeros(shape, tf.bool),
            tf.nest.map_structure(
                lambda part: tf.repeat(part, beam_size, axis=0),
                model.start(source_ids, max_len),
            ),
        ),
    )
    return ids[:, 0], total[:, 0] / penalty(length[:, 0])


def check(model, source_ids, max_len):
    """Refuse what cannot be translated, in a sentence."""
    source = np.asarray(source_ids)
    if source.ndim != 2 or not source.size:
        raise ValueError(
            f"source_ids has shape {source.shape}: give (batch, source) "
            "with at least one token in each row."
        )
    config = model.config
    vocab_size = getattr(
        config, "source_vocab_size", getattr(config, "vocab_size", None)
    )
    if source.min() < 0 or source.max() >= vocab_size:
        raise ValueError(
            f"source_ids must lie in 0 … {vocab_size - 1}: they were made "
            "by another tokenizer."
        )
    longest = getattr(config, "max_len", max_len)
    if not 1 <= max_len <= longest:
        raise ValueError(f"max_len={max_len}: give 1 to {longest}.")
    return tf.constant(source, tf.int32)
