"""What an exercise is made of, and where to find one.

An exercise has two files of one name: in `answers/` the right functions,
of which stubs and solutions are cut, and in `exercises/` what is asked of
them, how they are tried, and the known mistakes, as edits of the answer.
"""

import importlib
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
COURSE = HERE / "course.toml"


@dataclass(frozen=True, eq=False)
class Mistake:
    """A known way to get it wrong, which can be run.

    Args:
        name: A few words, as in a headline.
        right, wrong: Text of the answer's file, and what stands there when
            the mistake is made. Tuples of both for several places.
        why: One or two sentences to the student.
        page: Where to read on, a page of the book.
    """

    name: str
    right: str | tuple
    wrong: str | tuple
    why: str
    page: str


@dataclass(frozen=True, eq=False)
class Call:
    """One question to a submission: a function's name, and arguments."""

    function: str
    args: dict


@dataclass(frozen=True, eq=False)
class Property:
    """Something true of every right answer, for mistakes nobody knows yet.

    Args:
        name: What holds, in a few words.
        broken: Function of `(ask, rng)`; `ask(function, **arguments)` gives
            what the submission answers. It returns None, or a sentence with
            the smallest counter-example.
    """

    name: str
    broken: Callable


@dataclass(frozen=True, eq=False)
class Exercise:
    """What is asked, tried and known; an exercise's file makes one.

    Args:
        title, goal: In the book's words; the goal is one or two sentences.
        page: Background, a page of the book.
        functions: For each function of the answer its outputs by name, each
            with its axes, as in {"f": {"output": "batch seq d_model"}}.
        calls: Function of an rng: the questions, the smallest first.
        mistakes: The known ones.
        hints: From a nudge to nearly the answer.
        properties: What is tried when no known mistake fits.
        slow: A function of an rng that gives one large `Call`, on which
            loops show, or None.
        forbidden: Names that a submission may not use.
        like: What in the package does the same, "module.name".
        rubric: For an open exercise, what to look at; it has no points,
            and nothing above but title, goal, page and hints.
    """

    title: str
    goal: str
    page: str
    functions: dict
    calls: Callable | None = None
    mistakes: tuple = ()
    hints: tuple = ()
    properties: tuple = ()
    slow: Callable | None = None
    forbidden: tuple = ()
    like: tuple = ()
    rubric: tuple = ()


@dataclass(frozen=True, eq=False)
class Task:
    """An exercise in its place in a course.

    Args:
        number: As students type it, "03".
        name: Of its two files.
        points, minutes: What it counts, and about how long it takes.
        exercise: The exercise itself.
    """

    number: str
    name: str
    points: float
    minutes: int
    exercise: Exercise

    @property
    def module(self):
        """Name of the file that a student writes."""
        return f"e{self.number}_{self.name}"

    @property
    def answer_path(self):
        """The answer's file."""
        return HERE / "answers" / f"{self.name}.py"

    @property
    def builds_on(self):
        """Names of the exercises whose functions the answer uses."""
        text = self.answer_path.read_text(encoding="utf-8")
        return re.findall(r"coursework\.answers\.(\w+) import", text)


def read_course(path=COURSE):
    """Read which exercises a course has, and what they count.

    Args:
        path: A TOML file as `course.toml` beside this one.

    Returns:
        A list of `Task`, in the order of the file.

    Raises:
        ValueError: if the file is not one, in a sentence.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        rows = tomllib.loads(text)["exercise"]
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}.") from error
    except KeyError:
        rows = None
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) for row in rows or [None]
    ):
        raise ValueError(f"{path} has no [[exercise]].")
    tasks = [make_task(path, row) for row in rows]
    numbers = [task.number.zfill(2) for task in tasks]
    for number in numbers:
        if numbers.count(number) > 1:
            raise ValueError(f"{path}: number {number} is there twice.")
    return tasks


def make_task(path, row):
    """Make the `Task` of one table of the course's file."""
    expected = {"number": str, "name": str, "points": (int, float),
                "minutes": int}  # fmt: skip
    if row.keys() != expected.keys():
        raise ValueError(
            f"{path}: an exercise needs {', '.join(expected)}; this one "
            f"has {', '.join(row)}."
        )
    for key, kind in expected.items():
        if (
            not isinstance(row[key], kind)
            or isinstance(row[key], bool)
            or row[key] == ""
        ):
            raise ValueError(f"{path}: {key} = {row[key]!r} will not do.")
    if not 0 <= row["points"] < float("inf"):
        raise ValueError(
            f"{path}: points = {row['points']}; give a number from 0 on."
        )
    if not row["number"].isdecimal() or row["minutes"] < 0:
        raise ValueError(
            f"{path}: number = {row['number']!r}, minutes = "
            f"{row['minutes']}: give digits, and minutes from 0 on."
        )
    known = sorted(p.stem for p in (HERE / "exercises").glob("[a-z]*.py"))
    if row["name"] not in known:
        raise ValueError(
            f"{path}: there is no exercise {row['name']!r}; there are "
            f"{', '.join(known)}."
        )
    module = importlib.import_module(
        f"minitransformer.coursework.exercises.{row['name']}"
    )
    if module.EXERCISE.rubric and row["points"]:
        raise ValueError(f"{path}: {row['name']} is open: it has 0 points.")
    return Task(**row, exercise=module.EXERCISE)


def find_task(tasks, number):
    """Find an exercise by its number, with or without the zero before it.

    Raises:
        ValueError: if the course has none of that number.
    """
    for task in tasks:
        if number.zfill(2) == task.number.zfill(2):
            return task
    raise ValueError(
        f"There is no exercise {number}; there are "
        f"{', '.join(task.number for task in tasks)}."
    )
