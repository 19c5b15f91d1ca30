"""The one loss: cross-entropy over the targets that count."""

import tensorflow as tf


def masked_cross_entropy(logits, targets, weights):
    """Measure how surprised the model is by the targets, in nats.

        loss = Σₜ weightₜ · −log softmax(logitsₜ)[targetₜ]  /  Σₜ weightₜ

    The two sums are returned apart, for a mean of means is wrong when the
    batches hold different numbers of real tokens: add up both, over
    batches, accumulated steps or machines, and divide once.

    Args:
        logits: `(batch, seq, vocab_size)`.
        targets: Integers `(batch, seq)`.
        weights: `(batch, seq)`: 1 where a target counts, 0 for padding.

    Returns:
        loss_sum: Scalar, the weighted sum.
        weight_sum: Scalar, what to divide it by.
    """
    logits = tf.cast(logits, tf.float32)  # whatever the model computes in
    surprise = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=targets, logits=logits
    )  # (batch, seq)
    weights = tf.cast(weights, surprise.dtype)
    return tf.reduce_sum(surprise * weights), tf.reduce_sum(weights)
