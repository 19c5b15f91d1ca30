"""Rows: update only those rows of a large table that a batch has read.

A batch reads a few hundred rows of a table with tens of thousands. Adam
would move all of them in each step, because its running means stay
different from 0 after a gradient. Here a row that was not read stays as it
is.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from minitransformer.learning.plain_step import build_optimizer
from minitransformer.runs.given import rate

FACTOR = 10  # the learning rate of tables, divided by that of other weights


class RowTables(keras.optimizers.Optimizer):
    """An optimizer whose tables learn by Adagrad, row by row.

        sum_r   ← sum_r + mean(gradient_r²)
        table_r ← table_r − FACTOR · rate · gradient_r / √(sum_r + ε)

    A class that inherits from this one and from a Keras optimizer updates
    all other variables as that optimizer does.

    Args:
        learning_rate: A number or a schedule.
        tables: The variables `(rows, width)` that are such tables.
        **options: The arguments of Keras' optimizer.

    References:
        Duchi et al. 2011, equation 1, for Adagrad.
    Differs from the paper: a row has one sum for all its numbers.
    """

    def __init__(
        self,
        learning_rate: Any,
        *,
        tables: Iterable[keras.Variable],
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        # Keras would take what it tracks for the optimizer's own state.
        object.__setattr__(self, "tables", list(tables))

    def is_table(self, variable: keras.Variable) -> bool:
        """Tell whether a variable is one of the tables."""
        return any(variable is table for table in self.tables)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ValueError(
                "Tables are updated by rows on one device only: train "
                "outside of a strategy, or without `tables`."
            )
        super().build([v for v in variables if not self.is_table(v)])
        self.sums = [
            self.add_variable((table.shape[0],), name=f"rows_{i}")
            for i, table in enumerate(self.tables)
        ]

    def apply(
        self, grads: Sequence, trainable_variables: Sequence | None = None
    ) -> None:
        """Update all variables; a table's gradient may be its rows."""
        pairs = list(zip(grads, trainable_variables or (), strict=True))
        speed = FACTOR * tf.convert_to_tensor(self.learning_rate)
        for table, sums in zip(self.tables, self.sums, strict=True):
            gradient = next(g for g, v in pairs if v is table)
            update_rows(table.value, sums.value, gradient, speed)
        others = [pair for pair in pairs if not self.is_table(pair[1])]
        super().apply(*map(list, zip(*others, strict=True)))


class RowAdamW(RowTables, keras.optimizers.AdamW):
    """AdamW for all weights except tables."""


def make_row_optimizer(
    model: keras.Model,
    *,
    tables: Iterable[keras.Variable],
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
    beta_2: float = 0.99,
) -> keras.optimizers.Optimizer:
    """Make the optimizer of `make_optimizer`, with `RowAdamW` for tables.

    Args:
        model, learning_rate, beta_2: Same as in `make_optimizer`.
        tables: Same as in `RowTables`.

    Raises:
        TypeError, ValueError: if a number is not in its range.
    """
    if not callable(learning_rate):
        learning_rate = rate("learning_rate", learning_rate)
    optimizer = RowAdamW(
        learning_rate,
        tables=tables,
        beta_2=rate("beta_2", beta_2, below=1),
        epsilon=1e-8,
        weight_decay=0.1,
    )
    return build_optimizer(optimizer, model.trainable_variables)


def merged_rows(gradient: tf.IndexedSlices) -> tf.IndexedSlices:
    """Add up the gradients of a row that a batch reads several times.

    The sum stands where the row is read first; 0 stands at the others.
    """
    rows = gradient.indices
    first = tf.argmax(rows[:, None] == rows[None, :], axis=1)
    values = tf.math.unsorted_segment_sum(
        gradient.values, first, tf.size(rows)
    )
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def added(
    gradients: Sequence[tf.Tensor | tf.IndexedSlices], by_rows: bool
) -> tf.Tensor | tf.IndexedSlices:
    """Add up gradients of one variable.

    Args:
        gradients: Dense ones, or lists of rows.
        by_rows: Whether the sum of lists of rows stays such a list.
    """
    if not (by_rows and isinstance(gradients[0], tf.IndexedSlices)):
        return tf.add_n([tf.convert_to_tensor(g) for g in gradients])
    values = tf.concat([g.values for g in gradients], 0)
    rows = tf.concat([g.indices for g in gradients], 0)
    return merged_rows(
        tf.IndexedSlices(values, rows, gradients[0].dense_shape)
    )


def divided(
    gradient: tf.Tensor | tf.IndexedSlices, divisor: Any
) -> tf.Tensor | tf.IndexedSlices:
    """Divide a gradient, dense or row by row."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient / divisor
    values = gradient.values / divisor
    return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)


def update_rows(
    table: tf.Variable,
    sums: tf.Variable,
    gradient: tf.Tensor | tf.IndexedSlices,
    speed: tf.Tensor,
    epsilon: float = 1e-10,
) -> None:
    """Make the step of `RowTables` for a table, dense or row by row.

    Args:
        table, sums: `(rows, width)` and `(rows,)`.
        gradient: For the whole table, or for rows, as `merged_rows` makes
            it. Both give the same table: a row whose gradient is 0 stays.
        speed: The learning rate of the table.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        sums.assign_add(tf.reduce_mean(gradient**2, axis=-1))
        step = speed * tf.math.rsqrt(sums + epsilon)
        table.assign_sub(step[:, None] * gradient)
        return
    rows, values = gradient.indices, gradient.values
    squares = tf.reduce_mean(values**2, axis=-1)
    sums.scatter_add(tf.IndexedSlices(squares, rows))
    step = speed * tf.math.rsqrt(tf.gather(sums, rows) + epsilon)
    table.scatter_sub(tf.IndexedSlices(step[:, None] * values, rows))
