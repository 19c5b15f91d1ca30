"""Layer normalization."""

import numpy as np

from minitransformer.coursework.exercise import (
    Call,
    Exercise,
    Mistake,
    Property,
)

PAGE = "modules/normalization.md"
NAME = "layer_norm"


def question(rng, batch, seq, d_model, epsilon, size=1.0):
    def normal(*shape):
        return rng.normal(size=shape).astype("float32")

    return Call(NAME, {
        "x": np.float32(size) * (normal(batch, seq, d_model) + 1),
        "gain": 1 + normal(d_model) / 2,
        "bias": normal(d_model),
        "epsilon": epsilon,
    })  # fmt: skip


def calls(rng):
    batch, seq, d_model = rng.permutation(np.arange(3, 9))[:3]
    yield question(rng, 2, 2, 3, 1e-5)
    yield question(rng, 2, 3, 4, 1e-3)
    yield question(rng, batch, seq, d_model, 1e-5)
    yield question(rng, batch, seq, d_model, 1e-3, size=0.03)
    yield question(rng, batch, seq, d_model, 0.5)
    constant = question(rng, seq, batch, d_model, 1e-3)
    constant.args["x"][0, 0] = 2
    yield constant


def slow(rng):
    return question(rng, 64, 256, 32, 1e-5)


def plain(rng, batch, seq, d_model):
    """Ask with gain 1, bias 0 and a small epsilon."""
    args = question(rng, batch, seq, d_model, 1e-6).args
    return args | {
        "gain": np.ones(d_model, "float32"),
        "bias": np.zeros(d_model, "float32"),
    }


def a_token_is_alone(ask, rng):
    args = plain(rng, 2, 2, 3)
    before = np.asarray(ask(NAME, **args))
    x = args["x"].copy()
    x[0, 1] *= [3, 1, -2]
    after = np.asarray(ask(NAME, **args | {"x": x}))
    changed = ~np.isclose(before, after, atol=1e-4).all(-1)
    for b, i in np.argwhere(changed):
        if (b, i) != (0, 1):
            return (
                "changing token 1 of sequence 0 changed the result of "
                f"token {i} of sequence {b}"
            )
    return None


def shifting_changes_nothing(ask, rng):
    args = plain(rng, 1, 1, 2)
    before = ask(NAME, **args)
    after = ask(NAME, **args | {"x": args["x"] + 1})
    if not np.allclose(before, after, atol=1e-3):
        return (
            f"{show(args['x'])} gives {show(before)}, and with 1 added to "
            f"each number {show(after)}"
        )
    return None


def variance_is_one(ask, rng):
    for d_model in (2, 3, 6):
        args = plain(rng, 1, 1, d_model)
        y = np.asarray(ask(NAME, **args))
        mean, variance = y.mean(), y.var()
        if abs(mean) > 1e-2 or abs(variance - 1) > 1e-2:
            return (
                f"with gain 1 and bias 0, {show(args['x'])} gives "
                f"{show(y)}: mean {mean:.3g}, variance {variance:.3g}"
            )
    return None


def no_gain_leaves_the_bias(ask, rng):
    args = question(rng, 1, 1, 2, 1e-5).args
    args["gain"] = np.zeros(2, "float32")
    y = ask(NAME, **args)
    if not np.allclose(np.asarray(y)[0, 0], args["bias"], atol=1e-4):
        return (
            f"with gain 0 and bias {show(args['bias'])}, the result is "
            f"{show(y)}"
        )
    return None


def show(values):
    return f"({', '.join(f'{value:.3g}' for value in np.ravel(values))})"


