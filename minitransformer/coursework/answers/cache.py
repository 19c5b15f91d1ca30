"""A key/value cache: compute the keys and values of each token once."""

import numpy as np


def attend_with_cache(x, keys, values, weights, num_heads):
    """Let new tokens attend to those before them and to themselves.

    This is causal multi-head self-attention. Earlier calls have read the
    first `past` tokens. The new tokens have the positions past, past + 1,
    …; each sees all positions up to its own. Scores are divided by
    √head_dim, head_dim = d_model / num_heads; there are no biases. A text
    read in pieces gives the same outputs as the text read at once.

    Args:
        x: Floats `(batch, new, d_model)`, the new tokens.
        keys, values: Floats `(batch, heads, past, head_dim)`, of the old
            tokens, already projected; past may be 0.
        weights: A dictionary of floats: "w_q", "w_k", "w_v", "w_o", each
            `(d_model, d_model)`. Head i has the columns i · head_dim up
            to (i + 1) · head_dim of the first three. The heads' outputs
            are put side by side before the product with w_o.
        num_heads: Number of heads.

    Returns:
        output: `(batch, new, d_model)`.
        keys: `(batch, heads, past + new, head_dim)`, in the order of the
            positions: the cache for the next call.
        values: Same as keys, for the values.
    """
    batch, new, d_model = x.shape
    past, head_dim = keys.shape[2], d_model // num_heads

    def split(projected):  # (batch, heads, seq, head_dim)
        heads = projected.reshape(batch, -1, num_heads, head_dim)
        return heads.swapaxes(1, 2)

    query, key, value = (
        split(x @ weights[name]) for name in ("w_q", "w_k", "w_v")
    )
    keys = np.concatenate([keys, key], axis=2)
    values = np.concatenate([values, value], axis=2)
    position = past + np.arange(new)[:, None]  # (new, 1)
    scores = query @ keys.swapaxes(-1, -2) / head_dim**0.5
    scores = np.where(np.arange(past + new) <= position, scores, -1e30)
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares = scores / scores.sum(axis=-1, keepdims=True)
    merged = (shares @ values).swapaxes(1, 2).reshape(batch, new, d_model)
    output = merged @ weights["w_o"]
    return output, keys, values
