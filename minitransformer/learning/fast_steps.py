"""Fast steps: the plain step, compiled, for several steps and devices.

They are fast because ten steps run in one compiled call, a batch is read in
parts that fit into the processor's caches, and replicas share it. They are
exact because sums are divided once, and random numbers depend only on the
seed, the step and the replica.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from minitransformer.learning.losses import masked_cross_entropy, total
from minitransformer.learning.plain_step import CLIP_NORM, predict
from minitransformer.learning.rows import divided, merged_rows

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
    # A `RowAdamW` takes the gradients of tables as rows.
    is_table = getattr(optimizer, "is_table", lambda variable: False)
    tables = [is_table(variable) for variable in variables]

    @tf.function(jit_compile=use_xla, autograph=False)
    def part_sums(inputs, targets, weights, rows=False):
        with tf.GradientTape() as tape:
            logits = predict(model, inputs, training=True)
            sums = total(loss, logits, targets, weights)
        gradient = tape.gradient(sums[0], variables)
        dense = tf.convert_to_tensor
        forms = [
            merged_rows if rows and table else dense for table in tables
        ]
        return [
            *sums,
            *(f(g) for f, g in zip(forms, gradient, strict=True)),
        ]

    def one_step(stack, place, step):
        replica = tf.distribute.get_replica_context()
        replica_id = tf.cast(replica.replica_id_in_sync_group, tf.int32)
        reset_dropout(dropouts, step, replica_id)
        parts = count_parts(stack, replicas)

        def read_part(i):
            batch = place * accumulate + i // parts
            share = replica_id * parts + i % parts
            return tf.nest.map_structure(
                lambda array: rows_of(
                    array[batch], share, replicas * parts
                ),
                stack,
            )

        def add_part(i, *sums):
            added = map(tf.add, sums, part_sums(*read_part(i)))
            return i + 1, *added

        if any(tables) and accumulate * parts == 1:  # nothing to add up
            sums = part_sums(*read_part(0), rows=True)
        else:
            _, *sums = tf.while_loop(
                lambda i, *sums: i < accumulate * parts,
                add_part,
                (0, 0.0, 0.0, *(tf.zeros(v.shape) for v in variables)),
            )
            sums = replica.all_reduce("sum", sums)
        loss_sum, weight_sum, *gradient = sums
        gradient = [divided(part, weight_sum) for part in gradient]
        gradient, norm = tf.clip_by_global_norm(gradient, CLIP_NORM)
        # Keras sums over the replicas once more: this undoes it.
        gradient = [divided(part, replicas) for part in gradient]
        optimizer.apply(gradient, variables)
        return loss_sum / weight_sum, norm

    # With several replicas XLA compiles forward and backward only.
    @tf.function(jit_compile=use_xla and replicas == 1, autograph=False)
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


def dropout_states(model: keras.Model, seed: int) -> list[tuple]:
    """List each Dropout layer's random state, with a seed for it."""
    return [
        (variable, np.random.SeedSequence((seed, i)).generate_state(1)[0])
        for i, variable in enumerate(model.non_trainable_variables)
        if variable.path.endswith("seed_generator_state")
    ]


def reset_dropout(
    dropouts: list[tuple], step: tf.Tensor, replica_id: tf.Tensor
) -> None:
    """Begin a random stream for each layer, step and replica.

    So a step drops the same values, no matter what ran before it, and a
    resumed run continues exactly.
    """
    # Keras adds 1 per dropout call: leave room for 1,024 calls per step.
    count = tf.cast(step * 1024, tf.uint32)
    for state, layer_seed in dropouts:
        replica_seed = tf.constant(layer_seed, tf.uint32) + tf.cast(
            replica_id, tf.uint32
        )
        state.assign(tf.stack([replica_seed, count]))


def longest(stack: Any) -> int:
    """Find the longest row of tokens in a stack `(steps, batch, seq)`."""
    return max(array.shape[2] for array in tf.nest.flatten(stack))


def count_parts(stack: Any, replicas: int) -> int:
    """Count the parts in which a replica reads its rows of a batch.

    Parts have equally many rows, and at most `PART` tokens or one row.
    """
    rows = tf.nest.flatten(stack)[0].shape[1] // replicas
    return next(
        parts
        for parts in range(1, rows + 1)
        if (rows % parts == 0 and rows // parts * longest(stack) <= PART)
        or parts == rows
    )


def rows_of(batch: tf.Tensor, share: tf.Tensor, shares: int) -> tf.Tensor:
    """Cut one of several equal shares of rows out of a batch."""
    if shares == 1:
        return batch
    rows = batch.shape[0] // shares
    if rows * shares != batch.shape[0]:
        raise ValueError(
            f"A batch of {batch.shape[0]} cannot be shared by {shares} "
            f"replicas: use a multiple of {shares}."
        )
    rest = batch.shape[1:]
    begin = (share * rows, *[0] * len(rest))
    return tf.slice(batch, begin, (rows, *rest))
