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

import numpy as np
import tensorflow as tf

from minitransformer.learning.steps import compile_steps, longest
from minitransformer.learning.strategies import sum_over_workers


def train(
    model,
    optimizer,
    batches,
    *,
    steps,
    evaluate,
    evaluate_every,
    start=0,
    clip_norm=1.0,
    accumulate=1,
    seed=0,
    use_xla=True,
    label_smoothing=0.0,
    checkpoints=None,
    checkpoint_every=250,
    report=lambda row: None,
):
    """Train until `steps` are made, or Ctrl-C is pressed.

    Args:
        model: Maps inputs to logits; several inputs come as a tuple.
        optimizer: From `make_optimizer`.
        batches: Function from a number n to a dataset of (inputs, targets,
            weights) that begins with batch n and does not end. A model that
            is asked several questions has tuples of them. Those of one
            compiled call must have the same shape: there are ten batches
            in it, times `accumulate`, if the intervals below allow it.
        steps: Number of steps in all, those before a resume included.
        evaluate: Function without arguments that returns the validation
            loss.
        evaluate_every: Steps between evaluations; the last step has one.
        start: Steps already made, by a run that is resumed.
        clip_norm: The gradient's global norm is cut to this.
        accumulate: Number of batches that make one step together.
        seed: Where the random streams of dropout begin.
        use_xla: Whether XLA compiles.
        label_smoothing: As for `masked_cross_entropy`.
        checkpoints: A `Checkpoints` to save to, or None.
        checkpoint_every: Steps between checkpoints; the last step has one.
        report: Function of a dictionary: step, loss, valid_loss (None
            between evaluations), learning_rate, grad_norm, tokens_per_s,
            seconds (of this call). It is called after each compiled call.

    Returns:
        The number of steps made: less than `steps` after Ctrl-C, and then
        the checkpoint is saved.

    Raises:
        FloatingPointError: if the loss is no longer a number.
        OSError: if a checkpoint cannot be written.
    """
    done = start
    # The most steps in a call, up to ten, that meet what is due between.
    often = math.gcd(evaluate_every, checkpoint_every)
    call = max(n for n in range(1, 11) if often % n == 0)
    run = compile_steps(
        model,
        optimizer,
        clip_norm=clip_norm,
        accumulate=accumulate,
        seed=seed,
        use_xla=use_xla,
        label_smoothing=label_smoothing,
    )
    stacks = iter(
        batches(done * accumulate).batch(call * accumulate).prefetch(2)
    )
    total = sum_over_workers(tf.distribute.get_strategy())
    started, stop = time.perf_counter(), False
    with ctrl_c() as pressed:
        while done < steps and not stop:
            since = time.perf_counter()
            count = min(call, steps - done)
            stack = next(stacks)
            loss, norm = run(stack, tf.constant(done), tf.constant(count))
            loss, norm = float(loss), float(norm)  # waits for the result
            now = time.perf_counter()
            done += count
            if not np.isfinite([loss, norm]).all():
                raise FloatingPointError(
                    f"At step {done} the loss is {loss} and its gradient's "
                    f"norm {norm}: try a lower learning rate."
                )
            last = done == steps
            measured = done % evaluate_every == 0 or last
            report(
                {
                    "step": done,
                    "loss": loss,
                    "valid_loss": evaluate() if measured else None,
                    "learning_rate": float(
                        tf.convert_to_tensor(optimizer.learning_rate)
                    ),
                    "grad_norm": norm,
                    "tokens_per_s": count
                    * tokens(stack, accumulate)
                    / (now - since),
                    "seconds": time.perf_counter() - started,
                }
            )
            stop = total([float(pressed())])[0] > 0  # anyone's Ctrl-C
            due = done % checkpoint_every == 0 or last or stop
            if checkpoints and due:
                checkpoints.save(done)
    return done


def tokens(stack, accumulate):
    """Count the tokens in a step: the longest rows of its batches."""
    rows = tf.nest.flatten(stack)[0].shape[1]
    return float(accumulate * rows * longest(stack))


@contextlib.contextmanager
def ctrl_c():
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
