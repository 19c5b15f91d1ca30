"""Masked scaled dot-product attention."""

import numpy as np

from minitransformer.coursework.exercise import (
    Call,
    Exercise,
    Mistake,
    Property,
)

PAGE = "modules/attention.md"
MASKS = "modules/masks.md"
NAME = "scaled_dot_product_attention"


def question(
    rng, batch, heads, queries, keys, width, value, mask, size=1.0
):
    def normal(*shape):
        return rng.normal(size=shape).astype("float32")

    return Call(NAME, {
        "query": np.float32(size) * normal(batch, heads, queries, width),
        "key": normal(batch, heads, keys, width),
        "value": normal(batch, heads, keys, value),
        "mask": mask,
    })  # fmt: skip


def some_keys(rng, *shape):
    """Draw a mask with at least one True, and one False, in each row."""
    lots = rng.random(shape)
    mask = lots < 0.5
    mask |= lots == lots.min(axis=-1, keepdims=True)
    return mask & (lots < lots.max(axis=-1, keepdims=True))


def calls(rng):
    queries, keys, width, value = rng.permutation(np.arange(3, 8))[:4]
    everything = np.ones((1, 1, 1, 1), bool)
    yield question(rng, 1, 1, 1, 2, 3, 1, everything)
    yield question(rng, 1, 1, 2, 3, 4, 1, some_keys(rng, 1, 1, 2, 3))
    for mask in (
        np.ones((1, 1, queries, keys), bool),
        some_keys(rng, 2, 1, 1, keys),  # padding
        some_keys(rng, 2, 3, queries, keys),
    ):
        yield question(rng, 2, 3, queries, keys, width, value, mask)
    blind = some_keys(rng, 2, 1, queries, keys)
    blind[0, 0, 1] = False
    yield question(rng, 2, 3, queries, keys, width, value, blind)
    yield question(
        rng, 2, 3, queries, keys, width, value,
        some_keys(rng, 1, 1, queries, keys), size=1e4,
    )  # fmt: skip
    square = np.tril(np.ones((keys, keys), bool))[None, None]
    yield question(rng, 2, 3, keys, keys, width, value, square)


def slow(rng):
    mask = np.tril(np.ones((96, 96), bool))[None, None]
    return question(rng, 2, 4, 96, 96, 16, 16, mask)


def sums_to_one(ask, rng):
    for queries, keys in ((1, 2), (2, 3), (5, 4)):
        mask = some_keys(rng, 1, 1, queries, keys)
        call = question(rng, 1, 1, queries, keys, 3, 2, mask)
        _, weights = ask(NAME, **call.args)
        for i, total in enumerate(np.sum(weights, axis=-1)[0, 0]):
            if abs(total - 1) > 1e-4:
                return (
                    f"with {queries} queries and {keys} keys, the weights "
                    f"of query {i} add up to {total:.3g}, not 1"
                )
    return None


def masked_is_zero(ask, rng):
    for queries, keys in ((1, 2), (3, 4)):
        mask = some_keys(rng, 1, 1, queries, keys)
        call = question(rng, 1, 1, queries, keys, 3, 2, mask)
        _, weights = ask(NAME, **call.args)
        leaks = np.argwhere((np.asarray(weights) != 0) & ~mask)
        if len(leaks):
            *_, i, j = leaks[0]
            return f"query {i} gives weight to key {j}, which is masked"
    return None


def masked_is_not_read(ask, rng):
    mask = some_keys(rng, 1, 1, 2, 3)
    mask[..., 2] = False
    mask[..., 0] = True
    call = question(rng, 1, 1, 2, 3, 3, 2, mask)
    output, _ = ask(NAME, **call.args)
    value = call.args["value"].copy()
    value[..., 2, :] += 1
    other, _ = ask(NAME, **call.args | {"value": value})
    if not np.allclose(output, other, atol=1e-4):
        return (
            "changing the value of key 2, which is masked, changed the "
            "output"
        )
    return None


