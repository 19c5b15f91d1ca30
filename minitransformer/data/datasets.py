"""Datasets: from one long row of token ids to batches.

A batch depends only on the seed and on its number, so a training that was
stopped can resume with exactly the batches it would have seen.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from minitransformer.data.objectives import Batch, next_token
from minitransformer.runs.given import at_least


def random_windows(
    token_ids: np.ndarray,
    *,
    seq_len: int,
    batch_size: int,
    seed: int,
    first: int = 0,
) -> tf.data.Dataset:
    """Draw endless training batches: windows at random places.

    Args:
        token_ids: Integers `(tokens,)`.
        seq_len: Number of inputs in a window.
        batch_size: Number of windows in a batch.
        seed: Integer; the same seed gives the same batches.
        first: Number of the first batch. Batch n is the same, wherever the
            dataset starts.

    Returns:
        A `tf.data.Dataset` of `Batch`es of `(batch, seq_len)`.

    Raises:
        TypeError, ValueError: if a number is out of range, the text is no
            row of ids, or it is shorter than one window.
    """
    seq_len, batch_size = at_least(
        1, seq_len=seq_len, batch_size=batch_size
    )
    seed, first = at_least(0, seed=seed, first=first)
    token_ids = one_row(token_ids)
    places = len(token_ids) - seq_len
    if places < 1:
        raise ValueError(
            f"The text has {len(token_ids)} tokens for training, fewer "
            f"than one window of {seq_len} + 1: use a longer text or a "
            "smaller max_len."
        )
    tokens = tf.constant(token_ids, tf.int32)

    def batch(number):
        offsets = tf.random.stateless_uniform(
            (batch_size, 1),
            seed=(seed, number),
            maxval=places,
            dtype=tf.int64,
        )
        index = offsets + tf.range(seq_len + 1, dtype=tf.int64)
        return next_token(tf.gather(tokens, index))

    # Single-threaded: each batch is cheap, and the cores train.
    return tf.data.Dataset.counter(first).map(batch)


def one_row(token_ids: Any) -> np.ndarray:
    """Take the ids of a text, `(tokens,)`; refuse what would be cut off."""
    ids = np.asarray(token_ids)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise ValueError(
            f"token_ids is an array {ids.shape} of {ids.dtype}: give "
            "integers of shape (tokens,)."
        )
    if ids.size and not 0 <= ids.min() <= ids.max() < 2**31:
        raise ValueError(
            f"token_ids are from {ids.min()} to {ids.max()}: give integers "
            "of at least 0, below 2³¹."
        )
    return ids.astype("int32", copy=False)


def consecutive_windows(
    token_ids: np.ndarray, *, seq_len: int, batch_size: int
) -> tf.data.Dataset:
    """Cut the whole text into windows that do not overlap.

    Every token except the first is a target exactly once. Padding of weight
    0 completes the last window and the last batch.

    Args:
        token_ids: Integers `(tokens,)`, at least 2.
        seq_len, batch_size: Same as in `random_windows`.

    Returns:
        A `tf.data.Dataset` of `Batch`es of `(batch, seq_len)`.

    Raises:
        TypeError, ValueError: Same as in `random_windows`.
    """
    seq_len, batch_size = at_least(
        1, seq_len=seq_len, batch_size=batch_size
    )
    token_ids = one_row(token_ids)
    targets = len(token_ids) - 1
    if targets < 1:
        raise ValueError(
            f"The text has {len(token_ids)} tokens for validation, and at "
            "least 2 are needed. Use a longer text."
        )
    windows = -(-targets // seq_len)
    batches = -(-windows // batch_size)
    shape = (batches * batch_size, seq_len)

    def cut(row):
        padded = np.pad(row, (0, shape[0] * shape[1] - len(row)))
        return padded.reshape(shape)

    weights = np.ones(targets, "float32")
    rows = Batch(cut(token_ids[:-1]), cut(token_ids[1:]), cut(weights))
    return tf.data.Dataset.from_tensor_slices(rows).batch(batch_size)
