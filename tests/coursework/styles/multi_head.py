"""Multi-head attention, written in several ways; all of them are right."""

import numpy as np
import tensorflow as tf

from minitransformer import multi_head


def softmax(scores, mask):
    scores = np.where(mask, scores, -np.inf)
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def refuse(width, num_heads):
    if width % num_heads != 0:
        raise ValueError("does not divide")
    return width // num_heads


def einsum_split(x, num_heads):
    refuse(x.shape[-1], num_heads)
    parts = np.stack(np.split(x, num_heads, axis=-1))
    return np.einsum("hbsd->bhsd", parts)


def einsum_merge(x):
    return np.concatenate(list(np.swapaxes(x, 0, 1)), axis=-1)


def einsum_attention(query, memory, mask, weights, num_heads):
    """Use three-axis matrices, one slice a head, as Keras does."""
    width = query.shape[-1]
    head_dim = refuse(width, num_heads)
    w_q, w_k, w_v = (
        weights[name].reshape(width, num_heads, head_dim) for name in ("w_q", "w_k", "w_v")
    )
    w_o = weights["w_o"].reshape(num_heads, head_dim, width)
    queries = np.einsum("bqm,mhd->bhqd", query, w_q)
    keys = np.einsum("bkm,mhd->bhkd", memory, w_k)
    scores = np.einsum("bhqd,bhkd->bhqk", queries, keys) / head_dim**0.5
    shares = softmax(scores, mask)
    values = np.einsum("bkm,mhd->bkhd", memory, w_v)
    return np.einsum("bhqk,bkhd,hdm->bqm", shares, values, w_o), shares


def loops_split(x, num_heads):
    batch, seq, width = x.shape
    size = refuse(width, num_heads)
    heads = np.zeros((batch, num_heads, seq, size), x.dtype)
    for h in range(num_heads):
        for d in range(size):
            heads[:, h, :, d] = x[:, :, h * size + d]
    return heads


def loops_merge(x):
    batch, heads, seq, size = x.shape
    merged = np.zeros((batch, seq, heads * size), x.dtype)
    for h in range(heads):
        merged[:, :, h * size : (h + 1) * size] = x[:, h]
    return merged


def loops_attention(query, memory, mask, weights, num_heads):
    """Do one sequence and one head at a time; sum what the heads say."""
    batch, queries, width = query.shape
    keys = memory.shape[1]
    size = refuse(width, num_heads)
    mask = np.broadcast_to(mask, (batch, num_heads, queries, keys))
    output = np.zeros(query.shape, query.dtype)
    shares = np.zeros(mask.shape, query.dtype)
    for b in range(batch):
        for h in range(num_heads):
            part = slice(h * size, (h + 1) * size)
            q = query[b] @ weights["w_q"][:, part]
            k = memory[b] @ weights["w_k"][:, part]
            v = memory[b] @ weights["w_v"][:, part]
            shares[b, h] = softmax(q @ k.T / np.sqrt(size), mask[b, h])
            output[b] += shares[b, h] @ v @ weights["w_o"][part]
    return output, shares


def tensorflow_split(x, num_heads):
    size = refuse(x.shape[-1], num_heads)
    x = tf.reshape(x, (*x.shape[:2], num_heads, size))
    return tf.einsum("bshd->bhsd", x)


def tensorflow_merge(x):
    x = tf.transpose(x, (0, 2, 1, 3))
    return tf.reshape(x, (*x.shape[:2], -1))


def tensorflow_attention(query, memory, mask, weights, num_heads):
    query, memory = tf.constant(query), tf.constant(memory)
    queries = tensorflow_split(query @ weights["w_q"], num_heads)
    keys = tensorflow_split(memory @ weights["w_k"], num_heads)
    values = tensorflow_split(memory @ weights["w_v"], num_heads)
    scores = tf.matmul(queries, keys, transpose_b=True)
    scores *= queries.shape[-1] ** -0.5
    scores += tf.where(mask, 0.0, -1e9)
    shares = tf.nn.softmax(scores)
    return tensorflow_merge(shares @ values) @ weights["w_o"], shares


def package_split(x, num_heads):
    # The layer is what refuses heads that do not divide.
    multi_head.MultiHeadAttention(d_model=x.shape[-1], num_heads=num_heads)
    return multi_head.split_heads(x, num_heads)


def package_attention(query, memory, mask, weights, num_heads):
    layer = multi_head.MultiHeadAttention(
        d_model=query.shape[-1], num_heads=num_heads, use_bias=False
    )
    layer.build(query.shape, memory.shape, memory.shape)
    layer.query_dense.kernel.assign(weights["w_q"])
    layer.key_dense.kernel.assign(weights["w_k"])
    layer.value_dense.kernel.assign(weights["w_v"])
    layer.output_dense.kernel.assign(weights["w_o"])
    return layer(query, memory, memory, attention_mask=mask)


STYLES = {
    "einsum": {
        "split_heads": einsum_split,
        "merge_heads": einsum_merge,
        "multi_head_attention": einsum_attention,
    },
    "loops": {
        "split_heads": loops_split,
        "merge_heads": loops_merge,
        "multi_head_attention": loops_attention,
    },
    "tensorflow": {
        "split_heads": tensorflow_split,
        "merge_heads": tensorflow_merge,
        "multi_head_attention": tensorflow_attention,
    },
    "package": {
        "split_heads": package_split,
        "merge_heads": multi_head.merge_heads,
        "multi_head_attention": package_attention,
    },
}
