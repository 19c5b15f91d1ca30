"""Positions: attention ignores the order of tokens, so we add it.

Two layers add a vector per position: one from a formula, one from a learned
table. `rotate` rotates queries and keys instead.
"""

from operator import index
from typing import Any

import numpy as np
import tensorflow as tf
from keras import layers

from minitransformer.runs.given import at_least


def sinusoidal_positions(max_len: int, d_model: int) -> np.ndarray:
    """Compute a vector of waves for each position, from fast to slow.

        PE[pos, 2i]     = sin(pos / 10000^(2i / d_model))
        PE[pos, 2i + 1] = cos(pos / 10000^(2i / d_model))

    Args:
        max_len: Number of positions.
        d_model: Width; even.

    Returns:
        NumPy float32 `(max_len, d_model)`, sine and cosine interleaved.

    Raises:
        ValueError: if `d_model` is odd.

    Examples:
        >>> print(sinusoidal_positions(3, 2).round(2))
        [[ 0.    1.  ]
         [ 0.84  0.54]
         [ 0.91 -0.42]]

    References:
        Vaswani et al. 2017, §3.5. (The authors' code, tensor2tensor, puts
        all sines before all cosines.)
    """
    max_len, d_model = at_least(1, max_len=max_len, d_model=d_model)
    if d_model % 2:
        raise ValueError(
            f"d_model={d_model} is odd: sine and cosine come in pairs, so "
            f"use {d_model + 1}."
        )
    position = np.arange(max_len)[:, None]  # (max_len, 1)
    even = np.arange(0, d_model, 2)[None, :]  # 2i: (1, d_model / 2)
    angle = position / 10000 ** (even / d_model)
    # (max_len, d_model / 2, 2), read row by row: sin, cos, sin, cos, …
    pairs = np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    return pairs.reshape(max_len, d_model).astype("float32")


def take_start(start: Any, cache: Any) -> Any:
    """Return the first token's position as an int or an int32 tensor.

    Raises:
        ValueError: if it is not 0 and there is no cache.
    """
    known = tf.get_static_value(start)  # None while tracing a graph
    start = tf.cast(start, "int32") if known is None else index(known)
    if cache is None and not (known is not None and start == 0):
        raise ValueError(
            f"start={start} without a cache, so the earlier tokens are "
            "unknown: give an earlier call's cache, or leave start out."
        )
    return start


def not_beyond(start: Any, seq: Any, max_len: int) -> Any:
    """Check that positions start … start + seq - 1 are below max_len.

    Returns:
        0, to add to what is read or written there. Compiled code cannot
        raise an error; there it is NaN for a position out of range.

    Raises:
        ValueError: if a position is known to be out of range.
    """
    end = start + seq
    first, last = map(tf.get_static_value, (start, end))
    if last is None or first is None:  # while tracing a graph
        return tf.where((start >= 0) & (end <= max_len), 0.0, np.nan)
    if first < 0 or last > max_len:
        what = f"{last} tokens"
        if first:
            what = f"Positions {first} to {last - 1}"
        raise ValueError(
            f"{what}, but max_len={max_len}: cut the sequence, or make a "
            "model with a larger max_len."
        )
    return 0.0


def check_length(
    token_ids: tf.Tensor, max_len: int, start: Any = 0
) -> None:
    """Raise ValueError if ids are not `(batch, seq)`, or too long."""
    if len(token_ids.shape) != 2:
        raise ValueError(
            f"token ids have shape {tuple(token_ids.shape)}, expected "
            "(batch, seq). For one sequence, give [ids]."
        )
    if token_ids.shape[1] is not None:
        not_beyond(start, token_ids.shape[1], max_len)


def add_positions(x: tf.Tensor, table: tf.Tensor, start: int) -> tf.Tensor:
    """Add rows start, start + 1, … of a table to the vectors of `x`."""
    seq = tf.shape(x)[1] if x.shape[1] is None else x.shape[1]
    guard = tf.cast(not_beyond(start, seq, table.shape[0]), x.dtype)
    size = (seq, table.shape[1])
    return x + (tf.slice(tf.cast(table, x.dtype), (start, 0), size) + guard)


class SinusoidalPositions(layers.Layer):
    """Add the paper's waves, which are not learned.

    Args:
        max_len: Number of positions.
        d_model: Width; even.

    Call arguments:
        x: `(batch, seq, d_model)`.
        start: Position of the first vector; above 0 only with a cache.

    Returns:
        `(batch, seq, d_model)`.
    """

    def __init__(
        self, *, max_len: int, d_model: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.table = sinusoidal_positions(max_len, d_model)

    def call(self, x: tf.Tensor, start: int = 0) -> tf.Tensor:
        return add_positions(x, self.table, start)


class LearnedPositions(layers.Layer):
    """Add a learned vector for each position, as GPT and BERT do.

    Args:
        max_len: Number of positions; there are no vectors beyond it.
        d_model: Width.

    Call arguments and returns are the same as in `SinusoidalPositions`.

    References:
        Gehring et al. 2017, §3.1; Radford et al. 2018, §4.1.
    """

    def __init__(
        self, *, max_len: int, d_model: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.shape = at_least(1, max_len=max_len, d_model=d_model)

    def build(self, x_shape: tuple) -> None:
        self.table = self.add_weight(
            shape=self.shape, initializer="random_normal", name="table"
        )

    def call(self, x: tf.Tensor, start: int = 0) -> tf.Tensor:
        return add_positions(x, self.table, start)


def rotate(x: tf.Tensor, start: int = 0) -> tf.Tensor:
    """Rotate queries or keys by an angle that grows with the position.

        (a, b) → (a cos θ − b sin θ, a sin θ + b cos θ)
        θ = position / 10000^(2i / head_dim)   for the pair number i

    The dot product of a query at position p and a key at position q then
    depends on p − q only.

    Args:
        x: `(batch, heads, seq, head_dim)`; head_dim is even.
        start: Position of the first vector.

    Returns:
        The same shape; each vector keeps its length.

    Raises:
        ValueError: if head_dim is odd.

    References:
        Su et al. 2021, §3.4.2, equation 34.
    Differs from the paper: features i and i + head_dim / 2 are a pair, as
        in GPT-NeoX and Hugging Face's Llama; the paper pairs neighbours.
    """
    head_dim = x.shape[-1]
    if head_dim % 2:
        raise ValueError(
            f"head_dim={head_dim} is odd, and rotation needs pairs: choose "
            "another d_model or num_heads."
        )
    x = tf.convert_to_tensor(x)
    x = x if x.dtype.is_floating else tf.cast(x, tf.float32)
    position = start + tf.range(tf.shape(x)[-2])
    position = tf.cast(position, tf.float32)[:, None]  # (seq, 1)
    even = np.arange(0, head_dim, 2, dtype="float32")  # 2i
    angle = position / 10000 ** (even / head_dim)  # (seq, head_dim / 2)
    # Half precision has too few digits for angles, but enough for waves.
    cos = tf.cast(tf.cos(angle), x.dtype)
    sin = tf.cast(tf.sin(angle), x.dtype)
    a, b = tf.split(x, 2, axis=-1)
    return tf.concat([a * cos - b * sin, a * sin + b * cos], axis=-1)
