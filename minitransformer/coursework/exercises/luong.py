"""One step of Luong's attention."""

import numpy as np

from minitransformer.coursework.exercise import (
    Call,
    Exercise,
    Mistake,
    Property,
)

PAGE = "modules/scoring.md"
DECODER = "modules/recurrent.md"
MASKS = "modules/masks.md"
NAME = "luong_step"
MASKED = "masked = np.where(padding_mask, scores, -1e30)"
END = "keepdims=True)\n    context"  # of the line that makes the weights


def question(rng, batch, source, units, memory_units, attention_units):
    def normal(*shape):
        return rng.normal(size=shape).astype("float32")

    rows = memory_units + units
    return Call(NAME, {
        "state": normal(batch, units),
        "memory": normal(batch, source, memory_units),
        "padding_mask": some_padding(rng, batch, source),
        "w_a": normal(memory_units, units) / np.float32(units**0.5),
        "w_c": normal(rows, attention_units) / np.float32(rows**0.5),
    })  # fmt: skip


def some_padding(rng, batch, source):
    """Draw lengths: each row has a real token, and padding behind."""
    lengths = rng.integers(1, source, size=(batch, 1))
    return np.arange(source) < lengths


def with_large_scores(call, padding):
    """Stretch the states until a score of each row is about 1,000.

    All numbers are quarters, and the stretch is a power of 2: so floats
    hold the scores exactly, whatever the order they are added up in.
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
    # The last one is padding: its score is so many times the highest.
    highest = args["memory"][np.arange(len(best)), best]
    args["memory"][:, -1] = padding * highest
    return Call(NAME, args)


def calls(rng):
    sizes = rng.permutation(np.arange(3, 9))[:5]
    batch, source, units, memory_units, attention_units = sizes
    yield question(rng, 1, 2, 3, 4, 1)
    yield question(rng, 2, 3, 4, 5, 2)
    yield question(rng, *sizes)
    # Two widths alike: only here do some mistakes give numbers at all.
    yield question(rng, batch, source, units, units, attention_units)
    for padding in (0, 2):
        alike = question(rng, source, batch, units, units, memory_units)
        yield with_large_scores(alike, padding)


def slow(rng):
    return question(rng, 32, 64, 48, 64, 40)


def sums_to_one(ask, rng):
    for batch, source in ((1, 2), (2, 3), (3, 5)):
        call = question(rng, batch, source, 3, 4, 2)
        _, weights = ask(NAME, **call.args)
        for i, total in enumerate(np.sum(weights, axis=-1)):
            if abs(total - 1) > 1e-4:
                return (
                    f"with {source} source tokens, the weights of sequence "
                    f"{i} add up to {total:.3g}, not 1"
                )
    return None


def is_softmax(ask, rng):
    _, weights = ask(
        NAME, state=np.ones((1, 1), "float32"),
        memory=np.array([[[0], [np.log(3)]]], "float32"),
        padding_mask=np.ones((1, 2), bool),
        w_a=np.ones((1, 1), "float32"), w_c=np.ones((2, 1), "float32"),
    )  # fmt: skip
    first, second = np.ravel(weights)
    if abs(first - 0.25) + abs(second - 0.75) > 1e-3:
        return (
            "with the scores 0 and ln 3 the weights are 0.25 and 0.75; "
            f"{first:.4g} and {second:.4g} came back"
        )
    return None


def padding_is_zero(ask, rng):
    call = question(rng, 2, 3, 4, 5, 2)
    _, weights = ask(NAME, **call.args)
    leaks = np.argwhere(
        (np.asarray(weights) != 0) & ~call.args["padding_mask"]
    )
    if len(leaks):
        i, j = leaks[0]
        return f"sequence {i} gives weight to token {j}, which is padding"
    return None


def sequences_are_apart(ask, rng):
    args = question(rng, 2, 3, 4, 5, 2).args
    args["padding_mask"] = np.ones((2, 3), bool)
    before = ask(NAME, **args)
    for name in ("state", "memory"):
        array = args[name].copy()
        array[1] += 1
        after = ask(NAME, **args | {name: array})
        for what, a, b in zip(
            ("attentional vector", "weights"), before, after, strict=True
        ):
            if not np.allclose(a[0], b[0], atol=1e-4):
                return (
                    f"changing the {name} of sequence 1 changed the {what} "
                    "of sequence 0"
                )
    return None


def reads_one_token(ask, rng):
    call = question(rng, 1, 2, 3, 4, 1)
    args = call.args | {"padding_mask": np.array([[True, False]])}
    output, _ = ask(NAME, **args)
    joined = np.concatenate([args["memory"][:, 0], args["state"]], axis=-1)
    wanted = np.tanh(joined @ args["w_c"])
    if not np.allclose(output, wanted, atol=1e-3):
        return (
            "with a single real token the context is that token's row of "
            f"the memory, and h̃ is {wanted[0, 0]:.4g}; "
            f"{np.ravel(output)[0]:.4g} came back"
        )
    return None


EXERCISE = Exercise(
    title="A step of Luong's attention",
    goal=(
        "Before the Transformer: a recurrent decoder looks at the source "
        "with its state, and joins what it saw with what it knew."
    ),
    page=PAGE,
    functions={
        NAME: {
            "attentional": "batch attention_units",
            "weights": "batch source",
        }
    },
    calls=calls,
    slow=slow,
    forbidden=(
        "Attention",
        "AdditiveAttention",
        "LuongAttention",
        "AttentionWrapper",
        "dot_product_attention",
    ),
    hints=(
        "Make one key of each row of the memory: all of them at once are "
        "memory @ w_a. Then each sequence's state meets its own keys.",
        "Padding gets a score so low that its exponential is 0, before the "
        "softmax; and the softmax runs over the source, the last axis.",
        "The weights mix the rows of the memory, not the keys. Join the "
        "context first and the state second, multiply by w_c, take tanh.",
    ),
    properties=(
        Property("the weights sum to one", sums_to_one),
        Property("padding has a weight of exactly zero", padding_is_zero),
        Property("sequences are apart", sequences_are_apart),
        Property("a softmax makes weights of scores", is_softmax),
        Property("h̃ is tanh([context; state] W_c)", reads_one_token),
    ),
    like=("scoring.GeneralScore", "scoring.attend"),
    mistakes=(
        Mistake(
            "the padding is not masked", MASKED, "masked = scores",
            "Padding gets weight like any token. Give it a score so low "
            "that its exponential is 0, before the softmax.",
            MASKS,
        ),
        Mistake(
            "the mask comes after the softmax",
            (MASKED, END),
            ("masked = scores", END.replace(")", ") * padding_mask")),
            "The weights of padding are set to zero after the softmax, so "
            "the others no longer sum to one. Mask the scores before it.",
            MASKS,
        ),
        Mistake(
            "masked after the softmax, and divided again",
            (MASKED, END),
            (
                "masked = scores",
                "keepdims=True) * padding_mask\n    "
                "weights = weights / weights.sum(axis=-1, " + END,
            ),
            "Dividing again repairs the sum. But where padding had all of "
            "the weight, it divides 0 by 0: mask the scores instead.",
            MASKS,
        ),
        Mistake(
            "a masked score is 0", "scores, -1e30)", "scores, 0)",
            "A score of 0 still has the exponential 1: padding takes part "
            "in the sum. Its score must be very low.",
            MASKS,
        ),
        Mistake(
            "the mask is the wrong way round",
            "scores, -1e30)", "-1e30, scores)",
            "True means a real token here. Your mask hides the tokens, and "
            "shows the padding.",
            MASKS,
        ),
        Mistake(
            "the softmax runs over the batch",
            "axis=-1, keepdims=True", "axis=0, keepdims=True",
            "The columns of your weights sum to one, so the sequences of a "
            "batch compete. Softmax runs over the source, the last axis.",
            PAGE,
        ),
        Mistake(
            "the softmax overflows",
            "masked = masked - masked.max(axis=-1, keepdims=True)", "pass",
            "exp() of a large score is infinite, and infinite by infinite "
            "is NaN. Take each row's largest score from it first.",
            "modules/attention.md",
        ),
        Mistake(
            "scaled by the root of the width",
            "(keys @ state[:, :, None])[:, :, 0]",
            "(keys @ state[:, :, None])[:, :, 0] / state.shape[-1] ** 0.5",
            "The scores are divided by √units. That is the Transformer's; "
            "Luong's are plain, for W_a can learn any scale.",
            PAGE,
        ),
        Mistake(
            "W_a is left out", "keys = memory @ w_a", "keys = memory",
            "The state is compared with the memory itself, which is the "
            "score “dot”, and works only where the widths are the same.",
            PAGE,
        ),
        Mistake(
            "W_a is transposed", "memory @ w_a", "memory @ w_a.T",
            "W_a stands from memory_units to units: memory @ w_a, or "
            "state @ w_a.T. You have it the other way round.",
            PAGE,
        ),
        Mistake(
            "the keys are mixed, not the memory",
            "(weights[:, None] @ memory)", "(weights[:, None] @ keys)",
            "The context is made of memory W_a. That product is for the "
            "scores only; the weights mix the memory itself.",
            PAGE,
        ),
        Mistake(
            "context and state change places",
            "[context, state]", "[state, context]",
            "You join [state; context]. The first rows of w_c are for the "
            "context: [context; state].",
            DECODER,
        ),
        Mistake(
            "the tanh is missing", "np.tanh(joined @ w_c)", "joined @ w_c",
            "h̃ is the tanh of the product with W_c; yours is the product "
            "alone.",
            DECODER,
        ),
        Mistake(
            "the state is left out",
            "[context, state]", "[context, 0 * state]",
            "h̃ is made of the context alone. The state must be joined to "
            "it: it holds what was written so far.",
            DECODER,
        ),
        Mistake(
            "the scores are returned as weights",
            "@ w_c), weights", "@ w_c), scores",
            "The second result is the scores. The weights are what the "
            "softmax makes of them.",
            PAGE,
        ),
    ),
)  # fmt: skip
