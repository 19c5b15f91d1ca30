"""A key/value cache: what was read once is not computed again."""

import numpy as np


def attend_with_cache(x, keys, values, weights, num_heads):
    """Let new tokens attend to those before them and to themselves.

    Causal multi-head self-attention, of which the first `past` tokens were
    read in earlier calls. The new tokens stand at the positions past,
    past + 1, …; each sees all positions up to its own, and none after it.
    Scores are divided by √head_dim, head_dim = d_model / num_heads; there
    are no biases. Reading a text in pieces gives the outputs that reading
    it at once gives.

    Args:
        x: Floats `(batch, new, d_model)`, the new tokens.
        keys, values: Floats `(batch, heads, past, head_dim)`, those of the
            tokens before, already projected; past may be 0.
        weights: A dictionary of floats: "w_q", "w_k", "w_v", "w_o", each
            `(d_model, d_model)`. Head i owns the columns i · head_dim up
            to (i + 1) · head_dim of the first three; the heads' outputs
            stand side by side before w_o.
        num_heads: Number of heads.

    Returns:
        output: `(batch, new, d_model)`.
        keys: `(batch, heads, past + new, head_dim)`, in the order of the
            positions: the cache for the next call.
        values: The same of the values.
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
