"""The judge: is a submission right, and if not, which mistake is it?

The judge asks the submission, never the other way round: questions go out,
and only arrays come back. So no message contains the right answer, nor the
seed from which the questions are drawn.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minitransformer.coursework.compare import (
    at,
    close,
    difference,
    marked,
    same,
    same_values,
)
from minitransformer.coursework.exercise import (
    Call,
    Mistake,
    Property,
    Task,
)
from minitransformer.coursework.variants import (
    combinations,
    outcome,
    right_functions,
    wrong_functions,
)

SLOW_SECONDS, SLOW_TIMES = 0.2, 30


@dataclass
class Verdict:
    """What the judge says about one exercise.

    Args:
        right: Whether every answer was right.
        headline: One line: "right", or what is wrong.
        text: Sentences that explain, perhaps none.
        mistakes: The known mistakes that were recognized.
        page: Where to read on, or "".
        lines: A drawing of the difference, perhaps none.
        note: A remark that costs nothing, perhaps none.
        seconds: How long it took.
    """

    right: bool
    headline: str
    text: str = ""
    mistakes: tuple[Mistake, ...] = ()
    page: str = ""
    lines: list[str] = field(default_factory=list)
    note: str = ""
    seconds: float = 0.0

    def __post_init__(self) -> None:
        # It may quote a submission: drop what a terminal would obey or a
        # report cannot hold, and cut what is too long to read.
        self.headline = " ".join(printable(self.headline).split())[:500]
        self.text = printable(self.text)[:4000]
        self.lines = [printable(line)[:500] for line in self.lines]


def escaped(name: str) -> str:
    """Write a name in one printable line, different for each name."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode()
        for c in name
    )


def printable(text: str) -> str:
    """Leave out what cannot be printed, except for line breaks."""
    return "".join(c for c in text if c.isprintable() or c == "\n")


class Ended(Exception):  # noqa: N818 (not an error of ours)
    """A submission that cannot answer any more; says why."""


def judge(task: Task, ask: Callable[[Call], dict], seed: int) -> Verdict:
    """Try a submission, and name what is wrong with it.

    Args:
        task: A `Task`.
        ask: Function of a `Call` that returns its outcome, as
            `variants.outcome` does, or raises `Ended`.
        seed: An integer from which all questions are drawn.

    Returns:
        A `Verdict`.
    """
    started = time.perf_counter()
    try:
        verdict = look(task, ask, seed)
    except Ended as end:
        verdict = Verdict(False, str(end))
    verdict.seconds = time.perf_counter() - started
    return verdict


def look(task: Task, ask: Callable, seed: int) -> Verdict:
    """Same as `judge`, without the time."""
    calls = list(task.exercise.calls(np.random.default_rng(seed)))
    right = [outcome(right_functions(task), call) for call in calls]
    got = []
    for call in calls:
        got.append(ask(call))
        if got[-1].get("error") == "NotImplementedError":
            return Verdict(False, f"{call.function} is not written yet")
    failed = [i for i in range(len(calls)) if not same(right[i], got[i])]
    if not failed:
        return all_right(task, ask, seed, calls, got)
    found = recognize(task, calls, got)
    if found:
        return Verdict(
            False,
            "; ".join(m.name for m in found),
            " ".join(m.why for m in found),
            found,
            found[0].page,
        )
    i = failed[0]
    again = ask(calls[i])
    if not same(got[i], again) and repr(got[i].get("value")) != repr(
        again.get("value")
    ):
        return Verdict(
            False,
            f"{calls[i].function} answers the same question in two ways",
            "Is it random, or does something stay from call to call: a "
            "global, a cache, a default argument that is changed? Only the "
            "arguments may decide.",
        )
    verdict = unknown(task, ask, seed, calls[i], right[i], got[i])
    if any(answer.get("mutated") for answer in got):
        verdict.note = f"{calls[i].function} also changes its arguments."
    return verdict


def all_right(
    task: Task, ask: Callable, seed: int, calls: list[Call], got: list[dict]
) -> Verdict:
    """Judge a submission whose every answer is right."""
    for call, answer in zip(calls, got, strict=True):
        if answer.get("mutated"):
            return Verdict(
                False,
                f"{call.function} changes its arguments",
                "The results are right, but the arguments are not the same "
                "afterwards. Work on copies, and assign to nothing that "
                "was passed in.",
            )
    note = ""
    if task.exercise.slow is not None:
        large = task.exercise.slow(np.random.default_rng(seed))
        note = slowness(task, ask, large)
    return Verdict(True, "right", note=note)


