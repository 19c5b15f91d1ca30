"""Sinusoidal positions: a vector of waves for each position."""

import numpy as np


def sinusoidal_positions(max_len, d_model):
    """Give each position a vector of waves from fast to slow.

        PE[pos, 2i]     = sin(pos / 10000^(2i / d_model))
        PE[pos, 2i + 1] = cos(pos / 10000^(2i / d_model))

    Args:
        max_len: Number of positions; the first is position 0.
        d_model: Width, an even number.

    Returns:
        Float32 `(max_len, d_model)`.

    Raises:
        ValueError: if `d_model` is odd.
    """
    if d_model % 2:
        raise ValueError(f"d_model={d_model} is odd: waves come in pairs.")
    position = np.arange(max_len)[:, None]  # (max_len, 1)
    column = np.arange(d_model)
    even = column - column % 2  # 2i: 0, 0, 2, 2, …
    angle = position / 10000 ** (even / d_model)  # (max_len, d_model)
    waves = np.where(column % 2, np.cos(angle), np.sin(angle))
    return waves.astype("float32")
