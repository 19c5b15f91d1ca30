"""Cross-entropy over the positions that count."""

import numpy as np

from minitransformer.coursework.exercise import (
    Call,
    Exercise,
    Mistake,
    Property,
)

PAGE = "modules/learning/losses.md"
NAME = "masked_cross_entropy"


def question(rng, batch, seq, vocab_size, weights=None):
    if weights is None:
        weights = some_count(rng, batch, seq)
    logits = 2 * rng.normal(size=(batch, seq, vocab_size))
    return Call(NAME, {
        "logits": logits.astype("float32"),
        "targets": rng.integers(0, vocab_size, size=(batch, seq)),
        "weights": weights.astype("float32"),
    })  # fmt: skip


def some_count(rng, batch, seq):
    """Draw weights: in each row one counts at least, and one does not.

    No two rows have the same number of them, as long as that can be.
    """
    lengths = 1 + rng.permutation(batch) % (seq - 1)
    weights = np.arange(seq) < lengths[:, None]
    return rng.permuted(weights, axis=1)


def calls(rng):
    batch, seq, vocab_size = rng.permutation(np.arange(4, 9))[:3]
    yield question(rng, 1, 1, 2, np.ones((1, 1)))
    yield question(rng, 1, 2, 3)
    yield question(rng, 2, 3, 4)
    yield question(rng, batch, seq, vocab_size)
    yield question(rng, seq, vocab_size, batch)
    yield question(rng, 2, 3, 4, np.zeros((2, 3)))
    # exp(1000) is infinite, though no logit is far from the others …
    ones = np.ones((2, seq))
    high = question(rng, 2, seq, vocab_size, ones)
    yield Call(NAME, high.args | {"logits": high.args["logits"] + 1000})
    # … and here the targets are far below the highest: 1e4, and 0.
    wide = question(rng, 2, seq, vocab_size, ones)
    logits = rng.uniform(-1e4, 0, size=wide.args["logits"].shape)
    other = (wide.args["targets"] + 1) % vocab_size
    np.put_along_axis(logits, other[..., None], 0, axis=-1)
    logits[0] += 1e4
    yield Call(NAME, wide.args | {"logits": logits.astype("float32")})


def slow(rng):
    return question(rng, 16, 64, 500)


def knows_nothing(ask, rng):
    for vocab_size in (2, 5):
        call = question(rng, 1, 2, vocab_size)
        args = call.args | {"logits": 0 * call.args["logits"]}
        loss = np.log(vocab_size)
        got = float(ask(NAME, **args))
        if abs(got - loss) > 1e-3:
            return (
                f"with {vocab_size} tokens, all logits 0, the loss is "
                f"ln {vocab_size} = {loss:.4g}; {got:.4g} came back"
            )
    return None


def differences_matter(ask, rng):
    call = question(rng, 1, 2, 3)
    got = float(ask(NAME, **call.args))
    more = {"logits": call.args["logits"] + 1}
    other = float(ask(NAME, **call.args | more))
    if abs(got - other) > 1e-3:
        return (
            "adding 1 to every logit changes no probability, but the loss "
            f"went from {got:.4g} to {other:.4g}"
        )
    return None


def far_below(ask, rng):
    for far in (5, 50, 500):
        args = {
            "logits": np.array([[[0, far]]], "float32"),
            "targets": np.array([[0]]),
            "weights": np.ones((1, 1), "float32"),
        }
        got = float(ask(NAME, **args))
        loss = np.log1p(np.exp(-far)) + far
        if not abs(got - loss) <= 1e-2:  # NaN, too
            return (
                f"with the logits 0 and {far}, the first of them the "
                f"target's, the loss is {loss:.4g}; {got:.4g} came back"
            )
    return None


