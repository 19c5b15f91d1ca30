"""Cross-entropy with label smoothing."""

import numpy as np

from minitransformer.coursework import properties, questions as q
from minitransformer.coursework.exercises import cross_entropy

NAME = "smoothed_cross_entropy"


def draw(rng, batch, seq, vocab_size, smoothing, weights=None):
    args = cross_entropy.draw(rng, batch, seq, vocab_size, weights).args
    return q.question(NAME, **args, label_smoothing=float(smoothing))


def calls(rng):
    batch, seq, vocab_size = q.sizes(rng, 3, 4, 9)
    some = np.round(rng.uniform(0.05, 0.4, size=3), 2)
    yield draw(rng, 1, 1, 2, 0.2, np.ones((1, 1)))
    yield draw(rng, 1, 2, 3, 0.1)
    yield draw(rng, batch, seq, vocab_size, some[0])
    yield draw(rng, seq, vocab_size, batch, some[1])
    yield draw(rng, batch, seq, vocab_size, 0.0)
    yield draw(rng, 2, 3, 4, 0.1, np.zeros((2, 3)))
    ones = np.ones((2, seq))
    yield cross_entropy.high(draw(rng, 2, seq, vocab_size, some[2], ones))
    wide = draw(rng, 2, seq, vocab_size, some[2], ones)
    logits = rng.uniform(-1e4, 1e4, size=wide.args["logits"].shape)
    logits[..., 0] = 1e4
    yield q.changed(wide, logits=logits.astype("float32"))


def slow(rng):
    return draw(rng, 16, 64, 300, 0.1)


adds_up_to_one = properties.uniform_guess(
    lambda rng: [draw(rng, 1, 2, 2, 0.5), draw(rng, 1, 2, 4, 0.1)]
)
only_what_counts = properties.padding_does_not_count(
    lambda rng: [draw(rng, 1, 2, 4, 0.2), draw(rng, 2, 3, 4, 0.2)]
)


def plain_at_zero(ask, rng):
    args = cross_entropy.position(np.log(3), 0)
    got = float(ask(NAME, **args, label_smoothing=0.0))
    if abs(got + np.log(0.75)) > 1e-3:
        yield (
            "with ε = 0 and a target of probability 0.75, the loss is "
            f"{got:.4g}, expected −ln 0.75 = 0.2877"
        )


def straight_line(ask, rng):
    args = draw(rng, 1, 2, 3, 0.0).args
    low, half, high = (
        float(ask(NAME, **args | {"label_smoothing": smoothing}))
        for smoothing in (0.0, 0.25, 0.5)
    )
    if abs((low + high) / 2 - half) > 1e-3:
        yield (
            f"for ε = 0, 0.25 and 0.5 the losses are {low:.4g}, {half:.4g} "
            f"and {high:.4g}, but the second should be midway"
        )
