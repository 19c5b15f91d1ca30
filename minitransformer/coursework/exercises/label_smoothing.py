"""Cross-entropy with label smoothing."""

import numpy as np

from minitransformer.coursework.exercise import (
    Call,
    Exercise,
    Mistake,
    Property,
)

PAGE = "modules/learning/losses.md"
NAME = "smoothed_cross_entropy"
SOFT = "(1 - label_smoothing) * only + share"


def question(rng, batch, seq, vocab_size, smoothing, weights=None):
    if weights is None:
        weights = some_count(rng, batch, seq)
    logits = 2 * rng.normal(size=(batch, seq, vocab_size))
    return Call(NAME, {
        "logits": logits.astype("float32"),
        "targets": rng.integers(0, vocab_size, size=(batch, seq)),
        "weights": weights.astype("float32"),
        "label_smoothing": float(smoothing),
    })  # fmt: skip


def some_count(rng, batch, seq):
    """Draw weights: in each row one counts at least, and one does not."""
    lengths = 1 + rng.permutation(batch) % (seq - 1)
    weights = np.arange(seq) < lengths[:, None]
    return rng.permuted(weights, axis=1)


def calls(rng):
    batch, seq, vocab_size = rng.permutation(np.arange(4, 9))[:3]
    some = np.round(rng.uniform(0.05, 0.4, size=3), 2)
    yield question(rng, 1, 1, 2, 0.2, np.ones((1, 1)))
    yield question(rng, 1, 2, 3, 0.1)
    yield question(rng, batch, seq, vocab_size, some[0])
    yield question(rng, seq, vocab_size, batch, some[1])
    yield question(rng, batch, seq, vocab_size, 0.0)
    yield question(rng, 2, 3, 4, 0.1, np.zeros((2, 3)))
    ones = np.ones((2, seq))
    high = question(rng, 2, seq, vocab_size, some[2], ones)
    yield Call(NAME, high.args | {"logits": high.args["logits"] + 1000})
    wide = question(rng, 2, seq, vocab_size, some[2], ones)
    logits = rng.uniform(-1e4, 1e4, size=wide.args["logits"].shape)
    logits[..., 0] = 1e4
    yield Call(NAME, wide.args | {"logits": logits.astype("float32")})


def slow(rng):
    return question(rng, 16, 64, 300, 0.1)


def adds_up_to_one(ask, rng):
    for vocab_size, smoothing in ((2, 0.5), (4, 0.1)):
        call = question(rng, 1, 2, vocab_size, smoothing)
        args = call.args | {"logits": 0 * call.args["logits"]}
        loss = np.log(vocab_size)
        got = float(ask(NAME, **args))
        if abs(got - loss) > 1e-3:
            return (
                f"with {vocab_size} tokens, all logits 0 and ε = "
                f"{smoothing}, the loss is ln {vocab_size} = {loss:.4g}, "
                f"as for any ε; {got:.4g} came back"
            )
    return None


def plain_at_zero(ask, rng):
    args = {
        "logits": np.log(np.array([[[3, 1]]], "float32")),
        "targets": np.array([[0]]),
        "weights": np.ones((1, 1), "float32"),
    }
    got = float(ask(NAME, **args, label_smoothing=0.0))
    if abs(got + np.log(0.75)) > 1e-3:
        return (
            "a target with the probability 0.75 costs −ln 0.75 = 0.2877 "
            f"for ε = 0; {got:.4g} came back"
        )
    return None


def straight_line(ask, rng):
    call = question(rng, 1, 2, 3, 0.0)
    none, half, nearly = (
        float(ask(NAME, **call.args | {"label_smoothing": smoothing}))
        for smoothing in (0.0, 0.25, 0.5)
    )
    if abs((none + nearly) / 2 - half) > 1e-3:
        return (
            f"for ε = 0, 0.25 and 0.5 the losses are {none:.4g}, "
            f"{half:.4g} and {nearly:.4g}; the second should be midway"
        )
    return None


def only_what_counts(ask, rng):
    for batch, seq in ((1, 2), (2, 3)):
        call = question(rng, batch, seq, 4, 0.2)
        got = float(ask(NAME, **call.args))
        b, t = np.argwhere(call.args["weights"] == 0)[0]
        logits = call.args["logits"].copy()
        logits[b, t, 0] += 2
        other = float(ask(NAME, **call.args | {"logits": logits}))
        if abs(got - other) > 1e-3:
            return (
                f"batch {b}, position {t} has the weight 0, but changing "
                f"a logit there changed the loss by {other - got:.4g}"
            )
    return None


