"""Ways to write label smoothing that are right, all unlike the answer."""

import numpy as np
import tensorflow as tf

from minitransformer.learning.losses import masked_cross_entropy


def einsum_loss(logits, targets, weights, label_smoothing):
    vocab_size = logits.shape[-1]
    soft = np.full(logits.shape, label_smoothing / vocab_size)
    np.put_along_axis(
        soft, targets[..., None], 1 - label_smoothing + label_smoothing / vocab_size, axis=-1
    )
    log_p = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    return -np.einsum("bt,btv,btv->", weights, soft, log_p) / max(np.sum(weights), 1.0)


def loop_loss(logits, targets, weights, label_smoothing):
    total, count, vocab_size = 0.0, 0, logits.shape[-1]
    for b, t in np.argwhere(weights > 0):
        z = logits[b, t].astype("float64")
        normalizer = max(z) + np.log(np.sum(np.exp(z - max(z))))
        for v in range(vocab_size):
            q = label_smoothing / vocab_size
            if v == targets[b, t]:
                q += 1 - label_smoothing
            total += q * (normalizer - z[v])
        count += 1
    return total / count if count else 0.0


def two_parts_loss(logits, targets, weights, label_smoothing):
    """The plain loss and the even one, mixed at the very end."""
    real = weights > 0
    if not np.any(real):
        return 0.0
    z, y = logits[real], targets[real]
    z = z - z.max(1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    plain = -np.mean(log_p[range(len(y)), y])
    return (1 - label_smoothing) * plain - label_smoothing * np.mean(log_p)


def tensor_loss(logits, targets, weights, label_smoothing):
    vocab_size = logits.shape[-1]
    even = label_smoothing / vocab_size
    soft = tf.one_hot(targets, vocab_size, on_value=1 - label_smoothing + even, off_value=even)
    surprise = tf.nn.softmax_cross_entropy_with_logits(soft, logits)
    return tf.math.divide_no_nan(tf.reduce_sum(surprise * weights), tf.reduce_sum(weights))


def package_loss(logits, targets, weights, label_smoothing):
    total, count = masked_cross_entropy(logits, targets, weights, label_smoothing)
    return total / tf.maximum(count, 1)


STYLES = {
    "einsum": {"smoothed_cross_entropy": einsum_loss},
    "loops": {"smoothed_cross_entropy": loop_loss},
    "two parts": {"smoothed_cross_entropy": two_parts_loss},
    "TensorFlow": {"smoothed_cross_entropy": tensor_loss},
    "package": {"smoothed_cross_entropy": package_loss},
}
