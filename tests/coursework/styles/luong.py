"""Ways to write Luong's step that are right, all unlike the answer."""

import numpy as np
import tensorflow as tf

from minitransformer.scoring import GeneralScore, attend


def einsum_step(state, memory, padding_mask, w_a, w_c):
    scores = np.einsum("bu,bsm,mu->bs", state, memory, w_a)
    scores = np.where(padding_mask, scores, -np.inf)
    weights = np.exp(scores - scores.max(1)[:, None])
    weights = np.einsum("bs,b->bs", weights, 1 / weights.sum(1))
    context = np.einsum("bs,bsm->bm", weights, memory)
    width = memory.shape[-1]
    return np.tanh(context @ w_c[:width] + state @ w_c[width:]), weights


def loop_step(state, memory, padding_mask, w_a, w_c):
    attentional = np.zeros((len(state), w_c.shape[1]))
    weights = np.zeros(padding_mask.shape)
    for b, h in enumerate(state):
        real = [j for j in range(memory.shape[1]) if padding_mask[b, j]]
        scores = {j: float(h @ (w_a.T @ memory[b, j])) for j in real}
        highest = max(scores.values())
        total = sum(np.exp(score - highest) for score in scores.values())
        context = np.zeros(memory.shape[2])
        for j in real:
            weights[b, j] = np.exp(scores[j] - highest) / total
            context += weights[b, j] * memory[b, j]
        attentional[b] = np.tanh([*context, *h] @ w_c)
    return attentional, weights


def query_side_step(state, memory, padding_mask, w_a, w_c):
    """Source first, batch last; the state is projected, not the memory."""
    rows = memory.transpose(1, 2, 0)  # (source, memory_units, batch)
    query = w_a @ state.T  # (memory_units, batch)
    scores = (rows * query).sum(axis=1)
    weights = np.exp(
        scores - np.where(padding_mask.T, scores, -1e9).max(0), where=padding_mask.T, out=0 * scores
    )
    weights = weights / weights.sum(0)
    context = (rows * weights[:, None]).sum(0)
    return np.tanh(w_c.T @ np.vstack([context, state.T])).T, weights.T


def tensor_step(state, memory, padding_mask, w_a, w_c):
    scores = tf.linalg.matvec(tf.matmul(memory, w_a[None]), state)
    weights = tf.nn.softmax(scores + tf.where(padding_mask, 0.0, -1e9))
    context = tf.reduce_sum(weights[..., None] * memory, axis=1)
    return tf.tanh(tf.concat([context, state], axis=1) @ w_c), weights


def package_step(state, memory, padding_mask, w_a, w_c):
    score = GeneralScore(units=state.shape[-1])
    score.key_dense.build(memory.shape)
    score.key_dense.kernel.assign(w_a)
    context, weights = attend(score, state[:, None], score.keys(memory), memory, padding_mask)
    joined = tf.concat([context[:, 0], state], axis=-1)
    return tf.tanh(joined @ w_c), weights[:, 0]


STYLES = {
    "einsum": {"luong_step": einsum_step},
    "loops": {"luong_step": loop_step},
    "the state is projected": {"luong_step": query_side_step},
    "TensorFlow": {"luong_step": tensor_step},
    "package": {"luong_step": package_step},
}
