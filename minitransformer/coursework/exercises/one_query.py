"""One-query attention by hand."""

from minitransformer.coursework import properties, questions as q


def draw(rng, keys, width, value_width, size=1.0):
    return q.question(
        "one_query_attention",
        query=q.normal(rng, width, size=size),
        keys=q.normal(rng, keys, width),
        values=q.normal(rng, keys, value_width),
    )


def calls(rng):
    keys, width, value_width = q.sizes(rng, 3, 2, 8)
    yield draw(rng, 1, 2, 3)
    yield draw(rng, 2, 3, 1)
    yield draw(rng, keys, width, value_width)
    yield draw(rng, keys + 3, width + 1, value_width + 2)
    yield draw(rng, keys, width, value_width, size=1e4)


sums_to_one = properties.rows_sum_to_one(
    lambda rng: [draw(rng, keys, 3, 2) for keys in (1, 2, 5)]
)


def order_does_not_matter(ask, rng):
    call = draw(rng, 2, 3, 2)
    turned = {
        name: call.args[name][::-1].copy() for name in ("keys", "values")
    }
    if properties.moved(ask, call, **turned).any():
        yield "exchanging two keys, each with its value, changed the output"