EXERCISE = Exercise(
    title="Layer normalization",
    goal=(
        "Bring each token's vector to mean 0 and variance 1, whatever the "
        "others are, then scale and shift it as the model has learned."
    ),
    page=PAGE,
    functions={NAME: {"output": "batch seq d_model"}},
    calls=calls,
    slow=slow,
    forbidden=(
        "LayerNormalization",
        "layer_normalization",
        "LayerNorm",
        "batch_normalization",
        "native_layer_norm",
    ),
    hints=(
        "All happens within one token's vector, the last axis. Do it by "
        "hand for (1, 3, 5, 7): the mean is 4, the variance 5.",
        "keepdims=True leaves an axis of 1, so that (batch, seq, 1) can be "
        "taken from (batch, seq, d_model).",
        "Take the mean off, divide by the root of the variance plus "
        "epsilon, then multiply by the gain, and add the bias last.",
    ),
    properties=(
        Property("no token changes another", a_token_is_alone),
        Property("adding a number to a vector changes nothing",
                 shifting_changes_nothing),
        Property("the result has mean 0 and variance 1", variance_is_one),
        Property("without a gain, the bias is left",
                 no_gain_leaves_the_bias),
    ),
    like=("normalization.LayerNorm",),
    mistakes=(
        Mistake(
            "normalized over the batch", "axis=-1", "axis=0",
            "Your mean and variance run over the batch, so a sequence's "
            "result depends on its neighbours. They must run over the last "
            "axis, d_model.",
            PAGE,
        ),
        Mistake(
            "normalized over the sequence", "axis=-1", "axis=1",
            "Your mean and variance run over the tokens of a sequence, so "
            "each token sees the others. They must run over the last axis, "
            "d_model.",
            PAGE,
        ),
        Mistake(
            "normalized over whole sequences", "axis=-1", "axis=(1, 2)",
            "Your mean and variance are those of a whole sequence. Each "
            "token has its own: the last axis alone.",
            PAGE,
        ),
        Mistake(
            "normalized as a batch norm does", "axis=-1", "axis=(0, 1)",
            "Each feature has its own mean in your code, taken over all "
            "tokens: that is batch norm. Here each token has its own, over "
            "the last axis.",
            PAGE,
        ),
        Mistake(
            "normalized over everything", "axis=-1", "axis=None",
            "You take one mean and one variance of all numbers. Each token "
            "has its own: give the axis, -1.",
            PAGE,
        ),
        Mistake(
            "the variance is divided by n − 1", "x.var(", "x.var(ddof=1, ",
            "You divide the squares by d_model - 1, as to estimate "
            "from a sample. Here it is their plain mean, by d_model.",
            PAGE,
        ),
        Mistake(
            "the mean is not taken off",
            "centred = x - mean", "centred = x",
            "You divide by the standard deviation, but the mean is still "
            "there. Take it off first.",
            PAGE,
        ),
        Mistake(
            "only the length is normalized",
            ("centred = x - mean", "x.var("),
            ("centred = x", "(x**2).mean("),
            "You divide by the root of the mean square: that is RMSNorm. "
            "Layer norm takes the mean off first, and uses the variance.",
            PAGE,
        ),
        Mistake(
            "ε is added outside the root",
            "np.sqrt(variance + epsilon)", "(np.sqrt(variance) + epsilon)",
            "You add ε to the standard deviation. It is added to the "
            "variance, inside the root.",
            PAGE,
        ),
        Mistake(
            "divided by the variance",
            "np.sqrt(variance + epsilon)", "(variance + epsilon)",
            "You divide by the variance; it should be its root.", PAGE,
        ),
        Mistake(
            "ε is forgotten", "variance + epsilon", "variance",
            "Without ε, a vector of equal numbers is divided by 0, and one "
            "of small numbers is blown up. Add it to the variance.",
            PAGE,
        ),
        Mistake(
            "gain and bias are exchanged",
            "gain * normal + bias", "bias * normal + gain",
            "You multiply by the bias and add the gain. It is the other "
            "way round.",
            PAGE,
        ),
        Mistake(
            "the bias is added before the gain",
            "gain * normal + bias", "gain * (normal + bias)",
            "Your bias is multiplied by the gain, too. Multiply first, and "
            "add the bias last.",
            PAGE,
        ),
        Mistake(
            "no gain", "gain * normal", "normal",
            "The result is not multiplied by the gain.", PAGE,
        ),
        Mistake(
            "no bias", "normal + bias", "normal",
            "The bias is not added.", PAGE,
        ),
    ),
)  # fmt: skip
