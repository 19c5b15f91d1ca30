"""The judge: is a submission right, and if not, which mistake is it?

It asks the submission, never the other way round: questions go out, and
only arrays come back. So no message holds the right answer, nor the seed
from which the questions are drawn.
"""

import time
from dataclasses import dataclass, field

import numpy as np

from minitransformer.coursework.compare import (
    at,
    close,
    difference,
    marked,
    same,
    same_values,
)
from minitransformer.coursework.exercise import Call
from minitransformer.coursework.variants import (
    combinations,
    outcome,
    right_functions,
    wrong_functions,
)

SLOW_SECONDS, SLOW_TIMES = 0.2, 30


@dataclass
class Verdict:
    """What the judge says of one exercise.

    Args:
        right: Whether every question was answered rightly.
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
    mistakes: tuple = ()
    page: str = ""
    lines: list = field(default_factory=list)
    note: str = ""
    seconds: float = 0.0

    def __post_init__(self):
        # It may quote a stranger: nothing that a terminal would obey, a
        # report cannot hold, or nobody could read to the end.
        self.headline = " ".join(printable(self.headline).split())[:500]
        self.text = printable(self.text)[:4000]
        self.lines = [printable(line)[:500] for line in self.lines]


def escaped(name):
    """Write a name in one line that can be shown, and no other name's."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode()
        for c in name
    )


def printable(text):
    """Leave out what cannot be shown, but for the ends of lines."""
    return "".join(c for c in text if c.isprintable() or c == "\n")


class Ended(Exception):  # noqa: N818 (not an error of ours)
    """A submission that can be asked no more; says why."""


class Wrong(Exception):  # noqa: N818
    """An answer that a property cannot look at: an error, or no array."""


def judge(task, ask, seed):
    """Try a submission, and name what is wrong with it.

    Args:
        task: A `Task`.
        ask: Function of a `Call` that gives what came of it, as
            `variants.outcome` does; or raises `Ended`.
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


def look(task, ask, seed):
    """Do what `judge` does, but for the time."""
    exercise = task.exercise
    calls = list(exercise.calls(np.random.default_rng(seed)))
    right = [outcome(right_functions(task), call) for call in calls]
    got = []
    for call in calls:
        got.append(ask(call))
        if got[-1].get("error") == "NotImplementedError":
            return Verdict(False, f"{call.function} is not written yet")
    failed = [
        i for i in range(len(calls)) if not same(right[i], got[i])
    ]  # fmt: skip
    if not failed:
        return all_right(task, ask, seed, calls, got)
    found = recognize(task, calls, got)
    if found:
        return Verdict(
            False, "; ".join(m.name for m in found),
            " ".join(m.why for m in found), found, found[0].page,
        )  # fmt: skip
    i = failed[0]
    verdict = unknown(task, ask, seed, calls[i], right[i], got[i])
    if any(answer.get("mutated") for answer in got):
        verdict.note = f"{calls[i].function} also changes its arguments."
    return verdict


def all_right(task, ask, seed, calls, got):
    """Judge a submission whose every answer is right."""
    for call, answer in zip(calls, got, strict=True):
        if answer.get("mutated"):
            return Verdict(
                False, f"{call.function} changes its arguments",
                "The results are right, but what was given is not the same "
                "afterwards: work on copies, and assign to nothing that "
                "was passed in.",
            )  # fmt: skip
    note = ""
    if task.exercise.slow is not None:
        note = slowness(task, ask, np.random.default_rng(seed))
    return Verdict(True, "right", note=note)


def slowness(task, ask, rng):
    """Compare the time of one large call with that of the answer."""
    call = task.exercise.slow(rng)
    try:
        seconds = ask(call).get("seconds", 0.0)
    except Ended as end:
        return f"It is right; asked with more, it gave up: {end}."
    started = time.perf_counter()
    outcome(right_functions(task), call)
    ours = time.perf_counter() - started
    if seconds > SLOW_SECONDS and seconds > SLOW_TIMES * ours:
        return (
            f"It is right, and slow: {seconds:.2g} s for a question that "
            f"takes {ours:.1g} s. Python loops grow with every axis that "
            "they run over; a product of matrices does them all at once."
        )
    return ""


def recognize(task, calls, got):
    """Find the known mistake, or two of them, that gives the same answers.

    Returns:
        A tuple of `Mistake`; empty if none fits.
    """
    if not any("value" in answer for answer in got):
        return ()  # it always fails, for one reason or another
    for mistakes in combinations(task):
        functions = wrong_functions(task, *mistakes)
        pairs = zip(calls, got, strict=True)
        # The answers are made one by one: most differ at the first.
        if all(same(outcome(functions, c), answer) for c, answer in pairs):
            return mistakes
    return ()


def unknown(task, ask, seed, call, right, got):
    """Describe a mistake that nobody knows yet, by what it does."""
    outputs = task.exercise.functions[call.function]
    where = f"in {call.function}"
    if "error" in got:
        wanted = f"; {right['error']} is wanted" if "error" in right else ""
        return Verdict(
            False, f"{got['error']} {where}{wanted}",
            f"{got['text']}".strip(), lines=[got.get("place", "")],
        )  # fmt: skip
    if "error" in right:
        return Verdict(
            False, f"{call.function} accepts what it should refuse",
            f"It should raise {right['error']}: {right['text']}",
        )  # fmt: skip
    form = difference(right["value"], got["value"], outputs)
    if form:
        return Verdict(False, f"{where}, {form}", page=task.exercise.page)
    for law in task.exercise.properties:
        broken = try_property(law, ask, seed)
        if broken:
            return Verdict(
                False, f"it does not hold that {law.name}: {broken}",
                page=task.exercise.page,
            )  # fmt: skip
    headline, lines = first_difference(call, right, got, outputs)
    return Verdict(False, headline, page=task.exercise.page, lines=lines)


def try_property(law, ask, seed):
    """Ask what a property asks; None if it holds, or cannot be tried."""

    def value(function, **args):
        answer = ask(Call(function, args))
        if "error" in answer:
            raise Wrong
        return answer["value"]

    try:
        return next(law.broken(value, np.random.default_rng(seed)), None)
    except Ended:
        raise
    except Exception:  # whatever a strange answer does to it
        return None


def first_difference(call, right, got, outputs):
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
    asked = ", ".join(
        f"{key} {show(value)}"
        for key, value in call.args.items()
        if not isinstance(value, dict)
    )
    place = ""
    if np.ndim(a) and np.shape(a) == np.shape(b):
        wrong = np.argwhere(~close(a, b))
        place = f", first at {at(tuple(map(int, wrong[0])), axes.split())}"
    headline = f"{call.function}: {name} is wrong{place}"
    return headline, [f"asked with {asked}"[:300], *marked(a, b)]


def show(value):
    """Write an argument: small whole numbers as they are, else a shape."""
    if not isinstance(value, np.ndarray):
        return repr(value)
    if value.size <= 12 and value.dtype.kind in "biu":
        return str(value.tolist())
    return str(value.shape)
