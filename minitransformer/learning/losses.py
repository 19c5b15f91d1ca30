"""The one loss: cross-entropy over the targets that count; and accuracy."""

import tensorflow as tf


def masked_cross_entropy(logits, targets, weights, label_smoothing=0.0):
    """Measure how surprised the model is by the targets, in nats.

        loss = Σₜ weightₜ · −log softmax(logitsₜ)[targetₜ]  /  Σₜ weightₜ

    With label smoothing ε, the target gets only 1 − ε of the probability
    that the model is asked for, and all tokens share the rest.

    The two sums are returned apart, for a mean of means is wrong when the
    batches hold different numbers of real tokens: add up both, over
    batches, accumulated steps or machines, and divide once.

    Args:
        logits: `(batch, seq, vocab_size)`.
        targets: Integers `(batch, seq)`.
        weights: `(batch, seq)`: 1 where a target counts, 0 for padding.
        label_smoothing: ε, from 0 up to 1; for training only.

    Returns:
        loss_sum: Scalar, the weighted sum.
        weight_sum: Scalar, what to divide it by.

    References:
        Szegedy et al. 2016, §7, for label smoothing; Vaswani et al. 2017,
        §5.4, where ε is 0.1.
    """
    logits = tf.cast(logits, tf.float32)  # whatever the model computes in
    surprise = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=targets, logits=logits
    )  # (batch, seq)
    if label_smoothing:
        # The mean surprise of all tokens: Σᵥ −log softmax(logits)ᵥ / V
        evenly = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)
        surprise += label_smoothing * (evenly - surprise)
    weights = tf.cast(weights, surprise.dtype)
    return tf.reduce_sum(surprise * weights), tf.reduce_sum(weights)


def masked_accuracy(logits, targets, weights):
    """Count how often the likeliest token is the target.

    Args:
        logits, targets, weights: As for `masked_cross_entropy`.

    Returns:
        hits: Scalar, the weighted number of targets that were right.
        weight_sum: Scalar, what to divide it by.
    """
    right = tf.argmax(logits, -1, output_type=targets.dtype) == targets
    weights = tf.cast(weights, tf.float32)
    hits = tf.cast(right, tf.float32) * weights
    return tf.reduce_sum(hits), tf.reduce_sum(weights)
