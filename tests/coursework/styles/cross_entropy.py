"""Ways to write the loss that are right, all unlike the answer."""

import numpy as np
import tensorflow as tf

from minitransformer.learning.losses import masked_cross_entropy


def one_hot_loss(logits, targets, weights):
    one_hot = (targets[..., None] == np.arange(logits.shape[-1])).astype("float32")
    peak = logits.max(-1, keepdims=True)
    log_sum = peak[..., 0] + np.log(np.einsum("btv->bt", np.exp(logits - peak)))
    surprise = log_sum - np.einsum("btv,btv->bt", logits, one_hot)
    count = np.einsum("bt->", weights)
    return np.einsum("bt,bt->", surprise, weights) / count if count else 0.0


def loop_loss(logits, targets, weights):
    surprises = []
    for row, ids, counts in zip(logits, targets, weights, strict=True):
        for z, y, w in zip(row, ids, counts, strict=True):
            if w:
                z = z.astype("float64")
                surprises.append(max(z) - z[y] + np.log(sum(np.exp(z - max(z)))))
    return sum(surprises) / len(surprises) if surprises else 0.0


def chosen_loss(logits, targets, weights):
    """Only look at what counts, and add two numbers at a time."""
    real = weights.astype(bool)
    if not real.any():
        return np.float32(0)
    rows, ids = logits[real], targets[real]  # (counting, vocab_size)
    return np.mean(np.logaddexp.reduce(rows, axis=1) - rows[np.arange(len(ids)), ids])


def tensor_loss(logits, targets, weights):
    log_p = tf.nn.log_softmax(logits)
    surprise = -tf.gather(log_p, targets, batch_dims=2)
    return tf.math.divide_no_nan(tf.reduce_sum(surprise * weights), tf.reduce_sum(weights))


def package_loss(logits, targets, weights):
    total, count = masked_cross_entropy(logits, targets, weights)
    return total / tf.maximum(count, 1)


STYLES = {
    "einsum": {"masked_cross_entropy": one_hot_loss},
    "loops": {"masked_cross_entropy": loop_loss},
    "only what counts": {"masked_cross_entropy": chosen_loss},
    "TensorFlow": {"masked_cross_entropy": tensor_loss},
    "package": {"masked_cross_entropy": package_loss},
}
