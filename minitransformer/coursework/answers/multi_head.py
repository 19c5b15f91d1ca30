"""Multi-head attention: several small attentions side by side."""

from minitransformer.coursework.answers.attention import (
    scaled_dot_product_attention,
)


def split_heads(x, num_heads):
    """Split each token's projected vector into heads.

    Args:
        x: Floats `(batch, seq, d_model)`.
        num_heads: Number of heads.

    Returns:
        `(batch, heads, seq, head_dim)`, where head_dim is
        d_model / num_heads. Of each token, head 0 has the first head_dim
        features, head 1 the next, and so on.

    Raises:
        ValueError: if `num_heads` does not divide d_model.
    """
    batch, seq, d_model = x.shape
    if d_model % num_heads:
        raise ValueError(f"{num_heads} heads do not divide {d_model}.")
    pieces = x.reshape(batch, seq, num_heads, d_model // num_heads)
    return pieces.transpose(0, 2, 1, 3)


def merge_heads(x):
    """Put the heads side by side again: the inverse of `split_heads`.

    Args:
        x: Floats `(batch, heads, seq, head_dim)`.

    Returns:
        `(batch, seq, d_model)`, where d_model is heads · head_dim.
    """
    batch, heads, seq, head_dim = x.shape
    x = x.transpose(0, 2, 1, 3)  # (batch, seq, heads, head_dim)
    return x.reshape(batch, seq, heads * head_dim)


def multi_head_attention(query, memory, mask, weights, num_heads):
    """Let each head attend on its own, and mix what the heads found.

    The queries come from `query`; the keys and the values both come from
    `memory`. In self-attention both are the same array. Each head does
    scaled dot-product attention.

    Args:
        query: Floats `(batch, query, d_model)`.
        memory: Floats `(batch, key, d_model)`.
        mask: Bool, broadcastable to `(batch, heads, query, key)`,
            True = may attend. Each query may attend to some key.
        weights: A dictionary of four arrays `(d_model, d_model)`: `w_q`,
            `w_k`, `w_v` for queries, keys and values, and `w_o` for the
            output. Vectors are rows: v becomes v W. There are no biases.
        num_heads: Number of heads.

    Returns:
        output: `(batch, query, d_model)`.
        weights: `(batch, heads, query, key)`, the result of the softmax.

    Raises:
        ValueError: if `num_heads` does not divide d_model.
    """
    queries = split_heads(query @ weights["w_q"], num_heads)
    keys = split_heads(memory @ weights["w_k"], num_heads)
    values = split_heads(memory @ weights["w_v"], num_heads)
    heads, shares = scaled_dot_product_attention(
        queries, keys, values, mask
    )
    return merge_heads(heads) @ weights["w_o"], shares
