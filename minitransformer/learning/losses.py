"""Losses: cross-entropy and accuracy over the targets that count."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from minitransformer.runs.given import rate


def masked_cross_entropy(
    logits: tf.Tensor,
    targets: tf.Tensor,
    weights: tf.Tensor,
    label_smoothing: float = 0.0,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Measure how surprised the model is by the targets, in nats.

        loss = Σₜ weightₜ · −ln softmax(logitsₜ)[targetₜ]  /  Σₜ weightₜ

    With label smoothing ε, the share ε of the probability is asked for all
    tokens in equal parts, and only the remaining 1 − ε for the target.

    The two sums are returned separately: averaging the means of batches is
    wrong when they hold different numbers of real tokens. Add up both sums
    over batches or machines, and divide once.

    Args:
        logits: `(batch, seq, vocab_size)`.
        targets: Integers `(batch, seq)`.
        weights: `(batch, seq)`: 1 where a target counts, 0 for padding.
        label_smoothing: ε, from 0 up to 1; for training only.

    Returns:
        Two scalars: the weighted sum, and what to divide it by.

    Raises:
        TypeError, ValueError: if `label_smoothing` is not in [0, 1).

    References:
        Szegedy et al. 2016, §7, for label smoothing; Vaswani et al. 2017,
        §5.4, where ε is 0.1.
    """
    label_smoothing = rate("label_smoothing", label_smoothing, below=1)
    logits = tf.cast(logits, tf.float32)  # whatever the model computes in
    surprise = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=targets, logits=logits
    )  # (batch, seq)
    if label_smoothing:
        # The mean surprise of all tokens: Σᵥ −ln softmax(logits)ᵥ / V
        mean_surprise = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)
        surprise += label_smoothing * (mean_surprise - surprise)
    weights = tf.cast(weights, surprise.dtype)
    return tf.reduce_sum(surprise * weights), tf.reduce_sum(weights)


def masked_accuracy(
    logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Count how often the likeliest token is the target.

    Args:
        logits, targets, weights: Same as in `masked_cross_entropy`.

    Returns:
        Two scalars: the sum of weights where it is, and of all weights.
    """
    right = tf.argmax(logits, -1, output_type=targets.dtype) == targets
    weights = tf.cast(weights, tf.float32)
    hits = tf.cast(right, tf.float32) * weights
    return tf.reduce_sum(hits), tf.reduce_sum(weights)


def total(
    measure: Callable, logits: Any, targets: Any, weights: Any
) -> tuple[tf.Tensor, tf.Tensor]:
    """Measure one task, or several tasks in tuples.

        loss = (Σ first losses + Σ second losses + …) / Σ first weights

    For losses only: accuracies of different tasks cannot be added.

    Args:
        measure: `masked_cross_entropy`, or another function of its form.
        logits, targets, weights: Its arguments, or a tuple of each with an
            entry per task. The weights of all tasks but the first say how
            much these tasks count.

    Returns:
        Two scalars: the sum, and what to divide it by.
    """
    if not isinstance(logits, tuple):
        return measure(logits, targets, weights)
    tasks = zip(logits, targets, weights, strict=True)
    sums = [measure(*task) for task in tasks]
    return sum(task_sum for task_sum, _ in sums), sums[0][1]
