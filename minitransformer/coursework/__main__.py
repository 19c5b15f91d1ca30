"""The exercises: list them, begin, check, and get a hint.

python -m minitransformer.coursework list
python -m minitransformer.coursework start my-folder
python -m minitransformer.coursework check my-folder --only 03
"""

import argparse
import ast
import contextlib
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.progress import Progress

from minitransformer.coursework import report
from minitransformer.coursework.checking import SEED, check_folder
from minitransformer.coursework.exercise import (
    COURSE,
    Task,
    find_task,
    read_course,
)
from minitransformer.coursework.folder import solution, start
from minitransformer.coursework.grading import grade
from minitransformer.runs.commands import seed

KEY = "MT_SOLUTIONS_KEY"
FILE = {"type": Path, "metavar": "FILE"}
FLAGS: dict[str, dict[str, Any]] = {
    "folder": {"type": Path, "metavar": "FOLDER"},
    "number": {"metavar": "NN", "help": "as in 03"},
    "--only": {"metavar": "NN", "help": "this exercise alone"},
    "--seed": {
        "type": seed,
        "default": SEED,
        "metavar": "N",
        "help": "draw other questions: a number to keep secret",
    },
    "--more": {
        "action": "count",
        "default": 0,
        "help": "also the next hint; repeat it for more",
    },
    "--json": FILE | {"help": "write what Gradescope reads"},
    "--junit": FILE | {"help": "write what Git hosts read"},
    "--csv": FILE
    | {
        "required": True,
        "help": "one row per submission; rows that are there are kept",
    },
    "--mistakes": FILE
    | {"help": "write a page: how often each known mistake was met"},
    "--course": FILE
    | {
        "default": COURSE,
        "help": "another choice of exercises and points (TOML)",
    },
}
# Of each command: its help, and its flags besides --course.
COMMANDS = {
    "list": ("list the exercises", ""),
    "start": ("write stubs to fill in", "folder --only"),
    "check": (
        "check a folder",
        "folder --only --seed --json --junit",
    ),
    "hint": ("show a hint", "number --more"),
    "solution": (f"show a solution (needs {KEY})", "number"),
    "grade": (
        "check every folder in a folder",
        "folder --seed --csv --mistakes",
    ),
}


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m minitransformer.coursework",
        description="Exercises that say which mistake was made.",
        epilog="Exit codes: 0 all points, 1 not all, 2 wrong usage.",
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    )
    for name, (text, flags) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        for flag in (*flags.split(), "--course"):
            command.add_argument(flag, **FLAGS[flag])
    return parser.parse_args(arguments)


def show_list(options: argparse.Namespace, tasks: list[Task]) -> None:
    """Print the exercises of a course."""
    table = report.make_table(
        "", "exercise", "points", "minutes", "background"
    )
    for task in tasks:
        points = "open" if task.exercise.rubric else f"{task.points:g}"
        title, page = task.exercise.title, task.exercise.page
        table.add_row(task.number, title, points, str(task.minutes), page)
    console = report.screen()
    console.print(table)
    total = sum(task.points for task in tasks)
    minutes = sum(task.minutes for task in tasks)
    time = f"{minutes} minutes"
    if minutes >= 120:
        time = f"{minutes / 60:.0f} hours"
    console.print(f"\n{total:g} points, about {time}")


def choose(options: argparse.Namespace, tasks: list[Task]) -> list[Task]:
    """Take the exercises that are asked for."""
    return [find_task(tasks, options.only)] if options.only else tasks


def begin(options: argparse.Namespace, tasks: list[Task]) -> None:
    """Write the stubs, and say what to do next."""
    chosen = choose(options, tasks)
    try:
        written, kept = start(options.folder, chosen, tasks)
    except OSError as error:
        raise ValueError(
            f"{options.folder} cannot be written: {error}."
        ) from error
    print(f"written: {', '.join(written) or 'nothing'}")
    if kept:
        print(f"left as they were: {', '.join(kept)}")
    print(
        "next: python -m minitransformer.coursework check "
        f"{options.folder} --only {chosen[0].number}"
    )


def check(options: argparse.Namespace, tasks: list[Task]) -> int:
    """Check a folder, report, and give the exit code."""
    chosen = choose(options, tasks)
    if options.only and chosen[0].exercise.rubric:
        raise ValueError(
            f"{chosen[0].number} is open: it has no check, and a rubric "
            f"in {chosen[0].module}.md."
        )
    with progress(len(chosen)) as step:
        results = check_folder(options.folder, chosen, options.seed, step)
    report.print_report(results)
    if options.json:
        report.save(options.json, report.gradescope(results))
    if options.junit:
        report.save(options.junit, report.junit(results))
    return 0 if all(verdict.right for _, verdict in results) else 1


@contextlib.contextmanager
def progress(total: int) -> Iterator[Callable[[Any], None]]:
    """Show a bar in a terminal, and nothing anywhere else.

    Yields:
        A function to call when something is done.
    """
    console = report.screen(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("checking …", total=total)
        yield lambda _: bar.advance(task)


def give_hint(options: argparse.Namespace, tasks: list[Task]) -> None:
    """Print a hint, or as many as are asked for."""
    hints = find_task(tasks, options.number).exercise.hints
    for number, hint in enumerate(hints[: options.more + 1], 1):
        print(f"{number}. {hint}")
    left = len(hints) - options.more - 1
    if left > 0:
        print(f"({left} more:{' --more' * (options.more + 1)})")


def package_source(name: str) -> str:
    """Cut a function or class out of the package, without loading it.

    Args:
        name: Such as "attention.attention_weights", or a method's.

    Returns:
        Python source.
    """
    path, names = Path(__file__).parents[1], name.split(".")
    while path.suffix != ".py":
        path /= names.pop(0)
        if path.with_suffix(".py").is_file():
            path = path.with_suffix(".py")
    text = path.read_text(encoding="utf-8")
    node: Any = ast.parse(text)
    for part in names:
        [node] = (n for n in node.body if getattr(n, "name", None) == part)
    source = ast.get_source_segment(text, node, padded=True)
    return textwrap.dedent(source or "")


def show_solution(options: argparse.Namespace, tasks: list[Task]) -> None:
    """Print the answer, for lecturers."""
    if not os.environ.get(KEY):
        raise ValueError(
            f"solutions are the lecturer's: set {KEY} to any text."
        )
    task = find_task(tasks, options.number)
    print(solution(task, tasks), end="")
    for name in task.exercise.like:  # not in the file that is redirected
        title = f"\n\n# The book's own, minitransformer.{name}\n\n"
        print(title + package_source(name), file=sys.stderr)


def grade_all(options: argparse.Namespace, tasks: list[Task]) -> None:
    """Grade a class."""
    grade(options, tasks, progress)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    run: Callable[..., int | None] = {
        "list": show_list,
        "start": begin,
        "check": check,
        "hint": give_hint,
        "solution": show_solution,
        "grade": grade_all,
    }[options.command]
    try:
        return run(options, read_course(options.course)) or 0
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