def slowness(task: Task, ask: Callable, call: Call) -> str:
    """Compare the time of one large call with that of the answer."""
    loops = (
        "Python loops take one step per element; a product of matrices "
        "computes them all at once."
    )
    try:
        seconds = ask(call).get("seconds", 0.0)
    except Ended as end:
        if str(end).startswith("no answer"):
            return f"It is right, and slow on a large input. {loops}"
        return f"It is right, but it failed on a large input: {end}."
    started = time.perf_counter()
    outcome(right_functions(task), call)
    ours = time.perf_counter() - started
    if seconds > SLOW_SECONDS and seconds > SLOW_TIMES * ours:
        return (
            f"It is right, and slow: {seconds:.2g} s for a question that "
            f"the sample solution answers in {ours:.1g} s. {loops}"
        )
    return ""


def recognize(
    task: Task, calls: list[Call], got: list[dict]
) -> tuple[Mistake, ...]:
    """Find the known mistake, or two of them, that gives the same answers.

    Returns:
        A tuple of `Mistake`; empty if none fits.
    """
    if not any("value" in answer for answer in got):
        return ()  # it always fails, for one reason or another
    for mistakes in combinations(task):
        functions = wrong_functions(task, *mistakes) or {}
        pairs = zip(calls, got, strict=True)
        # The answers are made one by one: most differ at the first.
        if all(same(outcome(functions, c), answer) for c, answer in pairs):
            return mistakes
    return ()


def unknown(
    task: Task, ask: Callable, seed: int, call: Call, right: dict, got: dict
) -> Verdict:
    """Describe a mistake that is not known yet, by its effects."""
    outputs = task.exercise.functions[call.function]
    where = f"in {call.function}"
    if "error" in got:
        kind = f", expected {right['error']}" if "error" in right else ""
        return Verdict(
            False,
            f"{got['error']} {where}{kind}",
            f"{got['text']}".strip(),
            lines=[got.get("place", "")],
        )
    if "error" in right:
        return Verdict(
            False,
            f"{call.function} accepts what it should refuse",
            f"It should raise {right['error']}: {right['text']}",
        )
    form = difference(right["value"], got["value"], outputs)
    if form:
        return Verdict(False, f"{where}, {form}", page=task.exercise.page)
    for rule in task.exercise.properties:
        broken = try_property(rule, ask, seed)
        if broken:
            return Verdict(
                False,
                f"this should hold but does not: {rule.name}: {broken}",
                page=task.exercise.page,
            )
    headline, lines = first_difference(call, right, got, outputs)
    return Verdict(False, headline, page=task.exercise.page, lines=lines)


def try_property(rule: Property, ask: Callable, seed: int) -> str | None:
    """Find a counter-example; None if there is none, or none can be had."""

    def value(function: str, **args: Any) -> Any:
        return ask(Call(function, args))["value"]  # KeyError for an error

    try:
        return next(rule.broken(value, np.random.default_rng(seed)), None)
    except Ended:
        raise
    except Exception:  # whatever a strange answer does to it
        return None


def first_difference(
    call: Call, right: dict, got: dict, outputs: dict[str, str]
) -> tuple[str, list[str]]:
    """Show the smallest question that is answered wrongly."""
    expected, values = right["value"], got["value"]
    if len(outputs) == 1:
        expected, values = (expected,), (values,)
    name, axes, a, b = next(
        (name, axes, a, b)
        for (name, axes), a, b in zip(
            outputs.items(), expected, values, strict=True
        )
        if not same_values(a, b)
    )
    place, shape = "", None
    cell: tuple[int, ...] = ()
    if np.ndim(a) and np.shape(a) == np.shape(b):
        shape = np.shape(a)
        cell = tuple(map(int, np.argwhere(~close(a, b))[0]))
        place = f", first at {at(cell, axes.split())}"
    asked = ", ".join(
        f"{key} {show(value)}"
        + (f", there {value[cell]:.3g}" if np.shape(value) == shape else "")
        for key, value in call.args.items()
        if not isinstance(value, dict)
    )
    headline = f"{call.function}: {name} is wrong{place}"
    return headline, [f"asked with {asked}"[:300], *marked(a, b)]


def show(value: Any) -> str:
    """Write an argument: small whole numbers as they are, else a shape."""
    if not isinstance(value, np.ndarray):
        return repr(value)
    if value.size <= 12 and value.dtype.kind in "biu":
        return str(value.tolist())
    return str(value.shape)
