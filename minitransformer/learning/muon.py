"""Muon: an optimizer whose step is equally large in all directions.

A few directions of a gradient are often much larger than the others. Muon
makes them all equal, so that a matrix also learns what is rare.
"""

from collections.abc import Iterable
from functools import partial

import keras
import tensorflow as tf

from minitransformer.learning.plain_step import build_optimizer
from minitransformer.learning.rows import RowTables
from minitransformer.runs.given import rate

# Keras' Muon and ours: a polynomial that brings numbers from 0 to 1 near 1.
A, B, C = 3.4445, -4.7750, 2.0315


def orthogonalize(matrix: tf.Tensor, times: int = 5) -> tf.Tensor:
    """Bring all singular values of a matrix near 1; keep its directions.

        X ← a X + b (X Xᵀ) X + c (X Xᵀ)² X,   `times` times

    If X = U S Vᵀ, this is U (a S + b S³ + c S⁵) Vᵀ: only S changes.

    Args:
        matrix: `(rows, columns)`.
        times: How often the polynomial is applied.

    Returns:
        `(rows, columns)`, with singular values of about 0.7 to 1.2, except
        those below 0.003 of the norm.

    References:
        Jordan et al. 2024.
    """
    x = matrix / (tf.norm(matrix) + 1e-7)  # no singular value is above 1
    for _ in range(times):
        square = tf.matmul(x, x, transpose_b=True)  # (rows, rows)
        x = A * x + tf.matmul(B * square + C * tf.matmul(square, square), x)
    return x


class RowMuon(RowTables, keras.optimizers.Muon):
    """Keras' Muon for all weights except tables."""


def make_muon_optimizer(
    model: keras.Model,
    *,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
    weight_decay: float = 0.1,
    beta_2: float = 0.99,
    tables: Iterable[keras.Variable] = (),
) -> keras.optimizers.Optimizer:
    """Make Keras' Muon for the blocks' matrices; the rest learns by AdamW.

        M ← 0.95 M + G,   N = G + 0.95 M
        W ← W − η (0.2 √max(rows, columns) · orthogonalize(N) + λ W)

    Args:
        model: A built model. Its vectors and its embeddings learn by
            AdamW, and so does a BERT's pooler.
        learning_rate, weight_decay, beta_2: η, λ, and AdamW's β₂, as in
            `make_optimizer`.
        tables: Large tables of which a batch reads a few rows, as in
            `RowTables`.

    Returns:
        A built Keras optimizer.

    Raises:
        TypeError, ValueError: if a number is not in its range.

    References:
        Jordan et al. 2024; Liu et al. 2025, §2.2, for the factor, with
        which Muon can take AdamW's learning rate.
    """
    if not callable(learning_rate):
        learning_rate = rate("learning_rate", learning_rate)
    weight_decay = rate("weight_decay", weight_decay)
    make, tables = keras.optimizers.Muon, list(tables)
    if tables:
        make = partial(RowMuon, tables=tables)
    optimizer = make(
        learning_rate,
        adam_beta_2=rate("beta_2", beta_2, below=1),
        epsilon=1e-8,
        weight_decay=weight_decay,
        adam_weight_decay=weight_decay,
        exclude_layers=["table$", "memory_", "pooler"],
    )
    return build_optimizer(optimizer, model.trainable_variables)
