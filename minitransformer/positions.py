"""Positions: attention sees a set, so the order must be written in.

Both layers add one vector per position to the embeddings: the first from a
formula, the second from a table that is learned. `rotate` turns queries and
keys instead, so that their dot product knows how far apart they stand.
"""

import numpy as np
import tensorflow as tf
from keras import layers


def sinusoidal_positions(max_len, d_model):
    """Give each position a vector of waves from fast to slow.

        PE[pos, 2i]     = sin(pos / 10000^(2i / d_model))
        PE[pos, 2i + 1] = cos(pos / 10000^(2i / d_model))

    Args:
        max_len: Number of positions.
        d_model: Width; even.

    Returns:
        NumPy float32 `(max_len, d_model)`, sine and cosine interleaved.

    Raises:
        ValueError: if `d_model` is odd.

    References:
        Vaswani et al. 2017, §3.5. tensor2tensor puts all sines before all
        cosines instead; the paper's order is the one here.
    """
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


def add_positions(x, table, start):
    """Add rows start, start + 1, … of a table to the vectors of `x`."""
    size = (tf.shape(x)[1], table.shape[1])
    return x + tf.slice(tf.cast(table, x.dtype), (start, 0), size)


class SinusoidalPositions(layers.Layer):
    """Add the paper's waves; nothing is learned.

    Args:
        max_len: Number of positions.
        d_model: Width; even.

    Call arguments:
        x: `(batch, seq, d_model)`.
        start: Position of the first vector; more than 0 only when
            generating with a cache.

    Returns:
        `(batch, seq, d_model)`.
    """

    def __init__(self, *, max_len, d_model, **kwargs):
        super().__init__(**kwargs)
        self.table = sinusoidal_positions(max_len, d_model)

    def call(self, x, start=0):
        return add_positions(x, self.table, start)


class LearnedPositions(layers.Layer):
    """Add a learned vector for each position, as GPT and BERT do.

    Args:
        max_len: Number of positions; beyond it there is no vector.
        d_model: Width.

    Call arguments:
        x: `(batch, seq, d_model)`.
        start: Position of the first vector; more than 0 only when
            generating with a cache.

    Returns:
        `(batch, seq, d_model)`.

    References:
        Gehring et al. 2017, §3.1; Radford et al. 2018, §4.1.
    """

    def __init__(self, *, max_len, d_model, **kwargs):
        super().__init__(**kwargs)
        self.shape = (max_len, d_model)

    def build(self, x_shape):
        self.table = self.add_weight(
            shape=self.shape, initializer="random_normal", name="table"
        )

    def call(self, x, start=0):
        return add_positions(x, self.table, start)


def rotate(x, start=0):
    """Turn queries or keys by an angle that grows with the position.

        (a, b) → (a cos θ − b sin θ, a sin θ + b cos θ)
        θ = position / 10000^(2i / head_dim)   for the pair number i

    Two vectors that are turned by p and q have the dot product of one that
    is turned by p − q and one that is not: only their distance counts.

    Args:
        x: `(batch, heads, seq, head_dim)`; head_dim is even.
        start: Position of the first vector.

    Returns:
        The same shape; no vector's length changes.

    Raises:
        ValueError: if head_dim is odd.

    References:
        Su et al. 2021, §3.4.2, equation 34.
    Differs from the paper: a pair is feature i and i + head_dim / 2, as in
        GPT-NeoX and Llama, where the paper takes neighbours.
    """
    head_dim = x.shape[-1]
    if head_dim % 2:
        raise ValueError(
            f"head_dim={head_dim} is odd: rotation needs pairs, so choose "
            "another d_model or num_heads."
        )
    position = start + tf.range(tf.shape(x)[-2])
    position = tf.cast(position, tf.float32)[:, None]  # (seq, 1)
    even = np.arange(0, head_dim, 2, dtype="float32")  # 2i
    angle = position / 10000 ** (even / head_dim)  # (seq, head_dim / 2)
    # Half precision has too few digits for an angle, enough for its waves.
    cos = tf.cast(tf.cos(angle), x.dtype)
    sin = tf.cast(tf.sin(angle), x.dtype)
    a, b = tf.split(x, 2, axis=-1)
    return tf.concat([a * cos - b * sin, a * sin + b * cos], axis=-1)