EXERCISE = Exercise(
    title="Masked scaled dot-product attention",
    goal=(
        "The same for all queries, heads and sequences of a batch at once, "
        "with a mask that says who may look where."
    ),
    page=PAGE,
    functions={
        NAME: {
            "output": "batch heads query value_dim",
            "weights": "batch heads query key",
        }
    },
    calls=calls,
    slow=slow,
    forbidden=(
        "dot_product_attention",
        "scaled_dot_product_attention_math",
        "MultiHeadAttention",
        "Attention",
    ),
    hints=(
        "Only the last two axes take part in the products: `@` leaves the "
        "others alone.",
        "What is masked must not take part in the softmax's sum: give it a "
        "score so low that its exponential is 0, before the softmax.",
        "If all scores of a row are that low, the softmax makes them "
        "equal: set the weights to zero where the mask is False, after it.",
    ),
    properties=(
        Property("the weights sum to one", sums_to_one),
        Property("masked weights are exactly zero", masked_is_zero),
        Property("what is masked is not read", masked_is_not_read),
    ),
    like=("attention.scaled_dot_product_attention",),
    mistakes=(
        Mistake(
            "softmax over the queries",
            (
                "exponentials / exponentials.sum(axis=-1, keepdims=True)",
                "masked.max(axis=-1, keepdims=True)",
            ),
            (
                "exponentials / exponentials.sum(axis=-2, keepdims=True)",
                "masked.max(axis=-2, keepdims=True)",
            ),
            "Your softmax runs over the query axis: the columns of the "
            "weights sum to one, and not the rows. It must run over the "
            "keys, the last axis.",
            PAGE,
        ),
        Mistake(
            "no scaling", " / np.sqrt(query.shape[-1])", "",
            "The scores are not divided by √head_dim.", PAGE,
        ),
        Mistake(
            "scaled by head_dim, not its root",
            "np.sqrt(query.shape[-1])", "query.shape[-1]",
            "The scores are divided by head_dim; it should be its root.",
            PAGE,
        ),
        Mistake(
            "scaled by the wrong axis",
            "np.sqrt(query.shape[-1])", "np.sqrt(key.shape[-2])",
            "The root is that of the number of keys; it should be that of "
            "head_dim, the last axis.",
            PAGE,
        ),
        Mistake(
            "the mask is the wrong way round",
            "masked = np.where(mask,",
            "mask = ~mask\n    masked = np.where(mask,",
            "True means “may attend” here. Your mask hides what may be "
            "seen, and shows the rest.",
            MASKS,
        ),
        Mistake(
            "the mask comes after the softmax",
            "masked = np.where(mask, scores, -1e30)", "masked = scores",
            "The masked weights are set to zero after the softmax, so the "
            "others no longer sum to one. Mask the scores before it.",
            MASKS,
        ),
        Mistake(
            "a masked score is 0", "scores, -1e30)", "scores, 0)",
            "A score of 0 still has the exponential 1: masked keys take "
            "part in the sum. Their score must be very low.",
            MASKS,
        ),
        Mistake(
            "a fully masked row is NaN",
            ("-1e30", "np.where(mask, weights, 0)"),
            ("-np.inf", "weights"),
            "A row of −∞ has no softmax: ∞ − ∞ is NaN. Use the lowest "
            "finite number, and set masked weights to zero after it.",
            MASKS,
        ),
        Mistake(
            "a fully masked row attends to everything",
            "np.where(mask, weights, 0)", "weights",
            "A query that may attend to nothing gets equal weights for "
            "all keys. Set masked weights to zero after the softmax, too.",
            MASKS,
        ),
        Mistake(
            "the softmax overflows",
            "masked = masked - masked.max(axis=-1, keepdims=True)", "pass",
            "exp() of a large score is infinite, and infinite by infinite "
            "is NaN. Take each row's largest score from it first.",
            PAGE,
        ),
        Mistake(
            "the keys are reshaped, not transposed",
            "np.swapaxes(key, -1, -2)",
            "key.reshape(*key.shape[:2], key.shape[3], key.shape[2])",
            "A reshape to (…, head_dim, key) reads the numbers in the same "
            "order and mixes the keys; exchange the last two axes.",
            PAGE,
        ),
        Mistake(
            "the scores are returned as weights",
            "return weights @ value, weights",
            "return weights @ value, scores",
            "The second result is the scores. The weights are what the "
            "softmax makes of them.",
            PAGE,
        ),
    ),
)  # fmt: skip
