"""The parts of an exercise, and its place in a course.

An exercise has up to three files of one name. `answers/NAME.py` holds the
right functions; stubs and solutions are cut from it. `exercises/NAME.toml`
holds all texts and data: title, goal, hints, and the known mistakes as
edits of the answer. `exercises/NAME.py` holds the computed parts: the
questions, and the properties of every right answer. `mistakes.toml` holds
the mistakes that several exercises share.
"""

import functools
import importlib
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
COURSE = HERE / "course.toml"


@dataclass(frozen=True, eq=False)
class Mistake:
    """A known mistake, which can be run.

    Args:
        name: A few words, as in a headline.
        edits: Lists of two texts of Python: a part of the answer, and its
            replacement in the mistake. A third entry gives the number of
            places, if it is not one (`variants`).
        why: One or two sentences to the student.
        page: The page of the book to read.
    """

    name: str
    edits: list
    why: str
    page: str


class Call(NamedTuple):
    """One question to a submission: a function's name, and arguments."""

    function: str
    args: dict[str, Any]


class Property(NamedTuple):
    """Something true of every right answer, to explain unknown mistakes.

    Args:
        name: The property, in a few words.
        broken: Function of `(ask, rng)`, where `ask(function, **arguments)`
            returns the submission's answer. It yields a sentence for each
            counter-example, the smallest first.
    """

    name: str
    broken: Callable


@dataclass(frozen=True, eq=False)
class Exercise:
    """An exercise; most fields are keys of its TOML file.

    Args:
        title, goal: Its name, and the task in one to three sentences.
        page: The page of the book to read first.
        functions: For each function the names of its outputs, each with its
            axes, as in {"f": {"output": "batch seq d_model"}}.
        hints: The first is a nudge, the last is nearly the answer.
        like: Names of the package's own code for this, "module.name".
        rubric: For an open exercise, the points to grade; it has no points,
            no mistakes and no Python file.
        mistakes: The known ones.
        properties: Tried when no known mistake fits.
        calls: Function of an rng: the questions, the smallest first.
        slow: Function of an rng that gives one large `Call`, to measure
            loops with, or None.
    """

    title: str
    goal: str
    page: str
    functions: dict[str, dict[str, str]]
    hints: list[str]
    like: list[str]
    rubric: list[str]
    mistakes: list[Mistake]
    properties: list[Property]
    calls: Callable
    slow: Callable | None


@functools.cache
def read_exercise(name: str) -> Exercise:
    """Read an exercise's TOML file, and join it to its Python.

    Raises:
        ValueError: if the file cannot be used, with what to change.
    """
    path = HERE / "exercises" / f"{name}.toml"
    row: dict[str, Any] = {"like": [], "rubric": []}
    row |= {"mistakes": {}, "properties": {}} | read_toml(path)
    fields = Exercise.__dataclass_fields__.keys() - {"calls", "slow"}
    if odd := sorted(row.keys() ^ fields):
        raise ValueError(f"{path}: missing or unknown: {', '.join(odd)}.")
    module = None
    if path.with_suffix(".py").exists():
        module = importlib.import_module(
            f"minitransformer.coursework.exercises.{name}"
        )
    for function in row["properties"]:
        if not hasattr(module, function):
            raise ValueError(
                f"{path}: {name}.py has no function for the property "
                f"{function!r}. Write it, or delete the line."
            )
    shared = read_toml(HERE / "mistakes.toml")
    default = {"page": row["page"]}
    row["mistakes"] = [
        make_mistake(path, key, default | shared.get(key, {}) | value)
        for key, value in row["mistakes"].items()
    ]
    row["properties"] = [
        Property(sentence, getattr(module, function))
        for function, sentence in row["properties"].items()
    ]
    row["calls"] = getattr(module, "calls", lambda rng: ())
    row["slow"] = getattr(module, "slow", None)
    return Exercise(**row)


def make_mistake(path: Path, name: str, row: dict) -> Mistake:
    """Make a `Mistake` of one table of an exercise's file."""
    if row.keys() != {"edits", "why", "page"}:
        raise ValueError(
            f"{path}: the mistake “{name}” has {', '.join(row)}; expected "
            "edits, why and perhaps page. If mistakes.toml has no mistake "
            "of this name, give them here."
        )
    return Mistake(name, **row)


def read_toml(path: Path | str) -> dict[str, Any]:
    """Read a TOML file; a ValueError says why it cannot be read."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}.") from error


@dataclass(frozen=True, eq=False)
class Task:
    """An exercise in its place in a course.

    Args:
        number: As students type it, "03".
        name: Of its files.
        points, minutes: Its points, and about how long it takes.
        exercise: The exercise itself.
    """

    number: str
    name: str
    points: float
    minutes: int
    exercise: Exercise

    @property
    def module(self) -> str:
        """Name of the file that a student writes."""
        return f"e{self.number}_{self.name}"

    @property
    def answer_path(self) -> Path:
        """The answer's file."""
        return HERE / "answers" / f"{self.name}.py"

    @property
    def builds_on(self) -> list[str]:
        """Names of the exercises whose functions the answer uses."""
        text = self.answer_path.read_text(encoding="utf-8")
        return re.findall(r"coursework\.answers\.(\w+) import", text)


def read_course(path: Path | str = COURSE) -> list[Task]:
    """Read a course: its exercises in order, and their points.

    Args:
        path: A TOML file like `course.toml` beside this one.

    Raises:
        ValueError: if the file cannot be used, in one sentence.
    """
    rows = read_toml(path).get("exercise")
    if not isinstance(rows, list) or {*map(type, rows)} != {dict}:
        raise ValueError(f"{path} has no [[exercise]].")
    tasks = [make_task(path, row) for row in rows]
    numbers = [task.number.zfill(2) for task in tasks]
    for number in numbers:
        if numbers.count(number) > 1:
            raise ValueError(
                f"{path}: two exercises have the number {number}."
            )
    return tasks


def make_task(path: Path | str, row: dict[str, Any]) -> Task:
    """Make the `Task` of one table of the course's file."""
    known = sorted(p.stem for p in (HERE / "exercises").glob("*.toml"))

    def from_0(value):
        return 0 <= value < float("inf")

    # Of each key: its types, whether a value will do, and what is expected.
    rules: dict[str, tuple] = {
        "number": ((str,), str.isdecimal, 'digits in quotes, as in "03"'),
        "name": ((str,), known.__contains__, f"one of {', '.join(known)}"),
        "points": ((int, float), from_0, "a number from 0 on"),
        "minutes": ((int,), from_0, "a whole number from 0 on"),
    }
    if row.keys() != rules.keys():
        raise ValueError(
            f"{path}: an exercise has {', '.join(row)}; expected "
            f"{', '.join(rules)}."
        )
    for key, (types, will_do, expected) in rules.items():
        if type(row[key]) not in types or not will_do(row[key]):
            raise ValueError(
                f"{path}: {key} = {row[key]!r}; expected {expected}."
            )
    exercise = read_exercise(row["name"])
    if exercise.rubric and row["points"]:
        raise ValueError(
            f"{path}: {row['name']} is open; expected points = 0."
        )
    return Task(**row, exercise=exercise)


def find_task(tasks: list[Task], number: str) -> Task:
    """Find an exercise by its number: "3" means "03".

    Raises:
        ValueError: if the course has no exercise with this number.
    """
    for task in tasks:
        if number.zfill(2) == task.number.zfill(2):
            return task
    raise ValueError(
        f"There is no exercise {number}; the course has "
        f"{', '.join(task.number for task in tasks)}."
    )
