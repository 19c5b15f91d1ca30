"""Search: write the translation of a source, token by token.

Greedy search takes the likeliest token each time. Beam search keeps several
hypotheses, for the likeliest sentence need not begin with the likeliest
word.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from minitransformer.runs.compilation import compiled
from minitransformer.runs.given import at_least, rate, whole

LARGEST = 2**29  # log-probabilities to compare at a time: 2 GiB
IMPOSSIBLE = -1e9  # a log-probability that no sum makes likely again


class Beam(NamedTuple):
    """What a search carries from one token to the next.

    Greedy search has a single hypothesis for each source, and no axis for
    it. It leaves out the last two.
    """

    t: tf.Tensor  # how many tokens are written
    ids: tf.Tensor  # (batch, beam, max_len): the hypotheses
    token: tf.Tensor  # (batch, beam): the last token of each
    ended: tf.Tensor  # (batch, beam): whether that was their end
    state: Any  # the model's own, (batch · beam, …)
    total: Any = ()  # (batch, beam): sums of log-probabilities
    length: Any = ()  # (batch, beam): number of tokens, the end included


def greedy_search(
    model: keras.Model,
    source_ids: ArrayLike,
    *,
    max_len: int,
    use_xla: bool = True,
) -> np.ndarray:
    """Translate by taking the likeliest token each time.

    Args:
        model: Has `start`, `step` and `config`, as `Transformer` and
            `LSTMSeq2Seq` have them.
        source_ids: Integers `(batch, source)`, padded behind.
        max_len: The most tokens to write, the end included.
        use_xla: Whether XLA compiles, where TensorFlow has it.

    Returns:
        NumPy int32 `(batch, max_len)`: the translations, without `bos_id`,
        with `pad_id` behind their `eos_id`.

    Raises:
        TypeError: if `max_len` is no integer.
        ValueError: if the source is empty or has ids outside the
            vocabulary, or `max_len` is out of its range.
    """
    max_len = whole("max_len", max_len)
    source = checked_source(model, source_ids, max_len)
    return compiled(write_greedily, use_xla)(model, source, max_len).numpy()


def write_greedily(
    model: keras.Model, source_ids: tf.Tensor, max_len: int
) -> tf.Tensor:
    """Do what `greedy_search` does, in one compiled program."""
    config, batch = model.config, source_ids.shape[0]

    def unfinished(beam):
        return (beam.t < max_len) & ~tf.reduce_all(beam.ended)

    def append_token(beam):
        t, ids, token, ended, state, *_ = beam
        logits, state = model.step(token, state, t)
        token = tf.argmax(logits, axis=-1, output_type=tf.int32)
        token = tf.where(ended, config.pad_id, token)
        ended = ended | (token == config.eos_id)
        here = tf.range(max_len) == t
        ids = tf.where(here, token[:, None], ids)
        return [Beam(t + 1, ids, token, ended, state)]

    first = Beam(
        t=tf.constant(0),
        ids=tf.fill((batch, max_len), config.pad_id),
        token=tf.fill((batch,), config.bos_id),
        ended=tf.zeros(batch, tf.bool),
        state=model.start(source_ids, max_len),
    )
    return tf.while_loop(unfinished, append_token, [first])[0].ids


def beam_search(
    model: keras.Model,
    source_ids: ArrayLike,
    *,
    beam_size: int,
    max_len: int,
    length_penalty: float = 0.6,
    use_xla: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Translate by keeping the best hypotheses, several at a time.

        score(y) = log P(y | source) / penalty(|y|)
        penalty(n) = ((5 + n) / 6) ^ length_penalty

    Args:
        model, source_ids, max_len, use_xla: Same as in `greedy_search`.
        beam_size: How many hypotheses are kept; 1 is greedy search.
        length_penalty: 0 compares sums of log-probabilities, which favours
            short translations; larger values favour long ones.

    Returns:
        ids: NumPy int32 `(batch, max_len)`, the best translation each, as
            from `greedy_search`.
        scores: NumPy float32 `(batch,)`, theirs. A translation that has not
            ended within `max_len` counts as it is.

    Raises:
        TypeError: if a size is no integer.
        ValueError: as `greedy_search`, or if an option is out of its range.

    References:
        Vaswani et al. 2017, §6.1; Wu et al. 2016, equation 14, without
        its coverage penalty.
    """
    max_len, beam_size = at_least(1, max_len=max_len, beam_size=beam_size)
    source = checked_source(model, source_ids, max_len)
    numbers = len(source) * beam_size * vocabulary(model.config, "target")
    if numbers > LARGEST:
        raise ValueError(
            f"beam_size={beam_size:,} for {len(source):,} sources needs "
            f"{4 * numbers / 2**30:,.0f} GiB per token: give a smaller one."
        )
    length_penalty = rate("length_penalty", length_penalty)
    ids, scores = compiled(keep_the_best, use_xla)(
        model, source, beam_size, max_len, length_penalty
    )
    return ids.numpy(), scores.numpy()


