"""Sinusoidal positions."""

import numpy as np

from minitransformer.coursework import questions as q

NAME = "sinusoidal_positions"


def draw(max_len, d_model):
    return q.question(NAME, max_len=max_len, d_model=d_model)


def calls(rng):
    half, width = q.sizes(rng, 2, 3, 9)
    yield draw(1, 2)
    yield draw(2, 4)
    yield draw(rng.integers(5, 9), 2 * width + 4)
    yield draw(2 * half + 15, 2 * half)
    yield draw(3, 2 * width - 1)


def begins_with_zero_and_one(ask, rng):
    table = np.asarray(ask(NAME, max_len=1, d_model=6))
    for j, value in enumerate(table[0]):
        if abs(value - j % 2) > 1e-4:
            yield (
                f"column {j} of position 0 is {value:.3g}, but sin(0) is 0 "
                "and cos(0) is 1"
            )


def a_pair_has_length_one(ask, rng):
    table = np.asarray(ask(NAME, max_len=4, d_model=6), "float64")
    squares = table[:, 0::2] ** 2 + table[:, 1::2] ** 2
    for i, j in np.argwhere(abs(squares - 1) > 1e-3):
        yield (
            f"at position {i}, columns {2 * j} and {2 * j + 1} have "
            f"{table[i, 2 * j]:.3g}² + {table[i, 2 * j + 1]:.3g}² = "
            f"{squares[i, j]:.3g}, but sin² + cos² of one angle is 1"
        )


def the_first_pair_turns_by_one(ask, rng):
    table = np.asarray(ask(NAME, max_len=3, d_model=4))
    for i in range(3):
        if not np.allclose(table[i, 0], np.sin(i), atol=1e-4):
            yield (
                f"column 0 of position {i} is {table[i, 0]:.3g}, but "
                f"sin({i}) is {np.sin(i):.3g}"
            )


def only_the_distance_counts(ask, rng):
    table = np.asarray(ask(NAME, max_len=6, d_model=8), "float64")
    products = table @ table.T
    for distance in range(6):
        along = np.diagonal(products, distance)
        for i in np.flatnonzero(abs(along - along[0]) > 1e-3):
            yield (
                f"positions 0 and {distance} have the product "
                f"{along[0]:.4g}, but {i} and {i + distance}, at the same "
                f"distance, have {along[i]:.4g}"
            )
