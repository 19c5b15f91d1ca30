"""Validation: the mean loss over data that no step has learned from."""

from collections.abc import Callable, Iterable

import tensorflow as tf

from minitransformer.learning.losses import masked_cross_entropy, total
from minitransformer.learning.plain_step import predict


def compile_evaluation(
    model: Callable,
    *,
    use_xla: bool,
    measure: Callable = masked_cross_entropy,
) -> Callable[[Iterable], float]:
    """Compile a function that measures a mean over a dataset.

    Args:
        model: Maps inputs to logits.
        use_xla: Whether XLA compiles.
        measure: What is measured: the loss, or `masked_accuracy`.

    Returns:
        A function of a dataset of (inputs, targets, weights); it returns
        the mean over all targets that count, as a float.
    """

    @tf.function(jit_compile=use_xla, autograph=False)
    def batch_sums(inputs, targets, weights):
        return total(measure, predict(model, inputs), targets, weights)

    def mean(dataset):
        measured, weight = 0.0, 0.0
        for batch in dataset:
            batch_measured, batch_weight = batch_sums(*batch)
            measured += float(batch_measured)
            weight += float(batch_weight)
        return measured / weight

    return mean
