"""Training: the one loop that every model here is trained by.

Several steps run inside one compiled call; between the calls there is time
to measure, to save, and to notice Ctrl-C.
"""

import contextlib
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from minitransformer.learning.checkpoints import Checkpoints
from minitransformer.learning.fast_steps import compile_steps, longest
from minitransformer.learning.losses import masked_cross_entropy
from minitransformer.learning.strategies import sum_over_workers

MOST_STEPS = 10  # in one compiled call


class Row(NamedTuple):
    """What is known after a compiled call: a row of `log.csv`."""

    step: int
    loss: float | None  # the call's mean, with dropout
    valid_loss: float | None  # None between evaluations
    learning_rate: float | None
    grad_norm: float | None  # the last step's, before clipping
    tokens_per_s: float | None
    seconds: float  # since training began


def train(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    batches: Callable[[int], tf.data.Dataset],
    *,
    steps: int,
    evaluate: Callable[[], float | None],
    evaluate_every: int,
    start: int = 0,
    accumulate: int = 1,
    seed: int = 0,
    use_xla: bool = True,
    loss: Callable = masked_cross_entropy,
    checkpoints: Checkpoints | None = None,
    save_every: int = 250,
    report: Callable[[Row], None] = lambda row: None,
) -> int:
    """Train until `steps` are made, or Ctrl-C is pressed.

    Args:
        model: Maps inputs to logits; several inputs come as a tuple.
        optimizer: From `make_optimizer`.
        batches: Function from a number n to a dataset of (inputs, targets,
            weights) that begins with batch n and does not end. A model that
            learns several tasks has tuples of them. Those of one compiled
            call must have the same shape: there are ten steps in it, or as
            many as divide the intervals below.
        steps: Number of steps in all, those before a resume included.
        evaluate: Function without arguments that returns the validation
            loss.
        evaluate_every: Steps between evaluations; one always follows the
            last step.
        start: Steps already made, by a run that is resumed.
        accumulate: Number of batches that make one step together.
        seed: Where the random streams of dropout begin.
        use_xla: Whether XLA compiles.
        loss: The same as in `plain_step`; the training loss is its mean.
        checkpoints: Where to save the state, or None.
        save_every: Steps between checkpoints; one always follows the last
            step.
        report: Function of a `Row`, called after each compiled call.

    Returns:
        The number of steps made: less than `steps` after Ctrl-C, and then
        the checkpoint is saved.

    Raises:
        FloatingPointError: if the loss is no longer a number.
        OSError: if a checkpoint cannot be written.
    """
    per_call = steps_per_call(evaluate_every, save_every)
    make_steps = compile_steps(
        model,
        optimizer,
        seed=seed,
        use_xla=use_xla,
        accumulate=accumulate,
        loss=loss,
    )
    dataset = batches(start * accumulate).batch(per_call * accumulate)
    stacks = iter(dataset.prefetch(2))
    over_workers = sum_over_workers(tf.distribute.get_strategy())
    done, stopped, began = start, False, time.perf_counter()
    with ctrl_c() as pressed:
        while done < steps and not stopped:
            call_began = time.perf_counter()
            count = min(per_call, steps - done)
            stack = next(stacks)
            results = make_steps(
                stack, tf.constant(done), tf.constant(count)
            )
            mean_loss, norm = map(float, results)  # waits for the results
            pace = count / (time.perf_counter() - call_began)
            done += count
            if not np.isfinite([mean_loss, norm]).all():
                raise FloatingPointError(
                    f"At step {done} the loss is {mean_loss} and its "
                    f"gradient's norm {norm}: try a lower learning rate."
                )
            last = done == steps
            measured = done % evaluate_every == 0 or last
            row = Row(
                step=done,
                loss=mean_loss,
                valid_loss=evaluate() if measured else None,
                learning_rate=float(
                    tf.convert_to_tensor(optimizer.learning_rate)
                ),
                grad_norm=norm,
                tokens_per_s=pace * tokens_per_step(stack, accumulate),
                seconds=time.perf_counter() - began,
            )
            report(row)
            # Anyone's Ctrl-C stops all workers after the same step.
            stopped = over_workers([float(pressed())])[0] > 0
            if checkpoints and (done % save_every == 0 or last or stopped):
                checkpoints.save(done)
    return done


def steps_per_call(evaluate_every: int, save_every: int) -> int:
    """Find the most steps, up to ten, that divide both intervals.

    >>> steps_per_call(500, 250), steps_per_call(12, 250)
    (10, 2)
    """
    interval = math.gcd(evaluate_every, save_every)
    return max(n for n in range(1, MOST_STEPS + 1) if interval % n == 0)


def tokens_per_step(stack: Any, accumulate: int) -> float:
    """Count the tokens in a step: the longest rows of its batches."""
    rows = tf.nest.flatten(stack)[0].shape[1]
    return float(accumulate * rows * longest(stack))


@contextlib.contextmanager
def ctrl_c() -> Iterator[Callable[[], bool]]:
    """Notice Ctrl-C instead of stopping at once; the second one stops.

    Yields:
        A function that tells whether it was pressed.
    """
    pressed = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # only the main thread hears signals
        return

    def note(number, frame):
        pressed.append(number)
        sys.stderr.write(
            "\nsaving after this step; again to stop at once\n"
        )
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
