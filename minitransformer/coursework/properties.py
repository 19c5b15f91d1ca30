"""Properties that several exercises share.

Each function here searches one question for counter-examples. `each` turns
it into a maker of the `broken` function of an `exercise.Property`, as in
`rows_sum_to_one(draw)`, where `draw` is a function of an rng that returns
the questions, the smallest first.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minitransformer.coursework.exercise import Call


def each(search: Callable[..., Iterator[str]]) -> Callable[..., Callable]:
    """Search all questions that `draw` returns."""

    @functools.wraps(search)
    def make(draw, *args, **options):
        def broken(ask, rng):
            for call in draw(rng):
                yield from search(ask, call, *args, **options)

        return broken

    return make


def first(answer: Any) -> np.ndarray:
    """Take the first result of several, or the only one."""
    several = isinstance(answer, (tuple, list))
    return np.asarray(answer[0] if several else answer)


def last(answer: Any) -> np.ndarray:
    """Take the last result of several, or the only one."""
    several = isinstance(answer, (tuple, list))
    return np.asarray(answer[-1] if several else answer)


def moved(
    ask: Callable, call: Call, atol: float = 1e-3, **new: Any
) -> np.ndarray:
    """Tell where the first result differs if arguments are changed."""
    before = first(ask(call.function, **call.args))
    after = first(ask(call.function, **call.args | new))
    return ~np.isclose(before, after, rtol=1e-5, atol=atol)


def stepped(call: Call, argument: str, at: Any, step: Any = 1) -> dict:
    """Copy an argument, and add `step` at an index."""
    array = call.args[argument].copy()
    array[at] += step
    return {argument: array}


@each
def independent(ask, call, argument, at, output, sentence, step=1):
    """Changing a part of an argument does not change a part of the result.

    Args:
        argument: Name of the argument to change.
        at: Index into the argument, such as `np.s_[:, 1]`.
        output: Index into the first result.
        sentence: The counter-example, if that part of the result changes.
        step: Is added to the argument.
    """
    if moved(ask, call, **stepped(call, argument, at, step))[output].any():
        yield sentence


@each
def causal(ask, call, argument, what):
    """Changing a token changes no result before it."""
    array = call.args[argument]
    for j in range(1, array.shape[1]):
        # One feature: a norm would not see all of them shifted.
        at = (0, j, 0)[: array.ndim]
        new = stepped(call, argument, at)
        places = moved(ask, call, **new)[0, :j].any(axis=-1)
        for i in np.flatnonzero(places):
            yield f"changing token {j} changed the {what} at position {i}"


@each
def rows_are_independent(ask, call, argument):
    """Each row of a batch has the same result alone as in the batch."""
    batch = call.args[argument]
    together = first(ask(call.function, **call.args))
    for i in range(len(batch)):
        row = call.args | {argument: batch[i : i + 1]}
        alone = first(ask(call.function, **row))
        if not np.allclose(alone[0], together[i], atol=1e-3):
            options = "".join(
                f", {name}={value}"
                for name, value in call.args.items()
                if isinstance(value, (int, float))
            )
            yield (
                f"row {i} of a batch of {len(batch)} gives another result "
                f"when it is alone{options}"
            )


@each
def rows_sum_to_one(ask, call):
    """Each row of the last result sums to one."""
    weights = last(ask(call.function, **call.args))
    sums = weights.sum(axis=-1)
    for i in np.argwhere(abs(sums - 1) > 1e-3).tolist():
        where = f" at {tuple(i)}" if i else ""
        yield (
            f"a row of length {weights.shape[-1]}{where} sums to "
            f"{sums[tuple(i)]:.3g}, not 1"
        )


@each
def masked_is_zero(ask, call, mask):
    """Weights are exactly zero where an argument, the mask, is False."""
    weights = last(ask(call.function, **call.args))
    for *_, i, j in np.argwhere((weights != 0) & ~call.args[mask]):
        yield f"row {i} gives weight to key {j}, which is masked"


@each
def uniform_guess(ask, call):
    """When all logits are 0, the loss is ln V."""
    logits = np.zeros_like(call.args["logits"])
    got = float(ask(call.function, **call.args | {"logits": logits}))
    vocab_size = logits.shape[-1]
    right = np.log(vocab_size)
    if abs(got - right) > 1e-3:
        yield (
            f"with {vocab_size} tokens and all logits 0, the loss is "
            f"{got:.4g}, expected ln {vocab_size} = {right:.4g}"
        )


@each
def padding_does_not_count(ask, call):
    """Logits where the weight is 0 do not change the loss."""
    b, t = np.argwhere(call.args["weights"] == 0)[0]
    if moved(ask, call, **stepped(call, "logits", (b, t, 0), 2)):
        yield (
            f"batch {b}, position {t} has the weight 0, but changing a "
            "logit there changed the loss"
        )
