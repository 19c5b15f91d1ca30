"""Probes: what can be read from a vector by one matrix or one number?"""

from typing import Any

import keras
import numpy as np

from minitransformer.inside.capture import capture
from minitransformer.runs.given import rate, whole


def fit_probe(vectors: Any, labels: Any, ridge: float = 1.0) -> np.ndarray:
    """Learn to read a label from a vector, by least squares.

        W = (XᵀX + ridge · I)⁻¹ XᵀY   Y: 1 at the label, else 0

    Args:
        vectors: `(examples, d_model)`.
        labels: Integers from 0, `(examples,)`.
        ridge: Keeps W small where the examples say little.

    Returns:
        W, `(d_model + 1, classes)`; its last row is a bias.

    Raises:
        TypeError, ValueError: if there is not one label per vector, a
            label is no integer from 0 up, or ridge is no number from 0 up.

    References:
        Alain & Bengio 2016, §3.
    Differs from the paper: least squares, which has a solution in one
        line, instead of a logistic regression that is trained.
    """
    x, labels = with_one(vectors), np.asarray(labels)
    if labels.shape != (len(x),):
        raise ValueError(
            f"There are {len(x)} vectors and labels of shape "
            f"{labels.shape}: give one label per vector."
        )
    if labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        raise ValueError("labels: give integers of at least 0.")
    ridge = rate("ridge", ridge)
    y = np.eye(labels.max() + 1)[labels]
    return np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y)


def read_probe(probe: np.ndarray, vectors: Any) -> np.ndarray:
    """Return the likeliest label of each vector, `(examples,)`."""
    return np.argmax(with_one(vectors) @ probe, axis=-1)


def with_one(vectors: Any) -> np.ndarray:
    """Append a 1 to each vector, so that a matrix can hold a bias."""
    x = np.asarray(vectors, "float64")
    return np.concatenate([x, np.ones_like(x[:, :1])], axis=1)


def neighbours(table: Any, row: int, count: int = 5) -> list[tuple]:
    """List the rows of a table that are most similar to one of them.

    Args:
        table: `(vocab_size, d_model)`, such as `model.embedding.table`.
        row: A token id.
        count: How many.

    Returns:
        Pairs of a token id and the cosine of the two vectors, the most
        similar first, without the row itself.

    Raises:
        TypeError, ValueError: if row or count is out of range.
    """
    row, count = whole("row", row, 0), whole("count", count)
    table = np.asarray(table)
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    cosines = unit @ unit[row]
    order = [i for i in np.argsort(-cosines) if i != row]
    return [(int(i), float(cosines[i])) for i in order[:count]]


def strongest(
    model: keras.Model, inputs: Any, site: str, neuron: int, count: int = 5
) -> list[tuple]:
    """List the places where a neuron is most active.

    Args:
        model, inputs: Same as in `capture`.
        site: Such as "block0.feed_forward.activations".
        neuron: The index on the last axis.
        count: How many.

    Returns:
        Triples of a row of the batch, a position, and the activation.

    Raises:
        TypeError, ValueError: if count is out of range.
    """
    count = whole("count", count)
    active = np.asarray(capture(model, inputs, [site])[site][..., neuron])
    order = np.argsort(-active, axis=None)[:count]
    rows, positions = np.unravel_index(order, active.shape)
    return [
        (int(i), int(j), float(active[i, j]))
        for i, j in zip(rows, positions, strict=True)
    ]