def only_what_counts(ask, rng):
    for batch, seq in ((1, 2), (2, 3)):
        call = question(rng, batch, seq, 4)
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
    title="Masked cross-entropy",
    goal=(
        "Measure how surprised the model is by what came, in nats. What is "
        "padding must not count, and large logits must do no harm."
    ),
    page=PAGE,
    functions={NAME: {"loss": ""}},
    calls=calls,
    slow=slow,
    forbidden=(
        "SparseCategoricalCrossentropy",
        "CategoricalCrossentropy",
        "sparse_categorical_crossentropy",
        "categorical_crossentropy",
        "sparse_softmax_cross_entropy_with_logits",
        "softmax_cross_entropy_with_logits",
        "CrossEntropyLoss",
    ),
    hints=(
        "log softmax(z)ᵥ is zᵥ − log Σ exp(z). The probabilities "
        "themselves are never needed.",
        "Take the largest logit of each position from all of them first: "
        "the softmax stays what it is, and no exponential overflows.",
        "np.take_along_axis picks each target's logarithm. Add up what "
        "counts, and divide by how many count: once, over the whole batch.",
    ),
    properties=(
        Property("a model that knows nothing loses ln V", knows_nothing),
        Property("a target far below costs what it is below", far_below),
        Property("only differences of logits matter", differences_matter),
        Property("padding does not count", only_what_counts),
    ),
    like=("losses.masked_cross_entropy",),
    mistakes=(
        Mistake(
            "divided by all positions",
            "return total / np.maximum(count, 1)",
            "return total / weights.size",
            "The sum is right, but it is divided by the number of all "
            "positions. The more padding, the better the model looks.",
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
            "the sum is not divided", "return total / np.maximum(count, 1)",
            "return total",
            "You return the sum. The mean is that by the number of "
            "positions that count.",
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
            "padding counts in the sum", "(surprise * weights)", "surprise",
            "You divide by the number of positions that count, but the sum "
            "is over all. Multiply by the weights before you add up.",
            PAGE,
        ),
        Mistake(
            "NaN where nothing counts", "np.maximum(count, 1)", "count",
            "If no position counts, you divide 0 by 0. The loss is to be "
            "0.0 then.",
            PAGE,
        ),
        Mistake(
            "bits, not nats",
            "chosen[..., 0]", "chosen[..., 0] / np.log(2)",
            "The logarithm is that to the base 2, which gives bits. Nats "
            "are wanted: the natural logarithm.",
            PAGE,
        ),
        Mistake(
            "the sign is missing", "surprise = -", "surprise = ",
            "You return the mean of log p, which is never above 0. The "
            "loss is its negative: training makes it small.",
            PAGE,
        ),
        Mistake(
            "the exponential overflows",
            "shifted = logits - highest", "shifted = logits",
            "exp(1000) is infinite. Take the largest logit of each "
            "position from all of them first.",
            PAGE,
        ),
        Mistake(
            "one maximum for all positions",
            "logits.max(axis=-1, keepdims=True)", "logits.max()",
            "The largest logit of the whole batch is taken from all. A "
            "position far below it has only zeros then, and log 0 is −∞.",
            PAGE,
        ),
        Mistake(
            "the logarithm of a probability that is 0",
            "shifted - np.log(sums)", "np.log(np.exp(shifted) / sums)",
            "A small probability becomes 0 in floats, and its logarithm is "
            "−∞. Never make the probability: log p is z − log Σ exp(z).",
            PAGE,
        ),
        Mistake(
            "the softmax is applied twice", "    chosen =",
            "    log_p = np.exp(log_p)\n    log_p = log_p - np.log("
            "np.exp(log_p).sum(axis=-1, keepdims=True))\n    chosen =",
            "The probabilities are taken for logits, and go through a "
            "softmax again: the loss can hardly fall.",
            PAGE,
        ),
        Mistake(
            "the softmax runs over the positions",
            ("logits.max(axis=-1,", "np.exp(shifted).sum(axis=-1,"),
            ("logits.max(axis=1,", "np.exp(shifted).sum(axis=1,"),
            "Your softmax runs over the positions of a sequence. It runs "
            "over the vocabulary, the last axis.",
            PAGE,
        ),
        Mistake(
            "the perplexity is returned",
            "return total / np.maximum(count, 1)",
            "return np.exp(total / np.maximum(count, 1))",
            "This is exp(loss), the perplexity. The loss itself is wanted.",
            PAGE,
        ),
    ),
)  # fmt: skip
