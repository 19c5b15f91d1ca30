"""Properties that several exercises share.

Each function here makes the `broken` function of an `exercise.Property`.
`draw` is a function of an rng that returns questions, the smallest first.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minitransformer.coursework.exercise import Call

Draw = Callable[[np.random.Generator], list[Call]]


def first(answer: Any) -> np.ndarray:
    """Take the first result of several, or the only one."""
    return np.asarray(
        answer[0] if isinstance(answer, (tuple, list)) else answer
    )


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


def independent(
    draw: Draw,
    argument: str,
    at: Any,
    output: Any,
    sentence: str,
    step: Any = 1,
) -> Callable:
    """Changing a part of an argument does not change a part of the result.

    Args:
        draw: Makes the questions.
        argument: Name of the argument to change.
        at: Index into the argument, such as `np.s_[:, 1]`.
        output: Index into the first result.
        sentence: The counter-example, if that part of the result changes.
        step: Is added to the argument.
    """

    def broken(ask, rng):
        for call in draw(rng):
            new = stepped(call, argument, at, step)
            if moved(ask, call, **new)[output].any():
                yield sentence

    return broken


def causal(draw: Draw, argument: str, what: str) -> Callable:
    """Changing a token changes no result before it."""

    def broken(ask, rng):
        for call in draw(rng):
            array = call.args[argument]
            for j in range(1, array.shape[1]):
                # One feature: a norm would not see all of them shifted.
                at = (0, j, 0)[: array.ndim]
                new = stepped(call, argument, at)
                places = moved(ask, call, **new)[0, :j].any(axis=-1)
                for i in np.flatnonzero(places):
                    yield (
                        f"changing token {j} changed the {what} at "
                        f"position {i}"
                    )

    return broken


def rows_are_independent(draw: Draw, argument: str) -> Callable:
    """Each row of a batch has the same result alone as in the batch."""

    def broken(ask, rng):
        for call in draw(rng):
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
                        f"row {i} of a batch of {len(batch)} gives another "
                        f"result when it is alone{options}"
                    )

    return broken


def rows_sum_to_one(draw: Draw) -> Callable:
    """Each row of the last result sums to one."""

    def broken(ask, rng):
        for call in draw(rng):
            answer = ask(call.function, **call.args)
            weights = np.asarray(
                answer[-1] if isinstance(answer, (tuple, list)) else answer
            )
            sums = weights.sum(axis=-1)
            for i in np.argwhere(abs(sums - 1) > 1e-3).tolist():
                where = f" at {tuple(i)}" if i else ""
                yield (
                    f"a row of length {weights.shape[-1]}{where} sums to "
                    f"{sums[tuple(i)]:.3g}, not 1"
                )

    return broken


def masked_is_zero(draw: Draw, mask: str) -> Callable:
    """Weights are exactly zero where an argument, the mask, is False."""

    def broken(ask, rng):
        for call in draw(rng):
            _, weights = ask(call.function, **call.args)
            leaks = (np.asarray(weights) != 0) & ~call.args[mask]
            for *_, i, j in np.argwhere(leaks):
                yield f"row {i} gives weight to key {j}, which is masked"

    return broken


def uniform_guess(draw: Draw) -> Callable:
    """When all logits are 0, the loss is ln V."""

    def broken(ask, rng):
        for call in draw(rng):
            logits = np.zeros_like(call.args["logits"])
            got = float(
                ask(call.function, **call.args | {"logits": logits})
            )
            vocab_size = logits.shape[-1]
            if abs(got - np.log(vocab_size)) > 1e-3:
                yield (
                    f"with {vocab_size} tokens and all logits 0, the loss "
                    f"is {got:.4g}, expected ln {vocab_size} = "
                    f"{np.log(vocab_size):.4g}"
                )

    return broken


def padding_does_not_count(draw: Draw) -> Callable:
    """Logits where the weight is 0 do not change the loss."""

    def broken(ask, rng):
        for call in draw(rng):
            b, t = np.argwhere(call.args["weights"] == 0)[0]
            if moved(ask, call, **stepped(call, "logits", (b, t, 0), 2)):
                yield (
                    f"batch {b}, position {t} has the weight 0, but "
                    "changing a logit there changed the loss"
                )

    return broken
