"""Ways to write the block that are right, all unlike the answer."""

import numpy as np
import tensorflow as tf

from minitransformer.blocks import EncoderBlock
from minitransformer.feed_forward import FeedForward


def einsum_feed_forward(x, weights):
    wide = np.einsum("bsd,df->bsf", x, weights["w1"]) + weights["b1"]
    return np.einsum("bsf,fd->bsd", wide * (wide > 0), weights["w2"]) + weights["b2"]


def einsum_block(x, mask, weights):
    def norm(x, gain, bias):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(
            x.var(-1, keepdims=True) + 1e-5
        ) * gain + bias

    h = norm(x, weights["gain1"], weights["bias1"])
    q, k, v = (np.einsum("bsd,de->bse", h, weights[name]) for name in ("w_q", "w_k", "w_v"))
    scores = np.einsum("bqe,bke->bqk", q, k) / x.shape[-1] ** 0.5
    scores = np.where(mask, scores, -np.inf)
    weight = np.exp(scores - scores.max(-1, keepdims=True))
    weight /= weight.sum(-1, keepdims=True)
    x = x + np.einsum("bqk,bke,ed->bqd", weight, v, weights["w_o"])
    return x + einsum_feed_forward(norm(x, weights["gain2"], weights["bias2"]), weights)


def loop_feed_forward(x, weights):
    output = np.zeros_like(x)
    for b in range(x.shape[0]):
        for t in range(x.shape[1]):
            hidden = weights["b1"].copy()
            for i, value in enumerate(x[b, t]):
                hidden += value * weights["w1"][i]
            hidden[hidden < 0] = 0
            output[b, t] = weights["w2"].T @ hidden + weights["b2"]
    return output


def loop_block(x, mask, weights):
    def norm(vector, which):
        mean = sum(vector) / len(vector)
        variance = sum((v - mean) ** 2 for v in vector) / len(vector)
        shifted = (vector - mean) / (variance + 1e-5) ** 0.5
        return weights[f"gain{which}"] * shifted + weights[f"bias{which}"]

    stream = x.copy()
    for b, row in enumerate(x):
        normed = np.array([norm(vector, 1) for vector in row])
        for t, vector in enumerate(normed):
            query = weights["w_q"].T @ vector
            total, read = 0.0, np.zeros(x.shape[-1])
            for j in np.flatnonzero(mask[b, t]):
                score = query @ (weights["w_k"].T @ normed[j]) / np.sqrt(len(query))
                total += np.exp(score)
                read += np.exp(score) * (weights["w_v"].T @ normed[j])
            stream[b, t] += weights["w_o"].T @ (read / total)
    normed = np.array([[norm(vector, 2) for vector in row] for row in stream])
    return stream + loop_feed_forward(normed.astype("float32"), weights)


def flat_feed_forward(x, weights):
    """Lay all tokens below each other, and put the biases in as a row."""
    rows = x.reshape(-1, x.shape[-1])
    one = np.ones((len(rows), 1), x.dtype)
    hidden = np.hstack([rows, one]) @ np.vstack([weights["w1"], weights["b1"]])
    hidden = np.hstack([hidden.clip(min=0), one])
    return (hidden @ np.vstack([weights["w2"], weights["b2"]])).reshape(x.shape)


def flat_block(x, mask, weights):
    """Each sequence by itself, features first; one matrix for q · k."""
    pair = weights["w_q"] @ weights["w_k"].T / np.sqrt(x.shape[-1])
    mixed = weights["w_v"] @ weights["w_o"]

    def norm(columns, gain, bias):
        z = (columns - columns.mean(0)) / np.sqrt(columns.var(0) + 1e-5)
        return z * gain[:, None] + bias[:, None]

    outputs = []
    for sequence, allowed in zip(x, mask, strict=True):
        stream = sequence.T  # (d_model, seq)
        h = norm(stream, weights["gain1"], weights["bias1"])
        scores = h.T @ pair @ h
        exponentials = np.exp(scores - scores.max(1)[:, None]) * allowed
        stream = stream + (exponentials / exponentials.sum(1)[:, None] @ (h.T @ mixed)).T
        h = norm(stream, weights["gain2"], weights["bias2"])
        outputs.append(stream.T + flat_feed_forward(h.T[None], weights)[0])
    return np.stack(outputs)


def tensor_feed_forward(x, weights):
    hidden = tf.nn.relu(tf.linalg.matmul(x, weights["w1"]) + weights["b1"])
    return tf.linalg.matmul(hidden, weights["w2"]) + weights["b2"]


def tensor_block(x, mask, weights):
    def norm(x, gain, bias):
        mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
        return tf.nn.batch_normalization(x, mean, variance, bias, gain, 1e-5)

    h = norm(x, weights["gain1"], weights["bias1"])
    scores = tf.matmul(h @ weights["w_q"], h @ weights["w_k"], transpose_b=True)
    scores = scores / x.shape[-1] ** 0.5 + tf.where(mask, 0.0, -1e9)
    x = x + tf.nn.softmax(scores) @ (h @ weights["w_v"]) @ weights["w_o"]
    return x + tensor_feed_forward(norm(x, weights["gain2"], weights["bias2"]), weights)


def package_feed_forward(x, weights):
    d_model, d_ff = weights["w1"].shape
    layer = FeedForward(d_model=d_model, d_ff=d_ff)
    layer.build(x.shape)
    fill_feed_forward(layer, weights)
    return layer(x)


def fill_feed_forward(layer, weights):
    layer.expand_dense.set_weights([weights["w1"], weights["b1"]])
    layer.contract_dense.set_weights([weights["w2"], weights["b2"]])


def package_block(x, mask, weights):
    d_model, d_ff = weights["w1"].shape
    block = EncoderBlock(d_model=d_model, num_heads=1, d_ff=d_ff, norm_first=True)
    block.build(x.shape)
    attention = block.self_attention
    for dense, name in (
        (attention.query_dense, "w_q"),
        (attention.key_dense, "w_k"),
        (attention.value_dense, "w_v"),
        (attention.output_dense, "w_o"),
    ):
        dense.kernel.assign(weights[name])  # their biases are 0
    block.attention_norm.set_weights([weights["gain1"], weights["bias1"]])
    block.feed_forward_norm.set_weights([weights["gain2"], weights["bias2"]])
    fill_feed_forward(block.feed_forward, weights)
    output, _ = block(x, attention_mask=mask[:, None])
    return output


STYLES = {
    "einsum": {"feed_forward": einsum_feed_forward, "pre_norm_block": einsum_block},
    "loops": {"feed_forward": loop_feed_forward, "pre_norm_block": loop_block},
    "features first": {"feed_forward": flat_feed_forward, "pre_norm_block": flat_block},
    "TensorFlow": {"feed_forward": tensor_feed_forward, "pre_norm_block": tensor_block},
    "package": {"feed_forward": package_feed_forward, "pre_norm_block": package_block},
}
