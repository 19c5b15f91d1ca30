"""Layer normalization."""

import numpy as np

from minitransformer.coursework import properties, questions as q

NAME = "layer_norm"


def draw(rng, batch, seq, d_model, epsilon, size=1.0):
    return q.question(
        NAME,
        x=q.normal(rng, batch, seq, d_model, size=size, mean=size),
        gain=q.normal(rng, d_model, size=0.5, mean=1),
        bias=q.normal(rng, d_model),
        epsilon=epsilon,
    )


def calls(rng):
    batch, seq, d_model = q.sizes(rng, 3, 3, 9)
    yield draw(rng, 2, 2, 3, 1e-5)
    yield draw(rng, 2, 3, 4, 1e-3)
    yield draw(rng, batch, seq, d_model, 1e-5)
    yield draw(rng, batch, seq, d_model, 1e-3, size=0.03)
    yield draw(rng, batch, seq, d_model, 0.5)
    constant = draw(rng, seq, batch, d_model, 1e-3)
    constant.args["x"][0, 0] = 2
    yield constant


def slow(rng):
    return draw(rng, 64, 256, 32, 1e-5)


def plain(rng, batch, seq, d_model):
    """Ask with gain 1, bias 0 and a small epsilon."""
    return q.changed(
        draw(rng, batch, seq, d_model, 1e-6),
        gain=np.ones(d_model, "float32"),
        bias=np.zeros(d_model, "float32"),
    )


a_token_is_alone = properties.independent(
    lambda rng: [plain(rng, 2, 2, 3)],
    "x",
    (0, 1),
    np.array([[True, False], [True, True]]),
    "changing token 1 of sequence 0 changed the result of another token",
    step=[2, 0, -3],
)


def shifting_changes_nothing(ask, rng):
    args = plain(rng, 1, 1, 2).args
    before = ask(NAME, **args)
    after = ask(NAME, **args | {"x": args["x"] + 1})
    if not np.allclose(before, after, atol=1e-3):
        yield (
            f"{show(args['x'])} gives {show(before)}, and with 1 added to "
            f"each number {show(after)}"
        )


def variance_is_one(ask, rng):
    for d_model in (2, 3, 6):
        args = plain(rng, 1, 1, d_model).args
        y = np.asarray(ask(NAME, **args))
        if abs(y.mean()) > 1e-2 or abs(y.var() - 1) > 1e-2:
            yield (
                f"with gain 1 and bias 0, {show(args['x'])} gives "
                f"{show(y)}: mean {y.mean():.3g}, variance {y.var():.3g}"
            )


def no_gain_leaves_the_bias(ask, rng):
    call = q.changed(draw(rng, 1, 1, 2, 1e-5), gain=np.zeros(2, "float32"))
    y = ask(NAME, **call.args)
    if not np.allclose(y, call.args["bias"], atol=1e-4):
        yield (
            f"with gain 0 and bias {show(call.args['bias'])}, the result "
            f"is {show(y)}"
        )


def show(values):
    return f"({', '.join(f'{value:.3g}' for value in np.ravel(values))})"
