"""Training: the one loop that trains every model of this package.

Several steps run in one compiled call. Between two calls the loop measures,
saves, and reacts to Ctrl-C.
"""

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from minitransformer.learning.checkpoints import Checkpoints
from minitransformer.learning.checks import (
    check_ids,
    check_weights,
    explained,
    likely_cause,
    next_stack,
    not_finite,
)
from minitransformer.learning.fast_steps import compile_steps, longest
from minitransformer.learning.losses import masked_cross_entropy
from minitransformer.learning.strategies import sum_over_workers
from minitransformer.runs.given import at_least
from minitransformer.runs.signals import ENDING, heard

MOST_STEPS = 10  # in one compiled call


class Row(NamedTuple):
    """The measurements after a compiled call: a row of `log.csv`."""

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
    """Train until `steps` are made, or a signal asks to stop.

    Args:
        model: Maps inputs to logits; several inputs come as a tuple.
        optimizer: From `make_optimizer`.
        batches: Function from a number n to an endless dataset of (inputs,
            targets, weights) that begins with batch n; for several tasks,
            targets and weights are tuples. The batches of one call must
            have the same shape (see `steps_per_call`).
        steps: Number of all steps, with those before a resume.
        evaluate: Function that returns the validation loss.
        evaluate_every, save_every: Steps between evaluations, and between
            checkpoints; both also follow the last step.
        start: Number of steps before a resume.
        accumulate: Number of batches that make one step together.
        seed, use_xla, loss: Same as in `compile_steps`.
        checkpoints: Where to save the state, or None.
        report: Function of a `Row`, called after each compiled call.

    Returns:
        The number of steps made: less than `steps` after Ctrl-C, when the
        checkpoint is saved. SIGTERM and SIGHUP also save, and then act as
        usual.

    Raises:
        TypeError, ValueError: if an argument or a batch makes no sense.
        FloatingPointError: if the loss is NaN or infinite.
        OSError: if a checkpoint cannot be written.
    """
    steps, start, seed = at_least(0, steps=steps, start=start, seed=seed)
    accumulate, evaluate_every, save_every = at_least(
        1,
        accumulate=accumulate,
        evaluate_every=evaluate_every,
        save_every=save_every,
    )
    for name, value in (("batches", batches), ("evaluate", evaluate)):
        if not callable(value):
            kind = type(value).__name__
            raise TypeError(f"{name} is a {kind}: give a function.")
    if bad := not_finite(model):
        raise ValueError(
            f"{bad} holds NaN or infinity before the first step: load "
            "other weights, or make the model again."
        )
    per_call = steps_per_call(evaluate_every, save_every)
    make_steps = compile_steps(
        model,
        optimizer,
        seed=seed,
        use_xla=use_xla,
        accumulate=accumulate,
        loss=loss,
    )
    dataset = batches(start * accumulate)
    spec = getattr(dataset, "element_spec", ())
    if not isinstance(spec, tuple) or len(spec) != 3:
        raise TypeError(
            f"batches({start * accumulate}) is a {type(dataset).__name__}, "
            "expected a tf.data.Dataset of (inputs, targets, weights)."
        )
    stacks = iter(dataset.batch(per_call * accumulate).prefetch(2))
    over_workers = sum_over_workers(tf.distribute.get_strategy())
    done, stopped, began = start, False, time.perf_counter()
    with signals() as received:
        while done < steps and not stopped:
            call_began = time.perf_counter()
            count = min(per_call, steps - done)
            stack = next_stack(stacks, count * accumulate)
            check_ids(model, stack[0])
            check_weights(stack[2], accumulate)
            with explained(model, stack):
                results = make_steps(
                    stack, tf.constant(done), tf.constant(count)
                )
                mean_loss, norm = map(float, results)  # waits for them
            tokens = count * tokens_per_step(stack, accumulate)
            pace = tokens / (time.perf_counter() - call_began)
            done += count
            if not np.isfinite([mean_loss, norm]).all():
                now = time.perf_counter() - began
                report(Row(done, mean_loss, None, None, norm, pace, now))
                cause = likely_cause(model, stack)
                raise FloatingPointError(
                    f"At step {done} the loss is {mean_loss} and its "
                    f"gradient's norm {norm}: "
                    f"{cause or 'try a lower learning rate'}."
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
                tokens_per_s=pace,
                seconds=time.perf_counter() - began,
            )
            report(row)
            # A signal at any worker stops all after the same step.
            stopped = over_workers([float(bool(received))])[0] > 0
            if checkpoints and (done % save_every == 0 or last or stopped):
                checkpoints.save(done)
    return done


def steps_per_call(evaluate_every: int, save_every: int) -> int:
    """Find the largest number, at most ten, that divides both intervals.

    >>> steps_per_call(500, 250), steps_per_call(12, 250)
    (10, 2)
    """
    interval = math.gcd(evaluate_every, save_every)
    return max(n for n in range(1, MOST_STEPS + 1) if interval % n == 0)


def tokens_per_step(stack: Any, accumulate: int) -> float:
    """Count the tokens in a step, by the longest rows of its batches."""
    rows = tf.nest.flatten(stack)[0].shape[1]
    return float(accumulate * rows * longest(stack))


@contextlib.contextmanager
def signals() -> Iterator[list[int]]:
    """Note the first signal in the list it yields; the second one stops."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread receives signals
        return

    def note(number, frame):
        received.append(number)
        with contextlib.suppress(OSError):
            os.write(
                2, b"\nsaving after this step; again to stop at once\n"
            )
        restore()

    def restore():
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {n: signal.getsignal(n) for n in ENDING if heard(n)}
    for number in before:
        signal.signal(number, note)
    try:
        yield received
    finally:
        restore()
    if received and received[0] != signal.SIGINT:
        signal.raise_signal(received[0])
