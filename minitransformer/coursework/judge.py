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

from minitransformer.coursework import compare, variants
from minitransformer.coursework.compare import same
from minitransformer.coursework.exercise import (
    Call,
    Mistake,
    Property,
    Task,
)
from minitransformer.coursework.variants import outcome, right_functions

SLOW_SECONDS, SLOW_TIMES = 0.2, 30


@dataclass
class Verdict:
    """The judgement on one exercise.

    Args:
        right: Whether every answer was right.
        headline: One line: "right", or the mistake.
        text: Sentences that explain it, perhaps none.
        mistakes: The known mistakes that were recognized.
        page: The page of the book to read, or "".
        lines: A drawing of the difference, perhaps none.
        note: A remark that costs no points, perhaps none.
        seconds: How long the check took.
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
        # It may quote a submission: drop control characters, which change
        # a terminal, and cut long texts.
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
    """Drop characters that cannot be printed, except line breaks."""
    return "".join(c for c in text if c.isprintable() or c == "\n")


class Ended(Exception):  # noqa: N818 (not an error in this code)
    """The submission's process has ended; the text says why."""


def judge(task: Task, ask: Callable[[Call], dict], seed: int) -> Verdict:
    """Try a submission, and name its mistake.

    Args:
        task: A `Task`.
        ask: Function of a `Call` that returns its outcome, as
            `variants.outcome` does, or raises `Ended`.
        seed: An integer from which all questions are drawn.
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
    changed = [
        call.function
        for call, answer in zip(calls, got, strict=True)
        if answer.get("mutated")
    ]
    failed = [i for i in range(len(calls)) if not same(right[i], got[i])]
    if not failed and changed:
        return Verdict(
            False,
            f"{changed[0]} changes its arguments",
            "The results are right, but your function changes its "
            "arguments. Work on copies of them.",
        )
    if not failed:
        return Verdict(True, "right", note=slowness(task, ask, seed))
    found = recognize(task, calls, got)
    if found:
        names = "; ".join(mistake.name for mistake in found)
        why = " ".join(mistake.why for mistake in found)
        return Verdict(False, names, why, found, found[0].page)
    i = failed[0]
    again = ask(calls[i])
    values = repr(got[i].get("value")), repr(again.get("value"))
    if not same(got[i], again) and values[0] != values[1]:
        return Verdict(
            False,
            f"{calls[i].function} gives two answers to the same question",
            "Your function may be random, or keep something between calls: "
            "a global, a cache, a default argument that it changes. The "
            "result must depend on the arguments only.",
        )
    verdict = unknown(task, ask, seed, calls[i], right[i], got[i])
    if changed:
        verdict.note = f"{changed[0]} also changes its arguments."
    return verdict


def slowness(task: Task, ask: Callable, seed: int) -> str:
    """Compare the time of one large call with that of the answer."""
    if task.exercise.slow is None:
        return ""
    call = task.exercise.slow(np.random.default_rng(seed))
    loops = (
        "Python loops take one step per element; a product of matrices "
        "computes them all at once."
    )
    try:
        seconds = ask(call).get("seconds", 0.0)
    except Ended as end:
        if str(end).startswith("no answer"):
            return f"It is right, but slow on a large input. {loops}"
        return f"It is right, but it failed on a large input: {end}."
    started = time.perf_counter()
    outcome(right_functions(task), call)
    ours = time.perf_counter() - started
    if seconds > SLOW_SECONDS and seconds > SLOW_TIMES * ours:
        return (
            f"It is right, but slow: it takes {seconds:.2g} s where the "
            f"sample solution takes {ours:.1g} s. {loops}"
        )
    return ""


def recognize(
    task: Task, calls: list[Call], got: list[dict]
) -> tuple[Mistake, ...]:
    """Find the known mistake, or two of them, with the same answers.

    Returns:
        A tuple of `Mistake`; empty if none fits.
    """
    if not any("value" in answer for answer in got):
        return ()  # it always fails, for one reason or another
    for mistakes in variants.combinations(task):
        functions = variants.wrong_functions(task, *mistakes) or {}
        pairs = zip(calls, got, strict=True)
        # The answers are made one by one: most differ at the first.
        if all(same(outcome(functions, c), answer) for c, answer in pairs):
            return mistakes
    return ()


def unknown(
    task: Task, ask: Callable, seed: int, call: Call, right: dict, got: dict
) -> Verdict:
    """Describe an unknown mistake by its effects."""
    outputs = task.exercise.functions[call.function]
    page = task.exercise.page
    if "error" in got:
        kind = f", expected {right['error']}" if "error" in right else ""
        headline = f"{got['error']} in {call.function}{kind}"
        place = [got.get("place", "")]
        return Verdict(False, headline, got["text"].strip(), lines=place)
    if "error" in right:
        return Verdict(
            False,
            f"{call.function} accepts what it should refuse",
            f"It should raise {right['error']}: {right['text']}",
        )
    form = compare.difference(right["value"], got["value"], outputs)
    if form:
        return Verdict(False, f"in {call.function}, {form}", page=page)
    for rule in task.exercise.properties:
        broken = try_property(rule, ask, seed)
        if broken:
            headline = f"“{rule.name}” should hold, but {broken}"
            return Verdict(False, headline, page=page)
    headline, lines = first_difference(call, right, got, outputs)
    return Verdict(False, headline, page=page, lines=lines)


def try_property(rule: Property, ask: Callable, seed: int) -> str | None:
    """Find a counter-example; None if there is none, or none can be had."""

    def value(function: str, **args: Any) -> Any:
        return ask(Call(function, args))["value"]  # KeyError for an error

    try:
        return next(rule.broken(value, np.random.default_rng(seed)), None)
    except Ended:
        raise
    except Exception:  # a strange answer can make the property itself fail
        return None


def first_difference(
    call: Call, right: dict, got: dict, outputs: dict[str, str]
) -> tuple[str, list[str]]:
    """Show the smallest question with a wrong answer."""
    expected, values = right["value"], got["value"]
    if len(outputs) == 1:
        expected, values = (expected,), (values,)
    name, axes, a, b = next(
        (name, axes, a, b)
        for (name, axes), a, b in zip(
            outputs.items(), expected, values, strict=True
        )
        if not compare.same_values(a, b)
    )
    place, shape = "", None
    cell: tuple[int, ...] = ()
    if np.ndim(a) and np.shape(a) == np.shape(b):
        shape = np.shape(a)
        cell = tuple(map(int, np.argwhere(~compare.close(a, b))[0]))
        place = f", first at {compare.at(cell, axes.split())}"
    asked = ", ".join(
        f"{key} {show(value)}"
        + (f", there {value[cell]:.3g}" if np.shape(value) == shape else "")
        for key, value in call.args.items()
        if not isinstance(value, dict)
    )
    headline = f"{call.function}: {name} is wrong{place}"
    return headline, [f"asked with {asked}"[:300], *compare.marked(a, b)]


def show(value: Any) -> str:
    """Write an argument: small whole numbers as they are, else a shape."""
    if not isinstance(value, np.ndarray):
        return repr(value)
    if value.size <= 12 and value.dtype.kind in "biu":
        return str(value.tolist())
    return str(value.shape)
