"""Multi-head attention."""

import numpy as np

from minitransformer.coursework import properties, questions as q

EVERYTHING = np.ones((1, 1, 1, 1), bool)


def attend(rng, batch, queries, keys, heads, d_model, mask=EVERYTHING):
    return q.question(
        "multi_head_attention",
        query=q.normal(rng, batch, queries, d_model),
        memory=q.normal(rng, batch, keys, d_model),
        mask=mask,
        weights=q.matrices(rng, d_model, size=1.5),
        num_heads=heads,
    )


def split(rng, batch, seq, heads, d_model):
    x = q.normal(rng, batch, seq, d_model)
    return q.question("split_heads", x=x, num_heads=heads)


def calls(rng):
    heads, seq, other, head_dim = q.sizes(rng, 4, 3, 8)
    d_model = heads * head_dim
    yield split(rng, 1, 3, 2, 4)
    yield split(rng, 1, 2, 1, 3)
    yield split(rng, 2, seq, heads, d_model)
    yield split(rng, 1, 2, 2, 3)  # six numbers, which 2 would divide
    yield split(rng, 2, other, heads, d_model + 1)
    yield q.question("merge_heads", x=q.normal(rng, 1, 2, 3, 2))
    yield q.question(
        "merge_heads", x=q.normal(rng, 2, heads, seq, head_dim)
    )
    yield attend(rng, 1, 2, 2, 1, 3)
    yield attend(rng, 1, 2, 2, 2, 4)
    yield attend(rng, 2, seq, other, heads, d_model)
    for mask in (
        q.lower_triangle(seq),
        q.some_keys(rng, 2, 1, 1, seq),  # padding
        q.some_keys(rng, 2, heads, seq, seq),
    ):
        yield attend(rng, 2, seq, seq, heads, d_model, mask)
    yield attend(rng, 2, seq, other, heads, d_model + 1)


def slow(rng):
    return attend(rng, 2, 128, 128, 4, 64, q.lower_triangle(128))


def a_split_can_be_undone(ask, rng):
    for seq, d_model in ((1, 2), (2, 2), (2, 4), (3, 6)):
        shape = 1, seq, d_model
        x = np.arange(np.prod(shape), dtype="float32").reshape(shape)
        heads = np.asarray(ask("split_heads", x=x, num_heads=2))
        back = np.asarray(ask("merge_heads", x=heads))
        for _, i, j in np.argwhere(back != x):
            yield (
                f"split_heads makes {heads[0].tolist()} of "
                f"{x[0].tolist()}. After merge_heads, token {i} has "
                f"{back[0, i, j]:g}, expected {x[0, i, j]:g}"
            )


def a_token_stays_in_its_place(ask, rng):
    for seq, d_model in ((2, 2), (2, 4), (3, 4)):
        x = np.zeros((1, seq, d_model), "float32")
        x[0, 1] = 1
        heads = np.asarray(ask("split_heads", x=x, num_heads=2))
        for h, i in np.argwhere(heads[0].any(-1)):
            if i != 1:
                yield (
                    f"with {seq} tokens and 2 heads, head {h} has numbers "
                    f"of token 1 at position {i}"
                )


a_query_is_alone = properties.independent(
    lambda rng: [attend(rng, 1, 2, 2, 2, 4)],
    "query",
    np.s_[:, 1],
    np.s_[:, 0],
    "changing query 1 changed the output of query 0",
)
masked_is_not_read = properties.independent(
    lambda rng: [
        attend(rng, 1, 1, 3, 2, 4, EVERYTHING & (np.arange(3) < 2))
    ],
    "memory",
    np.s_[:, 2],
    ...,
    "changing key 2, which is masked, changed the output",
)


def memory_is_read(ask, rng):
    call = attend(rng, 1, 1, 2, 2, 4)
    memory = call.args["memory"] + 1
    if not properties.moved(ask, call, memory=memory).any():
        yield "changing the memory did not change the output"
