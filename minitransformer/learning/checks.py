"""Checks: mistakes in batches that compiled code cannot report.

A compiled step cannot raise. An id outside the vocabulary, a dataset that
ends early, or a batch in which no target counts becomes a wrong number or
NaN. So batches are checked before they go in.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from minitransformer.learning.plain_step import predict


def next_stack(stacks: Iterator, needed: int) -> Any:
    """Take the batches of the next call from an iterator of stacks.

    Raises:
        ValueError: if their shapes differ, or fewer than `needed` are left.
    """
    try:
        stack = next(stacks, None)
    except tf.errors.InvalidArgumentError as error:
        if "Cannot batch" not in error.message:
            raise
        raise ValueError(
            "The batches of one call differ in shape, expected one shape: "
            "drop the last, smaller batch (drop_remainder=True), and pad "
            "all batches of a call to one length."
        ) from error
    found = 0 if stack is None else len(tf.nest.flatten(stack)[0])
    if found < needed:
        raise ValueError(
            f"The dataset ended: the next call needs {needed} batches, and "
            f"{found} were left. Make it endless with dataset.repeat()."
        )
    return stack


def table_rows(model: Callable, *, positions: bool) -> int:
    """Count the rows of a model's largest table; 0 if it has none.

    Args:
        model: A model, or any function.
        positions: Whether tables of positions count.
    """
    sizes = [
        variable.shape[0]
        for variable in getattr(model, "variables", [])
        if variable.path.endswith(("/table", "/embeddings"))
        and (positions or "positions" not in variable.path)
    ]
    return max(sizes, default=0)


def check_ids(model: Callable, inputs: Any) -> None:
    """Refuse ids outside the largest table: XLA would take another row.

    Args:
        model: A model; one without tables has no ids to check.
        inputs: An array, or a tuple of them, such as a BERT's ids and
            positions. Arrays of floats are not ids.
    """
    rows = table_rows(model, positions=isinstance(inputs, tuple))
    for ids in map(np.asarray, tf.nest.flatten(inputs) if rows else []):
        if ids.dtype.kind not in "iu" or not ids.size:
            continue
        if ids.min() < 0 or ids.max() >= rows:
            raise ValueError(
                f"The inputs have ids from {ids.min()} to {ids.max()}, the "
                f"model's table has rows from 0 to {rows - 1}: use the "
                "tokenizer that the model was made for."
            )


def check_weights(weights: Any, accumulate: int) -> None:
    """Refuse a step in which no target counts: its gradient is 0 / 0.

    Args:
        weights: A stack `(batches, …)`, or a tuple of which the first task
            decides.
        accumulate: Number of batches that make one step together.
    """
    array = np.asarray(tf.nest.flatten(weights)[0])
    sums = array.reshape(len(array), -1).sum(axis=1)
    steps = sums[: len(sums) // accumulate * accumulate]
    steps = steps.reshape(-1, accumulate).sum(axis=1)
    if not (steps > 0).all():
        raise ValueError(
            "In a batch no target counts: its weights add up to "
            f"{steps.min():g}. Leave it out, or give weights above 0."
        )


def not_finite(model: Any) -> str | None:
    """Return the name of a weight with NaN or infinity, or None."""
    for variable in model.trainable_variables:
        if not np.isfinite(variable.numpy()).all():
            return variable.path
    return None


def likely_cause(model: Callable, stack: Any) -> str | None:
    """Say why the loss of a stack is NaN; None if its batches are fine."""
    inputs, targets, weights = stack
    first = tf.nest.map_structure(lambda array: array[0], inputs)
    logits = tf.nest.flatten(predict(model, first))
    for answer, ids in zip(logits, tf.nest.flatten(targets), strict=True):
        low, high = int(tf.reduce_min(ids)), int(tf.reduce_max(ids))
        if low < 0 or high >= answer.shape[-1]:
            return (
                f"targets are from {low} to {high}, but the logits are for "
                f"0 to {answer.shape[-1] - 1}"
            )
    for array in tf.nest.flatten((inputs, weights)):
        if not np.isfinite(array).all():
            return "a batch holds NaN or infinity"
    return None


@contextlib.contextmanager
def explained(model: Callable, stack: Any) -> Iterator[None]:
    """Turn TensorFlow's error about a target's id into one sentence."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if cause := likely_cause(model, stack):
            raise ValueError(f"The {cause}.") from error
        raise
