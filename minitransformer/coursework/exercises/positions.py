"""Sinusoidal positions."""

import numpy as np

from minitransformer.coursework.exercise import (
    Call,
    Exercise,
    Mistake,
    Property,
)

PAGE = "modules/positions.md"
NAME = "sinusoidal_positions"


def question(max_len, d_model):
    return Call(NAME, {"max_len": int(max_len), "d_model": int(d_model)})


def calls(rng):
    half, width = rng.permutation(np.arange(3, 9))[:2]
    yield question(1, 2)
    yield question(2, 4)
    yield question(rng.integers(5, 9), 2 * width + 4)
    yield question(2 * half + 15, 2 * half)
    yield question(3, 2 * width - 1)


def begins_with_zero_and_one(ask, rng):
    first = np.asarray(ask(NAME, max_len=1, d_model=6))[0]
    for j, value in enumerate(first):
        if abs(value - j % 2) > 1e-4:
            return (
                f"column {j} of position 0 is {value:.3g}; sin(0) is 0 and "
                "cos(0) is 1"
            )
    return None


def a_pair_has_length_one(ask, rng):
    table = np.asarray(ask(NAME, max_len=4, d_model=6), "float64")
    squares = table[:, 0::2] ** 2 + table[:, 1::2] ** 2
    wrong = np.argwhere(abs(squares - 1) > 1e-3)
    if len(wrong):
        i, j = wrong[0]
        return (
            f"at position {i}, columns {2 * j} and {2 * j + 1} have "
            f"{table[i, 2 * j]:.3g}² + {table[i, 2 * j + 1]:.3g}² = "
            f"{squares[i, j]:.3g}, where sin² + cos² of one angle is 1"
        )
    return None


def the_first_pair_turns_by_one(ask, rng):
    table = np.asarray(ask(NAME, max_len=3, d_model=4))
    for i in range(3):
        if not np.allclose(table[i, 0], np.sin(i), atol=1e-4):
            return (
                f"column 0 of position {i} is {table[i, 0]:.3g}; sin({i}) "
                f"is {np.sin(i):.3g}"
            )
    return None


def only_the_distance_counts(ask, rng):
    table = np.asarray(ask(NAME, max_len=6, d_model=8), "float64")
    products = table @ table.T
    for distance in range(6):
        along = np.diagonal(products, distance)
        wrong = np.argwhere(abs(along - along[0]) > 1e-3)
        if len(wrong):
            i = int(wrong[0, 0])
            return (
                f"positions 0 and {distance} have the product "
                f"{along[0]:.4g}, {i} and {i + distance} have "
                f"{along[i]:.4g}; their distance is the same"
            )
    return None


EXERCISE = Exercise(
    title="Sinusoidal positions",
    goal=(
        "Attention sees a set. Write each position as a vector of waves, "
        "fast ones first, so that order can be seen."
    ),
    page=PAGE,
    functions={NAME: {"table": "position feature"}},
    calls=calls,
    forbidden=("SinePositionEncoding", "get_timing_signal_1d"),
    hints=(
        "A row is a position, a column is a feature. Columns 2i and 2i + 1 "
        "are a pair: they share one angle.",
        "Positions upright, (max_len, 1), and the numbers 2i flat: one "
        "quotient gives all angles. 2i is 0, 2, 4, …, the number of the "
        "pair's first column.",
        "Even columns are table[:, 0::2], odd ones table[:, 1::2]: the "
        "first get the sines of the angles, the second the cosines.",
    ),
    properties=(
        Property("position 0 is 0, 1, 0, 1, …", begins_with_zero_and_one),
        Property("the first sine is that of the position",
                 the_first_pair_turns_by_one),
        Property("the two of a pair are of one angle",
                 a_pair_has_length_one),
        Property("only the distance of two positions counts",
                 only_the_distance_counts),
    ),
    like=("positions.sinusoidal_positions",),
    mistakes=(
        Mistake(
            "all sines before all cosines",
            "column = np.arange(d_model)",
            "column = np.r_[0:d_model:2, 1:d_model:2]",
            "Your left half is sines and your right half cosines, as in "
            "tensor2tensor. The equation has them in turns: sin, cos, sin, "
            "cos.",
            PAGE,
        ),
        Mistake(
            "sine and cosine are exchanged",
            "np.cos(angle), np.sin(angle)", "np.sin(angle), np.cos(angle)",
            "Your even columns are cosines. Even columns are sines, odd "
            "ones cosines: position 0 is 0, 1, 0, 1, …",
            PAGE,
        ),
        Mistake(
            "positions are counted from 1",
            "np.arange(max_len)", "np.arange(1, max_len + 1)",
            "Your first row is position 1. The first position is 0.",
            PAGE,
        ),
        Mistake(
            "each cosine has its own exponent",
            "column - column % 2", "column",
            "Your exponent is that of the column itself. The sine in "
            "column 2i and the cosine in column 2i + 1 share the exponent "
            "of 2i.",
            PAGE,
        ),
        Mistake(
            "the exponent is halved", "(even / d_model)",
            "(even / 2 / d_model)",
            "Your exponent is i / d_model, with the number of the pair (or "
            "your base is 100, which is the same). It is 2i / d_model, "
            "with the number of the pair's first column.",
            PAGE,
        ),
        Mistake(
            "the exponent is doubled", "(even / d_model)",
            "(2 * even / d_model)",
            "Your exponent is twice what it should be. If your loop "
            "steps by 2, its variable is 2i already.",
            PAGE,
        ),
        Mistake(
            "the exponent reaches 1", "even / d_model)",
            "even / max(d_model - 2, 1))",
            "You divide by d_model - 2, so that the last exponent is 1, as "
            "in tensor2tensor. The equation divides by d_model.",
            PAGE,
        ),
        Mistake(
            "the base is 1,000", "10000 **", "1000 **",
            "Your base has a zero too few: it is 10,000.", PAGE,
        ),
        Mistake(
            "multiplied, not divided", "position / ", "position * ",
            "Your angles are multiplied by the power of 10,000: the waves "
            "become faster from left to right. Divide; with exp(), that is "
            "a minus sign.",
            PAGE,
        ),
        Mistake(
            "angles in degrees", "angle = position",
            "angle = np.pi / 180 * position",
            "Your angles are turned from degrees to radians. They are in "
            "radians: position 1 has sin(1) = 0.841.",
            PAGE,
        ),
        Mistake(
            "an odd width is accepted", "if d_model % 2:", "if False:",
            "Sine and cosine come in pairs; with an odd d_model the last "
            "sine has no partner. Raise a ValueError.",
            PAGE,
        ),
    ),
)  # fmt: skip
