"""Validation: the mean loss over data that no step has learned from."""

import math
from collections.abc import Callable, Iterable

import tensorflow as tf

from minitransformer.learning.checks import (
    check_ids,
    explained,
    likely_cause,
)
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
        measure: `masked_cross_entropy`, `masked_accuracy`, or a function
            that returns two sums as these do.

    Returns:
        A function of a dataset of (inputs, targets, weights). It returns
        the mean over all targets that count, as a float. It raises
        ValueError if no target counts, FloatingPointError for NaN.
    """

    @tf.function(jit_compile=use_xla, autograph=False)
    def batch_sums(inputs, targets, weights):
        return total(measure, predict(model, inputs), targets, weights)

    def mean(dataset):
        measured, weight, batches = 0.0, 0.0, 0
        for batches, batch in enumerate(dataset, 1):
            check_ids(model, batch[0])
            stack = tf.nest.map_structure(lambda a: a[None], batch)
            with explained(model, stack):
                sums = [float(part) for part in batch_sums(*batch)]
            measured, weight = measured + sums[0], weight + sums[1]
            if not math.isfinite(measured):
                cause = likely_cause(model, stack) or "its weights diverged"
                raise FloatingPointError(
                    f"The mean of batch {batches} is {measured}: {cause}."
                )
        if not weight > 0:
            raise ValueError(
                f"Cannot evaluate: the weights of {batches} batches add up "
                f"to {weight:g}. Give data with targets that count."
            )
        return measured / weight

    return mean
