"""The feed-forward layer, and a pre-norm block with one head."""

import numpy as np

from minitransformer.coursework.answers.attention import (
    scaled_dot_product_attention,
)


def feed_forward(x, weights):
    """Expand each token's vector, apply ReLU, and project it back.

        FFN(x) = ReLU(x W₁ + b₁) W₂ + b₂

    Args:
        x: Floats `(batch, seq, d_model)`.
        weights: Dictionary of floats, perhaps with further entries:
            w1 `(d_model, d_ff)`, b1 `(d_ff,)`,
            w2 `(d_ff, d_model)`, b2 `(d_model,)`.

    Returns:
        `(batch, seq, d_model)`.
    """
    hidden = np.maximum(x @ weights["w1"] + weights["b1"], 0)
    return hidden @ weights["w2"] + weights["b2"]


def pre_norm_block(x, mask, weights):
    """Attention, then feed-forward, each on a normalized copy of x.

        x ← x + SelfAttention(LayerNorm₁(x))
        x ← x + FFN(LayerNorm₂(x))

    Attention is scaled dot-product attention with a single head: queries,
    keys and values are products with w_q, w_k and w_v, and the result is
    multiplied by w_o. There are no biases in attention.

    Args:
        x: Floats `(batch, seq, d_model)`.
        mask: Bool `(batch, seq, seq)`, with queries on axis 1 and keys on
            axis 2, True = may attend. Each query may attend to some key.
        weights: Dictionary of floats:
            w_q, w_k, w_v, w_o `(d_model, d_model)`, used as x @ w;
            gain1, bias1 `(d_model,)`, of the norm before attention;
            gain2, bias2 `(d_model,)`, of the norm before feed-forward;
            w1, b1, w2, b2, as for `feed_forward`.

    Returns:
        `(batch, seq, d_model)`. The norms divide by √(variance + 1e-5).
        The variance of a token is the mean of its d_model squared
        distances from its mean.
    """
    h = layer_norm(x, weights["gain1"], weights["bias1"])
    query = h @ weights["w_q"]
    key = h @ weights["w_k"]
    value = h @ weights["w_v"]
    read, _ = scaled_dot_product_attention(
        query[:, None], key[:, None], value[:, None], mask[:, None]
    )  # (batch, 1, seq, d_model)
    x = x + read[:, 0] @ weights["w_o"]

    h = layer_norm(x, weights["gain2"], weights["bias2"])
    return x + feed_forward(h, weights)


def layer_norm(x, gain, bias):
    """Bring each vector to mean 0 and variance 1, then scale and shift."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * gain + bias
