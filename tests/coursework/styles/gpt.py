"""Right solutions of `gpt` in other styles."""

import math

import numpy as np
import tensorflow as tf

from minitransformer import GPT, GPTConfig


def with_einsum(token_ids, weights, num_heads):
    seq = token_ids.shape[-1]
    if seq > weights["position_table"].shape[0]:
        raise ValueError("too long")
    x = np.take(weights["token_table"], token_ids, axis=0).astype("float64")
    x += weights["position_table"][None, np.arange(seq)]

    def norm(x, gain, bias):
        mean, std = x.mean(-1), np.sqrt(x.var(-1) + 1e-5)
        return (x - mean[..., None]) / std[..., None] * gain + bias

    for block in weights["blocks"]:
        h = norm(x, block["gain1"], block["bias1"])
        width = h.shape[-1] // num_heads
        cut = {name: block[name].reshape(-1, num_heads, width) for name in ("w_q", "w_k", "w_v")}
        q = np.einsum("bid,dhe->bhie", h, cut["w_q"])
        k = np.einsum("bjd,dhe->bhje", h, cut["w_k"])
        v = np.einsum("bjd,dhe->bhje", h, cut["w_v"])
        scores = np.einsum("bhie,bhje->bhij", q, k) / math.sqrt(width)
        scores[..., np.triu(np.ones((seq, seq), bool), 1)] = -np.inf
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        out = block["w_o"].reshape(num_heads, width, -1)
        x = x + np.einsum("bhij,bhje,hed->bid", shares, v, out)
        h = norm(x, block["gain2"], block["bias2"])
        z = np.einsum("bid,df->bif", h, block["w1"]) + block["b1"]
        cdf = (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))) / 2
        x = x + np.einsum("bif,fd->bid", z * cdf, block["w2"]) + block["b2"]
    x = norm(x, weights["final_gain"], weights["final_bias"])
    return np.einsum("bid,vd->biv", x, weights["token_table"])


def with_loops(token_ids, weights, num_heads):
    """One token after another, each with all before it, as a list."""
    if len(token_ids[0]) > len(weights["position_table"]):
        raise ValueError("too long")

    def norm(vector, gain, bias):
        variance = sum((c - vector.mean()) ** 2 for c in vector) / len(vector)
        return (vector - vector.mean()) / (variance + 1e-5) ** 0.5 * gain + bias

    def gelu(c):
        return c / (1 + math.exp(-2 * math.sqrt(2 / math.pi) * (c + 0.044715 * c**3)))

    def one_text(ids):
        stream = [
            weights["token_table"][token] + weights["position_table"][i]
            for i, token in enumerate(ids)
        ]
        for block in weights["blocks"]:
            normed = [norm(x, block["gain1"], block["bias1"]) for x in stream]
            keys = [h @ block["w_k"] for h in normed]
            values = [h @ block["w_v"] for h in normed]
            width = len(stream[0]) // num_heads
            after = []
            for i, x in enumerate(stream):
                query, found = normed[i] @ block["w_q"], []
                for head in range(num_heads):
                    own = slice(head * width, (head + 1) * width)
                    scores = np.array([query[own] @ key[own] for key in keys[: i + 1]]) / math.sqrt(
                        width
                    )
                    shares = np.exp(scores - max(scores))
                    shares = shares / sum(shares)
                    found.append(sum(s * v[own] for s, v in zip(shares, values, strict=False)))
                after.append(x + np.concatenate(found) @ block["w_o"])
            stream = []
            for x in after:
                h = norm(x, block["gain2"], block["bias2"])
                z = np.array([gelu(c) for c in h @ block["w1"] + block["b1"]])
                stream.append(x + z @ block["w2"] + block["b2"])
        last = [norm(x, weights["final_gain"], weights["final_bias"]) for x in stream]
        return [[x @ row for row in weights["token_table"]] for x in last]

    return np.array([one_text(ids) for ids in token_ids])


def with_tensorflow(token_ids, weights, num_heads):
    """Features first: (d_model, batch, seq), heads as a list of parts."""
    if token_ids.shape[1] > weights["position_table"].shape[0]:
        raise ValueError("too long")
    seq = token_ids.shape[1]
    x = tf.gather(weights["token_table"], token_ids)
    x = x + weights["position_table"][:seq]

    def norm(x, gain, bias):
        mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
        return tf.nn.batch_normalization(x, mean, variance, bias, gain, 1e-5)

    for block in weights["blocks"]:
        h = norm(x, block["gain1"], block["bias1"])
        parts = [tf.split(h @ block[name], num_heads, axis=-1) for name in ("w_q", "w_k", "w_v")]
        heads = []
        for q, k, v in zip(*parts, strict=True):
            scores = tf.matmul(q, k, transpose_b=True) * q.shape[-1] ** -0.5
            visible = tf.linalg.band_part(tf.ones((seq, seq)), -1, 0)
            heads.append(tf.nn.softmax(scores - 1e9 * (1 - visible)) @ v)
        x += tf.concat(heads, axis=-1) @ block["w_o"]
        h = norm(x, block["gain2"], block["bias2"])
        h = tf.nn.gelu(h @ block["w1"] + block["b1"], approximate=True)
        x += h @ block["w2"] + block["b2"]
    x = norm(x, weights["final_gain"], weights["final_bias"])
    return tf.tensordot(x, weights["token_table"], [[2], [1]])


def with_package(token_ids, weights, num_heads):
    (vocab, d_model), blocks = (weights["token_table"].shape, weights["blocks"])
    model = GPT(
        GPTConfig(
            vocab_size=vocab,
            max_len=len(weights["position_table"]),
            d_model=d_model,
            num_heads=num_heads,
            num_layers=len(blocks),
            d_ff=len(blocks[0]["b1"]),
        )
    )
    model.embedding.table.assign(weights["token_table"])
    model.positions.table.assign(weights["position_table"])
    zeros = np.zeros(d_model)  # attention has no biases in the exercise
    for layer, block in zip(model.decoder.blocks, blocks, strict=True):
        own = layer.self_attention
        for dense, name in (
            (own.query_dense, "w_q"),
            (own.key_dense, "w_k"),
            (own.value_dense, "w_v"),
            (own.output_dense, "w_o"),
        ):
            dense.set_weights([block[name], zeros])
        layer.attention_norm.gain.assign(block["gain1"])
        layer.attention_norm.bias.assign(block["bias1"])
        layer.feed_forward_norm.gain.assign(block["gain2"])
        layer.feed_forward_norm.bias.assign(block["bias2"])
        layer.feed_forward.expand_dense.set_weights([block["w1"], block["b1"]])
        layer.feed_forward.contract_dense.set_weights([block["w2"], block["b2"]])
    model.decoder.final_norm.gain.assign(weights["final_gain"])
    model.decoder.final_norm.bias.assign(weights["final_bias"])
    return model(token_ids)


STYLES = {
    "einsum": {"gpt_logits": with_einsum},
    "loops": {"gpt_logits": with_loops},
    "tensorflow": {"gpt_logits": with_tensorflow},
    "package": {"gpt_logits": with_package},
}
