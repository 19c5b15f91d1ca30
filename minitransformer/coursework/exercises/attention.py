"""Masked scaled dot-product attention."""

import numpy as np

from minitransformer.coursework import properties, questions as q


def draw(rng, batch, heads, queries, keys, width, value, mask, size=1.0):
    return q.question(
        "scaled_dot_product_attention",
        query=q.normal(rng, batch, heads, queries, width, size=size),
        key=q.normal(rng, batch, heads, keys, width),
        value=q.normal(rng, batch, heads, keys, value),
        mask=mask,
    )


def calls(rng):
    queries, keys, width, value = q.sizes(rng, 4, 3, 8)
    yield draw(rng, 1, 1, 1, 2, 3, 1, np.ones((1, 1, 1, 1), bool))
    yield draw(rng, 1, 1, 2, 3, 4, 1, q.some_keys(rng, 1, 1, 2, 3))
    blind = q.some_keys(rng, 2, 1, queries, keys)
    blind[0, 0, 1] = False
    for mask in (
        np.ones((1, 1, queries, keys), bool),
        q.some_keys(rng, 2, 1, 1, keys),  # padding
        q.some_keys(rng, 2, 3, queries, keys),
        blind,
    ):
        yield draw(rng, 2, 3, queries, keys, width, value, mask)
    mask = q.some_keys(rng, 1, 1, queries, keys)
    yield draw(rng, 2, 3, queries, keys, width, value, mask, size=1e4)
    yield draw(rng, 2, 3, keys, keys, width, value, q.lower_triangle(keys))


def slow(rng):
    return draw(rng, 2, 4, 96, 96, 16, 16, q.lower_triangle(96))


def small(rng):
    return [
        draw(rng, 1, 1, i, j, 3, 2, q.some_keys(rng, 1, 1, i, j))
        for i, j in ((1, 2), (2, 3), (5, 4))
    ]


sums_to_one = properties.rows_sum_to_one(small)
masked_weights_are_zero = properties.masked_is_zero(small, "mask")
masked_is_not_read = properties.independent(
    lambda rng: [draw(rng, 1, 1, 2, 3, 3, 2, np.arange(3) < 2)],
    "value",
    np.s_[..., 2, :],
    ...,
    "changing the value of key 2, which is masked, changed the output",
)
