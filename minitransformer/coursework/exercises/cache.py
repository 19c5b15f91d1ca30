"""Attention with a key/value cache."""

import numpy as np

from minitransformer.coursework import properties, questions as q

NAME = "attend_with_cache"


def draw(rng, batch, new, past, heads, head_dim):
    d_model = heads * head_dim
    return q.question(
        NAME,
        x=q.normal(rng, batch, new, d_model),
        keys=q.normal(rng, batch, heads, past, head_dim),
        values=q.normal(rng, batch, heads, past, head_dim),
        weights=q.matrices(rng, d_model),
        num_heads=heads,
    )


def calls(rng):
    batch, heads, head_dim = q.sizes(rng, 3, 2, 5)
    others = [n for n in range(5, 10) if n != heads * head_dim]
    few, many = sorted(rng.choice(others, 2, replace=False).tolist())
    yield draw(rng, 1, 1, 0, 1, 2)
    yield draw(rng, 1, 1, 2, 1, 3)
    yield draw(rng, 1, 2, 3, 1, 4)
    for new, past in ((few, 0), (1, many), (few, many), (many, few)):
        yield draw(rng, batch, new, past, heads, head_dim)


def slow(rng):
    return draw(rng, 3, 64, 128, 4, 16)


no_later_token_counts = properties.causal(
    lambda rng: [draw(rng, 1, 3, past, 1, 2) for past in (0, 1)],
    "x",
    "output of the new tokens",
)


def old_entries_stay(ask, rng):
    for past in (1, 2):
        call = draw(rng, 1, 1, past, 1, 2)
        _, keys, values = ask(NAME, **call.args)
        for name, cache in (("keys", keys), ("values", values)):
            kept = np.asarray(cache)[:, :, :past]
            if not np.allclose(kept, call.args[name], atol=1e-4):
                yield (
                    f"one new token changed the cached {name} of the first "
                    f"{past} positions"
                )


def pieces_equal_the_whole(ask, rng):
    args = draw(rng, 1, 4, 0, 2, 2).args
    whole, *caches = ask(NAME, **args)
    keys = values = args["keys"]  # empty
    for t in range(4):
        piece = {"keys": keys, "values": values}
        piece["x"] = args["x"][:, t : t + 1]
        output, keys, values = ask(NAME, **args | piece)
        if not np.allclose(output[0][0], whole[0][t], atol=1e-4):
            yield (
                f"the output at position {t} changes when the tokens come "
                "one by one"
            )
    for name, a, b in zip(
        ("keys", "values"), (keys, values), caches, strict=True
    ):
        if not np.allclose(a, b, atol=1e-4):
            yield (
                f"the {name} in the cache change when the tokens come one "
                "by one"
            )
