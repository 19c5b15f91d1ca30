"""Search: write the translation of a source, token by token.

Greedy search takes the likeliest token each time. Beam search keeps several
hypotheses, because the best sentence may begin with an unlikely word.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from minitransformer.runs.compilation import compiled
from minitransformer.runs.given import at_least, rate, whole
from minitransformer.writing.generation import checked_ids

LARGEST = 2**29  # log-probabilities that compete per token: 2 GiB
IMPOSSIBLE = -1e9  # stands for the log-probability of 0, and is finite


class Beam(NamedTuple):
    """What a search carries from one token to the next.

    Greedy search has one hypothesis per source, so its arrays have no axis
    for the beam. It leaves out the last two.
    """

    t: tf.Tensor  # number of tokens written
    ids: tf.Tensor  # (batch, beam, max_len): the hypotheses
    token: tf.Tensor  # (batch, beam): the last token of each
    ended: tf.Tensor  # (batch, beam): whether the hypothesis has ended
    state: Any  # of the model, (batch · beam, …)
    total: Any = ()  # (batch, beam): sums of log-probabilities
    length: Any = ()  # (batch, beam): number of tokens with the end


def greedy_search(
    model: keras.Model,
    source_ids: ArrayLike,
    *,
    max_len: int,
    use_xla: bool = True,
) -> np.ndarray:
    """Translate by taking the likeliest token each time.

    Args:
        model: Has `start`, `step` and `config`, such as a `Transformer` or
            an `LSTMSeq2Seq`.
        source_ids: Integers `(batch, source)`, with padding at the end.
        max_len: The greatest number of tokens to write, with the end.
        use_xla: Whether XLA compiles, where TensorFlow has it.

    Returns:
        NumPy int32 `(batch, max_len)`: the translations, without `bos_id`,
        and `pad_id` after their `eos_id`.

    Raises:
        TypeError, ValueError: if an argument makes no sense.
    """
    max_len = whole("max_len", max_len)
    source = checked_source(model, source_ids, max_len)
    return compiled(write_greedily, use_xla)(model, source, max_len).numpy()


def write_greedily(
    model: keras.Model, source_ids: tf.Tensor, max_len: int
) -> tf.Tensor:
    """Search greedily, in one compiled program."""
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
    """Translate by keeping the best `beam_size` hypotheses.

        score(y) = log P(y | source) / penalty(|y|)
        penalty(n) = ((5 + n) / 6) ^ length_penalty

    Args:
        model, source_ids, max_len, use_xla: Same as in `greedy_search`.
        beam_size: Number of hypotheses per source; 1 is greedy search.
        length_penalty: 0 compares sums of log-probabilities, which favours
            short translations; larger values, below 10, favour long ones.

    Returns:
        ids: NumPy int32 `(batch, max_len)`, the best translations, in the
            form of `greedy_search`.
        scores: NumPy float32 `(batch,)`, their scores. A translation that
            has not ended within `max_len` counts as it is.

    Raises:
        TypeError, ValueError: Same as in `greedy_search`.

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
    length_penalty = rate("length_penalty", length_penalty, below=10)
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
    """Search with a beam, in one compiled program."""
    config, batch = model.config, source_ids.shape[0]

    def penalty(length):
        return ((5 + tf.cast(length, tf.float32)) / 6) ** length_penalty

    def unfinished(beam):
        # More tokens never raise a total: this is the best that can come.
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
        # An ended hypothesis continues with padding, which costs nothing.
        padding = tf.one_hot(config.pad_id, vocab_size, 0.0, IMPOSSIBLE)
        gain = tf.where(ended[..., None], padding, gain)
        totals = total[..., None] + gain  # (batch, beam, vocab_size)
        length += tf.cast(~ended, tf.int32)
        ranked = totals / penalty(length)[..., None]

        # All continuations of all hypotheses compete.
        flat = batch, beam_size * vocab_size
        best = tf.math.top_k(tf.reshape(ranked, flat), beam_size).indices
        parent, token = best // vocab_size, best % vocab_size

        def follow(values):  # (batch, beam, …): take the parents' values
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
    # All hypotheses begin alike, so only the first one may count.
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
    """Return the size of the source's or the target's vocabulary."""
    name = f"{side}_vocab_size"
    return getattr(config, name, getattr(config, "vocab_size", 0))


def checked_source(
    model: keras.Model, source_ids: ArrayLike, max_len: int
) -> tf.Tensor:
    """Check sources and `max_len`; return the sources as a tensor."""
    vocab_size = vocabulary(model.config, "source")
    source = checked_ids("source_ids", source_ids, vocab_size)
    longest = getattr(model.config, "max_len", max_len)
    if not 1 <= max_len <= longest:
        raise ValueError(f"max_len={max_len}: give 1 to {longest}.")
    return tf.constant(source)
