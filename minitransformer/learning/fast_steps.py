"""Fast steps: the plain step, compiled, for several steps, cores, devices.

They are fast because ten steps run in one compiled call, two cores compute
halves of a batch, each in parts that fit into the processor's caches, and
replicas share it. They are exact because sums are divided once, and random
numbers depend only on the seed, the step and the part (`streams`).
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from minitransformer.learning.losses import masked_cross_entropy, total
from minitransformer.learning.plain_step import CLIP_NORM, predict
from minitransformer.learning.rows import added, divided
from minitransformer.learning.streams import (
    drawn_states,
    dropout_states,
    keep_other_states,
)

PART = 768  # largest number of tokens in a part of a batch


def compile_steps(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    *,
    seed: int,
    use_xla: bool,
    accumulate: int = 1,
    loss: Callable = masked_cross_entropy,
) -> Callable:
    """Compile a function that makes several steps of `plain_step`.

    A row's loss must not depend on the other rows of its batch, because
    the rows are computed in parts.

    Args:
        model, optimizer, loss: Same as in `plain_step`.
        seed: Where the random streams of dropout begin.
        use_xla: Whether XLA compiles.
        accumulate: Number of batches that make one step together.

    Returns:
        A function of a stack of batches `(steps · accumulate, …)`, the
        number of the first step, and the number of steps. It returns their
        mean loss and the last gradient's norm before clipping.
    """
    strategy = tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync
    variables = model.trainable_variables
    dropouts = dropout_states(model, seed)
    # `RowTables` takes the gradients of tables as rows.
    is_table = getattr(optimizer, "is_table", lambda variable: False)

    @tf.function(jit_compile=use_xla, autograph=False)
    def share_sums(batches, step, share):
        parts = count_parts(batches)

        def part_sums(i):
            inputs, targets, weights = tf.nest.map_structure(
                lambda array: array[0],
                rows_of(batches, i // parts, 1, i % parts, parts),
            )
            stream = share * (accumulate * parts) + i
            states = drawn_states(dropouts, step, stream)
            with (
                tf.GradientTape() as tape,
                keras.StatelessScope(states) as scope,
            ):
                logits = predict(model, inputs, training=True)
                sums = total(loss, logits, targets, weights)
            keep_other_states(model, dropouts, scope)
            return [*sums, *tape.gradient(sums[0], variables)]

        def add_part(i, *sums):
            dense = map(tf.convert_to_tensor, part_sums(i))
            return i + 1, *map(tf.add, sums, dense)

        if accumulate * parts == 1:  # nothing to add up
            return part_sums(0)
        _, *sums = tf.while_loop(
            lambda i, *sums: i < accumulate * parts,
            add_part,
            (0, 0.0, 0.0, *(tf.zeros(v.shape) for v in variables)),
        )
        return sums

    def update(*sums_of_shares):
        loss_sum, weight_sum, *gradient = map(
            added,
            zip(*sums_of_shares, strict=True),
            [False, False, *map(is_table, variables)],
        )
        if replicas > 1:
            replica = tf.distribute.get_replica_context()
            loss_sum, weight_sum, *gradient = replica.all_reduce(
                "sum", [loss_sum, weight_sum, *gradient]
            )
        gradient = [divided(part, weight_sum) for part in gradient]
        gradient, norm = tf.clip_by_global_norm(gradient, CLIP_NORM)
        # Keras sums over the replicas once more: this undoes it.
        gradient = [divided(part, replicas) for part in gradient]
        optimizer.apply(gradient, variables)
        return loss_sum / weight_sum, norm

    if not tf.distribute.has_strategy():  # XLA cannot join replicas
        update = tf.function(update, jit_compile=use_xla, autograph=False)

    def one_step(stack, place, step):
        replica = tf.distribute.get_replica_context()
        first = tf.cast(replica.replica_id_in_sync_group, tf.int32)
        halves = count_halves(stack, replicas)

        def sums_of_half(i):
            share = first * halves + i
            # Cut here: XLA would compile a program for each place.
            batches = rows_of(
                stack,
                place * accumulate,
                accumulate,
                share,
                replicas * halves,
            )
            return share_sums(batches, step, share)

        return update(*map(sums_of_half, range(halves)))  # at once

    @tf.function(autograph=False)
    def several_steps(stack, first, count):
        def next_step(i, losses, norm):
            results = strategy.run(one_step, args=(stack, i, first + i))
            # After the all-reduce every replica has the same results.
            step_loss, norm = (
                strategy.experimental_local_results(result)[0]
                for result in results
            )
            return i + 1, losses + step_loss, norm

        _, losses, norm = tf.while_loop(
            lambda i, losses, norm: i < count, next_step, (0, 0.0, 0.0)
        )
        return losses / tf.cast(count, tf.float32), norm

    return several_steps


def count_halves(stack: Any, replicas: int) -> int:
    """Count the shares that one replica computes at the same time.

    Two, so that two cores work at once. One if the rows cannot be halved,
    or if devices work at once anyway: several replicas, or a GPU.
    """
    rows = tf.nest.flatten(stack)[0].shape[1]
    others = replicas > 1 or tf.config.list_logical_devices("GPU")
    return 1 if rows % 2 or others else 2


def longest(stack: Any) -> int:
    """Find the longest row of tokens in a stack `(steps, batch, seq)`."""
    return max(array.shape[2] for array in tf.nest.flatten(stack))


def count_parts(batches: Any) -> int:
    """Count the parts in which a share of a batch is read.

    Parts have equally many rows, and at most `PART` tokens or one row.
    """
    rows = tf.nest.flatten(batches)[0].shape[1]
    return next(
        parts
        for parts in range(1, rows + 1)
        if (rows % parts == 0 and rows // parts * longest(batches) <= PART)
        or parts == rows
    )


def rows_of(
    stack: Any, first: tf.Tensor, count: int, share: tf.Tensor, shares: int
) -> Any:
    """Cut one of several equal shares of rows out of some batches.

    Args:
        stack: Arrays `(batches, rows, …)`.
        first, count: The first batch, and the number of batches.
        share, shares: The number of the share, and of all shares.
    """

    def cut(array):
        rows = array.shape[1] // shares
        if rows * shares != array.shape[1]:
            raise ValueError(
                f"A batch of {array.shape[1]} cannot be shared by {shares} "
                f"replicas: use a multiple of {shares}."
            )
        rest = array.shape[2:]
        begin = (first, share * rows, *[0] * len(rest))
        return tf.slice(array, begin, (count, rows, *rest))

    return tf.nest.map_structure(cut, stack)
