"""Right solutions of `cache` in other styles."""

import math

import numpy as np
import tensorflow as tf

from minitransformer import MultiHeadAttention, causal_mask
from minitransformer.multi_head import write_cache


def with_einsum(x, keys, values, weights, num_heads):
    w_q, w_k, w_v = (
        weights[name].reshape(x.shape[-1], num_heads, -1) for name in ("w_q", "w_k", "w_v")
    )
    past, new = keys.shape[2], x.shape[1]
    # A place for all, of which the first are known.
    both = []
    for old, w in ((keys, w_k), (values, w_v)):
        room = np.zeros((*old.shape[:2], past + new, old.shape[3]), old.dtype)
        room[:, :, :past] = old
        room[:, :, past:] = np.einsum("bjd,dhe->bhje", x, w)
        both.append(room)
    scores = np.einsum("bid,dhe,bhje->bhij", x, w_q, both[0])
    scores = scores * w_q.shape[-1] ** -0.5
    scores += np.triu(np.full((new, past + new), -1e9), past + 1)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    out = weights["w_o"].reshape(num_heads, -1, x.shape[-1])
    return np.einsum("bhij,bhje,hed->bid", shares, both[1], out), *both


def with_loops(x, keys, values, weights, num_heads):
    """One new token after another: then there is nothing to mask."""
    outputs, width = [], x.shape[-1] // num_heads
    for i in range(x.shape[1]):
        token, rows = x[:, i], []
        for name in ("w_k", "w_v"):
            projected = token @ weights[name]
            parts = np.split(projected, num_heads, axis=-1)
            part = np.stack(parts, axis=1)[:, :, None]
            if name == "w_k":
                keys = np.append(keys, part, axis=2)
            else:
                values = np.append(values, part, axis=2)
        for b in range(len(x)):
            query = (token[b] @ weights["w_q"]).reshape(num_heads, width)
            heads = []
            for h in range(num_heads):
                scores = [query[h] @ key / math.sqrt(width) for key in keys[b, h]]
                shares = [math.exp(s - max(scores)) for s in scores]
                heads.append(np.dot(shares, values[b, h]) / sum(shares))
            rows.append(np.concatenate(heads) @ weights["w_o"])
        outputs.append(rows)
    return np.array(outputs).transpose(1, 0, 2), keys, values


def with_tensorflow(x, keys, values, weights, num_heads):
    """Positions before heads; and a mask by comparing places."""

    def split(w):
        projected = x @ tf.constant(w)
        shape = (*x.shape[:2], num_heads, x.shape[-1] // num_heads)
        return tf.reshape(projected, shape)

    def joined(old, w):
        return tf.concat([tf.transpose(old, (0, 2, 1, 3)), split(w)], axis=1)

    keys, values = (joined(keys, weights["w_k"]), joined(values, weights["w_v"]))
    query = split(weights["w_q"]) / math.sqrt(keys.shape[-1])
    scores = tf.einsum("bihe,bjhe->bihj", query, keys)
    total, new = keys.shape[1], x.shape[1]
    later = tf.range(total)[None] > tf.range(total - new, total)[:, None]
    scores = tf.where(later[:, None], -np.inf, scores)
    heads = tf.einsum("bihj,bjhe->bihe", tf.nn.softmax(scores), values)
    output = tf.reshape(heads, x.shape) @ weights["w_o"]
    return (output, tf.einsum("bjhe->bhje", keys), tf.einsum("bjhe->bhje", values))


def with_package(x, keys, values, weights, num_heads):
    layer = MultiHeadAttention(d_model=x.shape[-1], num_heads=num_heads, use_bias=False)
    layer.build(x.shape, x.shape, x.shape)
    layer.query_dense.kernel.assign(weights["w_q"])
    layer.key_dense.kernel.assign(weights["w_k"])
    layer.value_dense.kernel.assign(weights["w_v"])
    layer.output_dense.kernel.assign(weights["w_o"])
    past, new = keys.shape[2], x.shape[1]
    cache = layer.empty_cache(len(x), past + new)
    for pair, start in (((keys, values), 0), (layer.keys_and_values(x, x), past)):
        cache = [write_cache(slots, part, start) for slots, part in zip(cache, pair, strict=True)]
    mask = causal_mask(new, past + new, start=past)
    output, _ = layer.attend(x, *cache, mask)
    return output, *cache


STYLES = {
    "einsum": {"attend_with_cache": with_einsum},
    "loops": {"attend_with_cache": with_loops},
    "tensorflow": {"attend_with_cache": with_tensorflow},
    "package": {"attend_with_cache": with_package},
}
