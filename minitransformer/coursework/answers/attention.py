"""Scaled dot-product attention, with a mask."""

import numpy as np


def scaled_dot_product_attention(query, key, value, mask):
    """Read from the values where the keys match the query.

    Args:
        query: Floats `(batch, heads, query, head_dim)`.
        key: Floats `(batch, heads, key, head_dim)`.
        value: Floats `(batch, heads, key, value_dim)`.
        mask: Bool, broadcastable to `(batch, heads, query, key)`,
            True = may attend.

    Returns:
        output: `(batch, heads, query, value_dim)`.
        weights: `(batch, heads, query, key)`, exactly 0 where the mask is
            False. A query that may attend to nothing has only zeros.
    """
    scores = query @ np.swapaxes(key, -1, -2) / np.sqrt(query.shape[-1])
    masked = np.where(mask, scores, -1e30)
    masked = masked - masked.max(axis=-1, keepdims=True)
    exponentials = np.exp(masked)
    weights = exponentials / exponentials.sum(axis=-1, keepdims=True)
    weights = np.where(mask, weights, 0).astype(query.dtype)
    return weights @ value, weights
