"""Attention for one query: compare it with keys, and mix the values."""

import numpy as np


def one_query_attention(query, keys, values):
    """Read from the values where the keys match the query.

    Args:
        query: Floats `(width,)`.
        keys: Floats `(key, width)`.
        values: Floats `(key, value_width)`.

    Returns:
        output: `(value_width,)`, the weighted mean of the values.
        weights: `(key,)`, the softmax of the scores q·k / √width, also
            for scores of ±1,000.
    """
    scores = keys @ query / np.sqrt(query.shape[-1])  # (key,)
    scores = scores - scores.max()
    weights = np.exp(scores) / np.exp(scores).sum()
    return weights @ values, weights
