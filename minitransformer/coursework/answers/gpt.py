"""GPT: from token ids to logits for each next token."""

import numpy as np


def gpt_logits(token_ids, weights, num_heads):
    """Predict the next token at each position.

        x = token embeddings + position embeddings (learned, from 0 on)
        for each block:  x ← x + attention(norm₁(x))
                         x ← x + (GELU(norm₂(x) w1 + b1) w2 + b2)
        logits = final_norm(x) · token_tableᵀ

    The norms are layer norms with ε = 1e-5, added to the variance under
    the root. Attention is causal, has no biases, and divides its scores
    by √head_dim, head_dim = d_model / num_heads. Head i has the columns
    i · head_dim up to (i + 1) · head_dim of w_q, w_k and w_v. The heads'
    outputs are put side by side before the product with w_o. GELU is used
    in its tanh form, z/2 · (1 + tanh(√(2/π) · (z + 0.044715 z³))).

    Args:
        token_ids: Integers `(batch, seq)`.
        weights: A dictionary of floats: "token_table" `(vocab, d_model)`,
            "position_table" `(max_len, d_model)`, "final_gain" and
            "final_bias" `(d_model,)`; and "blocks", a list with a
            dictionary for each block, the first one first: "w_q", "w_k",
            "w_v", "w_o" `(d_model, d_model)`; "gain1", "bias1", "gain2",
            "bias2" `(d_model,)`, of norm₁ and norm₂; "w1"
            `(d_model, d_ff)`, "b1" `(d_ff,)`, "w2" `(d_ff, d_model)`,
            "b2" `(d_model,)`.
        num_heads: Number of heads; divides d_model.

    Returns:
        logits: `(batch, seq, vocab)`: row t predicts token t + 1.

    Raises:
        ValueError: if seq is larger than max_len.
    """
    table, positions = weights["token_table"], weights["position_table"]
    seq, max_len = token_ids.shape[1], len(positions)
    if seq > max_len:
        raise ValueError(f"{seq} tokens, but max_len is {max_len}.")
    x = table[token_ids] + positions[:seq]  # (batch, seq, d_model)
    for block in weights["blocks"]:
        h = layer_norm(x, block["gain1"], block["bias1"])
        x = x + attention(h, block, num_heads)
        h = layer_norm(x, block["gain2"], block["bias2"])
        x = x + feed_forward(h, block)
    x = layer_norm(x, weights["final_gain"], weights["final_bias"])
    return x @ table.T


def layer_norm(x, gain, bias):
    """Bring each vector to mean 0 and variance 1, then scale and shift."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * gain + bias


def attention(x, block, num_heads):
    """Let each token attend to itself and to earlier ones."""
    batch, seq, d_model = x.shape
    head_dim = d_model // num_heads

    def split(projected):  # (batch, heads, seq, head_dim)
        heads = projected.reshape(batch, seq, num_heads, head_dim)
        return heads.swapaxes(1, 2)

    query, key, value = (split(x @ block[w]) for w in ("w_q", "w_k", "w_v"))
    scores = query @ key.swapaxes(-1, -2) / head_dim**0.5
    scores = np.where(np.tri(seq, dtype=bool), scores, -1e30)
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares = scores / scores.sum(axis=-1, keepdims=True)
    merged = (shares @ value).swapaxes(1, 2).reshape(batch, seq, d_model)
    return merged @ block["w_o"]


def feed_forward(x, block):
    """Process each token on its own."""
    z = x @ block["w1"] + block["b1"]  # (batch, seq, d_ff)
    inner = (2 / np.pi) ** 0.5 * (z + 0.044715 * z**3)
    z = z / 2 * (1 + np.tanh(inner))
    return z @ block["w2"] + block["b2"]
