"""Rotary positions: turn queries and keys instead of adding to them."""

import numpy as np


def rotate(x, start):
    """Turn queries or keys by angles that grow with their position.

    Features 2i and 2i + 1 are a point (a, b) in a plane, as in the paper:

        (a, b) → (a cos θ − b sin θ, a sin θ + b cos θ)
        θ = position · 10000^(−2i / head_dim),   i = 0, 1, …

    Args:
        x: Floats `(batch, heads, seq, head_dim)`.
        start: Position of the first vector, an integer.

    Returns:
        `(batch, heads, seq, head_dim)`, of the dtype of `x`.

    Raises:
        ValueError: if head_dim is odd.

    References:
        Su et al. 2021, §3.2.2, equations 14 and 15.
    """
    seq, head_dim = x.shape[-2:]
    if head_dim % 2:
        raise ValueError(f"head_dim={head_dim} is odd: there are no pairs.")
    position = start + np.arange(seq)[:, None]  # (seq, 1)
    angle = position / 10000 ** (np.arange(0, head_dim, 2) / head_dim)
    cos, sin = np.cos(angle), np.sin(angle)  # (seq, head_dim / 2)
    a, b = x[..., 0::2], x[..., 1::2]
    turned = np.stack([a * cos - b * sin, a * sin + b * cos], axis=-1)
    return turned.reshape(x.shape).astype(x.dtype)
