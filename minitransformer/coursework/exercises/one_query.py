"""One-query attention by hand."""

import numpy as np

from minitransformer.coursework.exercise import (
    Call,
    Exercise,
    Mistake,
    Property,
)

PAGE = "modules/attention.md"


def question(rng, keys, width, value_width, size=1.0):
    return Call("one_query_attention", {
        "query": (size * rng.normal(size=width)).astype("float32"),
        "keys": rng.normal(size=(keys, width)).astype("float32"),
        "values": rng.normal(size=(keys, value_width)).astype("float32"),
    })  # fmt: skip


def calls(rng):
    keys, width, value_width = rng.permutation(np.arange(2, 8))[:3]
    yield question(rng, 1, 2, 3)
    yield question(rng, 2, 3, 1)
    yield question(rng, keys, width, value_width)
    yield question(rng, keys + 3, width + 1, value_width + 2)
    yield question(rng, keys, width, value_width, size=1e4)


def sums_to_one(ask, rng):
    for keys in (1, 2, 5):
        call = question(rng, keys, 3, 2)
        _, weights = ask(call.function, **call.args)
        if abs(np.sum(weights) - 1) > 1e-4:
            return (
                f"with {keys} keys the weights add up to "
                f"{np.sum(weights):.3g}, not 1"
            )
    return None


def order_does_not_matter(ask, rng):
    call = question(rng, 2, 3, 2)
    output, _ = ask(call.function, **call.args)
    turned = call.args | {
        "keys": call.args["keys"][::-1].copy(),
        "values": call.args["values"][::-1].copy(),
    }
    other, _ = ask(call.function, **turned)
    if not np.allclose(output, other, atol=1e-4):
        return (
            "exchanging the two keys, each with its value, changed the "
            "output"
        )
    return None


EXERCISE = Exercise(
    title="One-query attention by hand",
    goal=(
        "Compare one query with every key, turn the scores into weights "
        "that sum to one, and mix the values: that is all of attention."
    ),
    page=PAGE,
    functions={
        "one_query_attention": {"output": "value_width", "weights": "key"}
    },
    calls=calls,
    hints=(
        "A score is the dot product of the query with one key: all of them "
        "at once are one product of a matrix with a vector.",
        "Divide by the root of the query's width before the softmax.",
        "exp(1000) is infinite. Softmax does not change when the same "
        "number is taken from all scores: take the largest.",
    ),
    properties=(
        Property("the weights sum to one", sums_to_one),
        Property("the keys are a set", order_does_not_matter),
    ),
    like=("attention.scaled_dot_product_attention",),
    mistakes=(
        Mistake(
            "no scaling", " / np.sqrt(query.shape[-1])", "",
            "The scores are not divided by √width, so they grow with it, "
            "and the softmax nearly picks a single key.",
            PAGE,
        ),
        Mistake(
            "scaled by the width, not its root",
            "np.sqrt(query.shape[-1])", "query.shape[-1]",
            "The scores are divided by the width; a dot product of random "
            "vectors grows with the root of it.",
            PAGE,
        ),
        Mistake(
            "scaled by the number of keys",
            "np.sqrt(query.shape[-1])", "np.sqrt(len(keys))",
            "The root is that of the number of keys; what makes dot "
            "products large is the width.",
            PAGE,
        ),
        Mistake(
            "weights do not sum to one",
            "np.exp(scores) / np.exp(scores).sum()", "np.exp(scores)",
            "The exponentials are not divided by their sum, so the output "
            "is a sum of values and not a mean.",
            PAGE,
        ),
        Mistake(
            "no exponential", "np.exp(scores) / np.exp(scores).sum()",
            "scores / scores.sum()",
            "The scores themselves are divided by their sum: weights "
            "become negative. A softmax takes exponentials first.",
            PAGE,
        ),
        Mistake(
            "the softmax overflows",
            "scores = scores - scores.max()", "pass",
            "exp() of a large score is infinite, and infinite by infinite "
            "is NaN. Take the largest score from all of them first.",
            PAGE,
        ),
        Mistake(
            "the likeliest key alone is read",
            "np.exp(scores) / np.exp(scores).sum()",
            "(scores == scores.max()).astype(scores.dtype)",
            "All weight is on the best key. Attention is a soft choice: "
            "every key gets some, and gradients flow to all.",
            PAGE,
        ),
        Mistake(
            "the keys are mixed, not the values",
            "weights @ values", "weights @ keys",
            "Keys say where to look, values what is read there: the "
            "output is a mean of values.",
            PAGE,
        ),
        Mistake(
            "the scores are returned as weights",
            "return weights @ values, weights",
            "return weights @ values, scores",
            "The second result is the scores. The weights are what the "
            "softmax makes of them.",
            PAGE,
        ),
    ),
)  # fmt: skip