EXERCISE = Exercise(
    title="Label smoothing",
    goal=(
        "Ask the model not to be too sure: the target gets a little less "
        "than all of the probability, and all tokens share the rest."
    ),
    page=PAGE,
    functions={NAME: {"loss": ""}},
    calls=calls,
    slow=slow,
    forbidden=(
        "CategoricalCrossentropy",
        "categorical_crossentropy",
        "softmax_cross_entropy_with_logits",
        "CrossEntropyLoss",
    ),
    hints=(
        "Only the targets change. The model's probabilities, the weights "
        "and the mean are those of the loss without smoothing.",
        "For ε = 0.1 and five tokens, the target gets 0.92 and the others "
        "0.02 each: together 1.",
        "The surprise is (1 − ε) · (−log p of the target) + ε · (the mean "
        "of −log p over all tokens).",
    ),
    properties=(
        Property("soft targets add up to one", adds_up_to_one),
        Property("for ε = 0 nothing is smoothed", plain_at_zero),
        Property("the loss is a straight line in ε", straight_line),
        Property("padding does not count", only_what_counts),
    ),
    like=("losses.masked_cross_entropy",),
    mistakes=(
        Mistake(
            "the smoothing is left out", SOFT, "only",
            "The loss does not move with ε: this is the cross-entropy "
            "without smoothing.",
            PAGE,
        ),
        Mistake(
            "only the others share ε", SOFT,
            "(1 - label_smoothing) * only\n    soft = soft + (1 - only) * "
            "label_smoothing / (only.shape[-1] - 1)",
            "You share ε among the V − 1 other tokens, as Tensor2Tensor "
            "does. Here all V share it, the target among them.",
            PAGE,
        ),
        Mistake(
            "the target gets 1 − ε alone", SOFT,
            "np.where(only > 0, 1 - label_smoothing, share).astype("
            "only.dtype)",
            "The target gets 1 − ε, and the others ε/V: that adds up to "
            "less than 1. The target has its share, too, 1 − ε + ε/V.",
            PAGE,
        ),
        Mistake(
            "nothing is taken from the target", SOFT, "only + share",
            "The target keeps all of its 1, and each token gets ε/V on "
            "top: that adds up to 1 + ε. The target gives ε away first.",
            PAGE,
        ),
        Mistake(
            "ε and 1 − ε change places", SOFT,
            "label_smoothing * only\n"
            "    soft = soft + (1 - label_smoothing) / only.shape[-1]",
            "The target gets ε, and 1 − ε is shared. For ε = 0 it should "
            "be the loss without smoothing.",
            PAGE,
        ),
        Mistake(
            "each token gets ε, not ε/V",
            "label_smoothing / logits.shape[-1]", "label_smoothing",
            "You add ε for each token, where all together share it: take "
            "the mean over the vocabulary, not the sum.",
            PAGE,
        ),
        Mistake(
            "the model is smoothed, not the target",
            (SOFT, "    surprise ="),
            (
                "only",
                "    log_p = np.log("
                "(1 - label_smoothing) * np.exp(log_p) + share)\n"
                "    surprise =",
            ),
            "You mix the model's probabilities with even ones, and ask for "
            "a hard target. It is the target that is mixed.",
            PAGE,
        ),
        Mistake(
            "padding is in the even part", "(surprise * weights).sum()",
            "np.where(weights, surprise, -share * log_p.sum(-1)).sum()",
            "The share of all tokens is added up over padding, too. "
            "Multiply by the weights after both parts are joined.",
            PAGE,
        ),
        Mistake(
            "the lowest loss is subtracted", "    total, count",
            "    surprise += (soft * np.log(soft + 1e-20)).sum(axis=-1)\n"
            "    total, count",
            "You take away the lowest loss that can be reached, as "
            "Tensor2Tensor does. It changes no gradient, and is not asked.",
            PAGE,
        ),
        Mistake(
            "divided by all positions",
            "total / np.maximum(count, 1)", "total / weights.size",
            "The sum is right, but it is divided by the number of all "
            "positions. Divide by how many count.",
            PAGE,
        ),
        Mistake(
            "a mean of the rows' means",
            (
                "(surprise * weights).sum(), weights.sum()",
                "return total / np.maximum(count, 1)",
            ),
            (
                "(surprise * weights).sum(axis=-1), weights.sum(axis=-1)",
                "return (total / np.maximum(count, 1)).mean()",
            ),
            "Each row has its own mean, and these are averaged: so a token "
            "of a short row weighs more. Add up all, and divide once.",
            PAGE,
        ),
        Mistake(
            "the weights are not used",
            "(surprise * weights).sum(), weights.sum()",
            "surprise.sum(), surprise.size",
            "This is the mean over all positions. Those with the weight 0 "
            "are padding, and must count neither above nor below the line.",
            PAGE,
        ),
        Mistake(
            "the sum is not divided", "total / np.maximum(count, 1)",
            "total",
            "You return the sum. The mean is that by the number of "
            "positions that count.",
            PAGE,
        ),
        Mistake(
            "NaN where nothing counts", "np.maximum(count, 1)", "count",
            "If no position counts, you divide 0 by 0. The loss is to be "
            "0.0 then.",
            PAGE,
        ),
        Mistake(
            "the exponential overflows",
            "logits - logits.max(axis=-1, keepdims=True)", "logits",
            "exp(1000) is infinite. Take the largest logit of each "
            "position from all of them first.",
            PAGE,
        ),
    ),
)  # fmt: skip