def keep_the_best(
    model: keras.Model,
    source_ids: tf.Tensor,
    beam_size: int,
    max_len: int,
    length_penalty: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Do what `beam_search` does, in one compiled program."""
    config, batch = model.config, source_ids.shape[0]

    def penalty(length):
        return ((5 + tf.cast(length, tf.float32)) / 6) ** length_penalty

    def unfinished(beam):
        # No token adds to a log-probability: the best to hope for is this.
        ended, total = beam.ended, beam.total
        hope = tf.where(ended, IMPOSSIBLE, total / penalty(max_len))
        best = tf.where(ended, total / penalty(beam.length), IMPOSSIBLE)
        better = tf.reduce_max(hope, axis=1) > tf.reduce_max(best, axis=1)
        return (beam.t < max_len) & tf.reduce_any(better)

    def append_token(beam):
        t, ids, token, ended, state, total, length = beam
        logits, state = model.step(tf.reshape(token, [-1]), state, t)
        vocab_size = logits.shape[-1]
        gain = tf.nn.log_softmax(tf.cast(logits, tf.float32))
        gain = tf.reshape(gain, (batch, beam_size, vocab_size))
        # What has ended goes on with padding, which costs nothing.
        padding = tf.one_hot(config.pad_id, vocab_size, 0.0, IMPOSSIBLE)
        gain = tf.where(ended[..., None], padding, gain)
        totals = total[..., None] + gain  # (batch, beam, vocab_size)
        length += tf.cast(~ended, tf.int32)
        ranked = totals / penalty(length)[..., None]

        # All continuations of all hypotheses compete.
        flat = batch, beam_size * vocab_size
        best = tf.math.top_k(tf.reshape(ranked, flat), beam_size).indices
        parent, token = best // vocab_size, best % vocab_size

        def follow(values):  # (batch, beam, …): each takes its parent's
            return tf.gather(values, parent, batch_dims=1)

        rows = tf.range(batch)[:, None] * beam_size + parent
        state = tf.nest.map_structure(
            lambda part: tf.gather(part, tf.reshape(rows, [-1])), state
        )
        here = tf.range(max_len) == t
        totals = tf.reshape(totals, flat)
        return [
            Beam(
                t + 1,
                ids=tf.where(here, token[..., None], follow(ids)),
                token=token,
                ended=follow(ended) | (token == config.eos_id),
                state=state,
                total=tf.gather(totals, best, batch_dims=1),
                length=follow(length),
            )
        ]

    shape = (batch, beam_size)
    # All hypotheses begin alike: the first one stands for them.
    total = tf.where(tf.range(beam_size) == 0, 0.0, IMPOSSIBLE)
    first = Beam(
        t=tf.constant(0),
        ids=tf.fill((*shape, max_len), config.pad_id),
        token=tf.fill(shape, config.bos_id),
        ended=tf.zeros(shape, tf.bool),
        state=tf.nest.map_structure(
            lambda part: tf.repeat(part, beam_size, axis=0),
            model.start(source_ids, max_len),
        ),
        total=tf.broadcast_to(total, shape),
        length=tf.zeros(shape, tf.int32),
    )
    [last] = tf.while_loop(unfinished, append_token, [first])
    return last.ids[:, 0], last.total[:, 0] / penalty(last.length[:, 0])


def vocabulary(config: Any, side: str) -> int:
    """Find the size of the source's or the target's vocabulary."""
    name = f"{side}_vocab_size"
    return getattr(config, name, getattr(config, "vocab_size", 0))


def checked_source(
    model: keras.Model, source_ids: ArrayLike, max_len: int
) -> tf.Tensor:
    """Refuse what cannot be translated; return the source as a tensor."""
    source, config = np.asarray(source_ids), model.config
    if source.ndim != 2 or not source.size:
        raise ValueError(
            f"source_ids has shape {source.shape}: give (batch, source) "
            "with at least one token in each row."
        )
    vocab_size = vocabulary(config, "source")
    if source.min() < 0 or source.max() >= vocab_size:
        raise ValueError(
            f"source_ids must lie in 0 … {vocab_size - 1}: they were made "
            "by another tokenizer."
        )
    longest = getattr(config, "max_len", max_len)
    if not 1 <= max_len <= longest:
        raise ValueError(f"max_len={max_len}: give 1 to {longest}.")
    return tf.constant(source, tf.int32)
