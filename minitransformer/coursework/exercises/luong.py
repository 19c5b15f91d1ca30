"""One step of Luong's attention."""

import numpy as np

from minitransformer.coursework import properties, questions as q

NAME = "luong_step"


def draw(rng, batch, source, units, memory_units, attention_units):
    rows = memory_units + units
    lengths = rng.integers(1, source, size=(batch, 1))  # padding behind
    return q.question(
        NAME,
        state=q.normal(rng, batch, units),
        memory=q.normal(rng, batch, source, memory_units),
        padding_mask=np.arange(source) < lengths,
        w_a=q.normal(rng, memory_units, units, size=units**-0.5),
        w_c=q.normal(rng, rows, attention_units, size=rows**-0.5),
    )


def with_large_scores(call, padding):
    """Scale the states until a score of each row is about 1,000.

    All numbers are quarters, and the scale is a power of 2, so that floats
    hold the scores exactly, in any order of addition.
    """
    args = dict(call.args)
    for name in ("state", "memory", "w_a"):
        args[name] = np.rint(4 * args[name]) / np.float32(4)
    keys = args["memory"] @ args["w_a"]
    scores = (keys @ args["state"][:, :, None])[:, :, 0]
    scores = np.where(args["padding_mask"], scores, 0)
    best = np.abs(scores).argmax(axis=-1)
    score = scores[np.arange(len(best)), best]
    power = np.exp2(np.ceil(np.log2(750 / np.maximum(abs(score), 1 / 64))))
    stretch = np.sign(score) * power
    args["state"] *= stretch[:, None].astype("float32")
    # The last row is padding; its score is `padding` times the highest.
    highest = args["memory"][np.arange(len(best)), best]
    args["memory"][:, -1] = padding * highest
    return q.question(NAME, **args)


def calls(rng):
    batch, source, units, memory_units, attention_units = q.sizes(
        rng, 5, 3, 9
    )
    yield draw(rng, 1, 2, 3, 4, 1)
    yield draw(rng, 2, 3, 4, 5, 2)
    yield draw(rng, batch, source, units, memory_units, attention_units)
    # Equal widths: some mistakes raise no error only here.
    yield draw(rng, batch, source, units, units, attention_units)
    for padding in (0, 2):
        alike = draw(rng, source, batch, units, units, memory_units)
        yield with_large_scores(alike, padding)


def slow(rng):
    return draw(rng, 32, 64, 48, 64, 40)


def small(rng):
    return [
        draw(rng, batch, source, 3, 4, 2)
        for batch, source in ((1, 2), (2, 3), (3, 5))
    ]


sums_to_one = properties.rows_sum_to_one(small)
padding_is_zero = properties.masked_is_zero(small, "padding_mask")


def sequences_are_apart(ask, rng):
    for name in ("state", "memory"):
        yield from properties.independent(
            lambda rng: [draw(rng, 2, 3, 4, 5, 2)],
            name,
            1,
            0,
            f"changing the {name} of sequence 1 changed the attentional "
            "vector of sequence 0",
        )(ask, rng)


def is_softmax(ask, rng):
    one, two = np.ones((1, 1), "float32"), np.ones((2, 1), "float32")
    memory = np.array([[[0], [np.log(3)]]], "float32")
    args = {"state": one, "memory": memory, "w_a": one, "w_c": two}
    _, weights = ask(NAME, **args, padding_mask=np.ones((1, 2), bool))
    first, second = np.ravel(weights)
    if abs(first - 0.25) + abs(second - 0.75) > 1e-3:
        yield (
            f"for the scores 0 and ln 3 the weights are {first:.4g} and "
            f"{second:.4g}, expected 0.25 and 0.75"
        )


def reads_one_token(ask, rng):
    call = draw(rng, 1, 2, 3, 4, 1)
    call = q.changed(call, padding_mask=np.array([[True, False]]))
    output, _ = ask(NAME, **call.args)
    memory, state = call.args["memory"], call.args["state"]
    joined = np.concatenate([memory[:, 0], state], axis=-1)
    expected = np.tanh(joined @ call.args["w_c"])
    if not np.allclose(output, expected, atol=1e-3):
        yield (
            "with a single real token, the context is its row of the "
            f"memory, so h̃ should be {expected[0, 0]:.4g}, but it is "
            f"{np.ravel(output)[0]:.4g}"
        )
