"""Feed-forward, and a pre-norm block."""

import numpy as np

from minitransformer.coursework import properties, questions as q


def feed(rng, batch, seq, d_model, d_ff):
    return q.question(
        "feed_forward",
        x=q.normal(rng, batch, seq, d_model),
        weights=q.feed_weights(rng, d_model, d_ff),
    )


def block(rng, batch, seq, d_model, d_ff, size=2.0):
    return q.question(
        "pre_norm_block",
        x=q.normal(rng, batch, seq, d_model, size=size, mean=size),
        mask=q.some_keys(rng, batch, seq, seq),
        weights=q.matrices(rng, d_model)
        | q.norms(rng, d_model, gain=0.5, bias=1)
        | q.feed_weights(rng, d_model, d_ff),
    )


def calls(rng):
    batch, seq, d_model, d_ff = q.sizes(rng, 4, 3, 9)
    yield feed(rng, 1, 1, 2, 3)
    yield feed(rng, batch, seq, d_model, d_ff)
    yield feed(rng, seq, d_ff, batch, d_model)
    yield block(rng, 1, 2, 3, 4)
    yield block(rng, batch, seq, d_model, d_ff)
    yield block(rng, seq, d_ff, batch + 2, d_model)
    # So small that the norm's epsilon shows.
    yield block(rng, 2, seq, d_model, d_ff, size=3e-3)


def slow(rng):
    return block(rng, 8, 64, 24, 96)


def carries(ask, rng):
    args = q.with_zeros(block(rng, 1, 2, 3, 4), "w_o", "w2", "b2").args
    if not np.allclose(ask("pre_norm_block", **args), args["x"], atol=1e-4):
        yield (
            "with w_o, w2 and b2 all zero, nothing is added to x, but the "
            "output is not x"
        )


def from_the_norm(ask, rng):
    call = block(rng, 1, 2, 3, 4)
    parts = {"attention": ("w2", "b2"), "feed-forward": ("w_o",)}
    for part, silent in parts.items():
        args = q.with_zeros(call, *silent).args
        x = args["x"]
        added = ask(call.function, **args) - x
        other = ask(call.function, **args | {"x": 10 * x}) - 10 * x
        if not np.allclose(added, other, atol=1e-2):
            yield (
                f"with {' and '.join(silent)} zero, only {part} adds to x. "
                "10 · x has the same norm, but another result was added"
            )


not_ahead = properties.causal(
    lambda rng: [
        q.changed(block(rng, 1, 3, 4, 5), mask=q.lower_triangle(3)[0])
    ],
    "x",
    "output, though the mask is causal,",
)
alone = properties.independent(
    lambda rng: [
        feed(rng, 1, 2, 3, 4),
        q.with_zeros(block(rng, 1, 3, 4, 5), "w_o"),
    ],
    "x",
    np.s_[:, 1, 0],
    np.s_[:, 0],
    "changing token 1 changed the output at position 0, though attention "
    "adds nothing",
)


def nothing_negative(ask, rng):
    args = q.with_zeros(feed(rng, 1, 1, 2, 3), "w1").args
    args["weights"]["b1"] = np.full(3, -1, "float32")
    output = ask("feed_forward", **args)
    if not np.allclose(output, args["weights"]["b2"], atol=1e-4):
        yield (
            "with w1 = 0 and b1 = −1, ReLU turns every −1 into 0, so the "
            "output should be b2, but it is not"
        )
