"""Cross-entropy over the positions that count."""

import numpy as np

from minitransformer.coursework import properties, questions as q

NAME = "masked_cross_entropy"


def draw(rng, batch, seq, vocab_size, weights=None):
    """Draw a question; in each row some positions count, and some do not.

    Rows have different numbers of them, where possible.
    """
    if weights is None:
        lengths = 1 + rng.permutation(batch) % (seq - 1)
        weights = np.arange(seq) < lengths[:, None]
        weights = rng.permuted(weights, axis=1)
    return q.question(
        NAME,
        logits=q.normal(rng, batch, seq, vocab_size, size=2),
        targets=rng.integers(0, vocab_size, size=(batch, seq)),
        weights=weights.astype("float32"),
    )


def high(call):
    """Add 1000 to all logits, since exp(1000) is infinity."""
    return q.changed(call, logits=call.args["logits"] + 1000)


def calls(rng):
    batch, seq, vocab_size = q.sizes(rng, 3, 4, 9)
    yield draw(rng, 1, 1, 2, np.ones((1, 1)))
    yield draw(rng, 1, 2, 3)
    yield draw(rng, 2, 3, 4)
    yield draw(rng, batch, seq, vocab_size)
    yield draw(rng, seq, vocab_size, batch)
    yield draw(rng, 2, 3, 4, np.zeros((2, 3)))
    yield high(draw(rng, 2, seq, vocab_size, np.ones((2, seq))))
    # Here the targets are far below the largest logits, 1e4 and 0.
    wide = draw(rng, 2, seq, vocab_size, np.ones((2, seq)))
    logits = rng.uniform(-1e4, 0, size=wide.args["logits"].shape)
    other = (wide.args["targets"] + 1) % vocab_size
    np.put_along_axis(logits, other[..., None], 0, axis=-1)
    logits[0] += 1e4
    yield q.changed(wide, logits=logits.astype("float32"))


def slow(rng):
    return draw(rng, 16, 64, 500)


knows_nothing = properties.uniform_guess(
    lambda rng: [draw(rng, 1, 2, v) for v in (2, 5)]
)
only_what_counts = properties.padding_does_not_count(
    lambda rng: [draw(rng, 1, 2, 4), draw(rng, 2, 3, 4)]
)


def position(*logits):
    """Give the arguments for one position, whose target is token 0."""
    return {
        "logits": np.array([[logits]], "float32"),
        "targets": np.array([[0]]),
        "weights": np.ones((1, 1), "float32"),
    }


def differences_matter(ask, rng):
    call = draw(rng, 1, 2, 3)
    if properties.moved(ask, call, logits=call.args["logits"] + 1):
        yield (
            "adding 1 to every logit changes no probability, but it "
            "changed the loss"
        )


def far_below(ask, rng):
    for far in (5, 50, 500):
        got = float(ask(NAME, **position(0, far)))
        loss = np.log1p(np.exp(-far)) + far
        if not abs(got - loss) <= 1e-2:  # also NaN
            yield (
                f"for the target's logit 0 and another logit {far}, the "
                f"loss is {got:.4g}, expected {loss:.4g}"
            )
