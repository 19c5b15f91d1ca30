"""What an exercise is made of, and where to find one.

An exercise has up to three files of one name. `answers/NAME.py` has the
right functions, from which stubs and solutions are cut. All that is prose
or data is in `exercises/NAME.toml`: title, goal, hints, and the known
mistakes as edits of the answer. What must be computed is in
`exercises/NAME.py`: the questions, and the properties that hold for every
right answer. `mistakes.toml` has mistakes of several exercises, by name.
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
    """A known way to get it wrong, which can be run.

    Args:
        name: A few words, as in a headline.
        edits: Lists of two texts of Python: what is right in the answer,
            and what stands there when the mistake is made. A third entry
            says in how many places, if it is not one (`variants`).
        why: One or two sentences to the student.
        page: Where to read on, a page of the book.
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
    """Something true of every right answer, for mistakes nobody knows yet.

    Args:
        name: What holds, in a few words.
        broken: Function of `(ask, rng)`; `ask(function, **arguments)` gives
            what the submission answers. It yields a sentence for each
            counter-example, the smallest first.
    """

    name: str
    broken: Callable


@dataclass(frozen=True, eq=False)
class Exercise:
    """What is asked, tried and known: the keys of the TOML file, mostly.

    Args:
        title, goal: In the book's words; the goal is one or two sentences.
        page: Background, a page of the book.
        functions: For each function of the answer its outputs by name, each
            with its axes, as in {"f": {"output": "batch seq d_model"}}.
        hints: From a nudge to nearly the answer.
        like: What in the package does the same, "module.name".
        rubric: For an open exercise, what to look at; it has no points,
            no mistakes and no Python file.
        mistakes: The known ones.
        properties: What is tried when no known mistake fits.
        calls: Function of an rng: the questions, the smallest first.
        slow: A function of an rng that gives one large `Call`, on which
            loops show, or None.
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
    odd = row.keys() ^ set(Exercise.__dataclass_fields__)
    if odd != {"calls", "slow"}:
        raise ValueError(
            f"{path}: missing or unknown: {', '.join(sorted(odd))}."
        )
    module = None
    if path.with_suffix(".py").exists():
        module = importlib.import_module(
            f"minitransformer.coursework.exercises.{name}"
        )
    for function in row["properties"]:
        if not hasattr(module, function):
            raise ValueError(
                f"{path}: property {function!r} is no function of "
                f"{name}.py. Write it there, or delete the line."
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
    return Exercise(
        **row,
        calls=getattr(module, "calls", lambda rng: ()),
        slow=getattr(module, "slow", None),
    )


def make_mistake(path: Path, name: str, row: dict) -> Mistake:
    """Make a `Mistake` of one table of an exercise's file."""
    if row.keys() != {"edits", "why", "page"}:
        raise ValueError(
            f"{path}: mistake “{name}” has {', '.join(row)}; expected "
            "edits, why and perhaps page. Without a why, its name must be "
            "one of mistakes.toml."
        )
    return Mistake(name, **row)


def read_toml(path: Path | str) -> dict[str, Any]:
    """Read a file of TOML; a ValueError says why it cannot be read."""
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
        points, minutes: What it counts, and about how long it takes.
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
    """Read which exercises a course has, and what they count.

    Args:
        path: A TOML file as `course.toml` beside this one.

    Returns:
        A list of `Task`, in the order of the file.

    Raises:
        ValueError: if the file is not one, in a sentence.
    """
    rows = read_toml(path).get("exercise")
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


def make_task(path: Path | str, row: dict[str, Any]) -> Task:
    """Make the `Task` of one table of the course's file."""
    kinds: dict[str, tuple] = {
        "number": (str,),
        "name": (str,),
        "points": (int, float),
        "minutes": (int,),
    }
    if row.keys() != kinds.keys():
        raise ValueError(
            f"{path}: an exercise needs {', '.join(kinds)}; this one "
            f"has {', '.join(row)}."
        )
    for key, kind in kinds.items():
        if type(row[key]) not in kind or row[key] == "":
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
    known = sorted(p.stem for p in (HERE / "exercises").glob("*.toml"))
    if row["name"] not in known:
        raise ValueError(
            f"{path}: there is no exercise {row['name']!r}; there are "
            f"{', '.join(known)}."
        )
    exercise = read_exercise(row["name"])
    if exercise.rubric and row["points"]:
        raise ValueError(f"{path}: {row['name']} is open: it has 0 points.")
    return Task(**row, exercise=exercise)


def find_task(tasks: list[Task], number: str) -> Task:
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
