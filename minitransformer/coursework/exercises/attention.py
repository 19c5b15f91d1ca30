"""Masked scaled dot-product attention."""

import numpy as np

from minitransformer.coursework.properties import (
    independent,
    masked_is_zero,
    rows_sum_to_one,
)
from minitransformer.coursework.questions import (
    lower_triangle,
    normal,
    question,
    sizes,
    some_keys,
)


def draw(rng, batch, heads, queries, keys, width, value, mask, size=1.0):
    return question(
        "scaled_dot_product_attention",
        query=normal(rng, batch, heads, queries, width, size=size),
        key=normal(rng, batch, heads, keys, width),
        value=normal(rng, batch, heads, keys, value),
        mask=mask,
    )


def calls(rng):
    queries, keys, width, value = sizes(rng, 4, 3, 8)
    yield draw(rng, 1, 1, 1, 2, 3, 1, np.ones((1, 1, 1, 1), bool))
    yield draw(rng, 1, 1, 2, 3, 4, 1, some_keys(rng, 1, 1, 2, 3))
    blind = some_keys(rng, 2, 1, queries, keys)
    blind[0, 0, 1] = False
    for mask in (
        np.ones((1, 1, queries, keys), bool),
        some_keys(rng, 2, 1, 1, keys),  # padding
        some_keys(rng, 2, 3, queries, keys),
        blind,
    ):
        yield draw(rng, 2, 3, queries, keys, width, value, mask)
    mask = some_keys(rng, 1, 1, queries, keys)
    yield draw(rng, 2, 3, queries, keys, width, value, mask, size=1e4)
    yield draw(rng, 2, 3, keys, keys, width, value, lower_triangle(keys))


def slow(rng):
    return draw(rng, 2, 4, 96, 96, 16, 16, lower_triangle(96))


def small(rng):
    return [
        draw(rng, 1, 1, i, j, 3, 2, some_keys(rng, 1, 1, i, j))
        for i, j in ((1, 2), (2, 3), (5, 4))
    ]


sums_to_one = rows_sum_to_one(small)
masked_weights_are_zero = masked_is_zero(small, "mask")
masked_is_not_read = independent(
    lambda rng: [draw(rng, 1, 1, 2, 3, 3, 2, np.arange(3) < 2)],
    "value",
    np.s_[..., 2, :],
    ...,
    "changing the value of key 2, which is masked, changed the output",
)
