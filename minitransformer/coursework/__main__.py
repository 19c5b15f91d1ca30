"""The exercises: list them, start, check your answers, and get hints.

python -m minitransformer.coursework list
python -m minitransformer.coursework start my-folder
python -m minitransformer.coursework check my-folder --only 03
"""

import argparse
import ast
import io
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from minitransformer.coursework import exercise, report
from minitransformer.coursework.checking import SEED, check_folder
from minitransformer.coursework.exercise import Task
from minitransformer.coursework.folder import TEXTS, solution, start
from minitransformer.coursework.grading import grade
from minitransformer.coursework.judge import Verdict, escaped
from minitransformer.runs.flags import seed as read_seed

KEY = "MT_SOLUTIONS_KEY"


def choose(options: argparse.Namespace) -> tuple[list[Task], list[Task]]:
    """Read the course; return the chosen exercises, and all of them."""
    tasks = exercise.read_course(options.course)
    chosen = vars(options)
    only = chosen.get("number", chosen.get("only"))
    return [
        exercise.find_task(tasks, only)
    ] if only is not None else tasks, tasks


def show_list(options: argparse.Namespace) -> None:
    """Print the exercises of a course."""
    _, tasks = choose(options)
    titles = "", "exercise", "points", "minutes", "read first"
    table = report.make_table(*titles)
    for task in tasks:
        points = "open" if task.exercise.rubric else f"{task.points:g}"
        title, page = task.exercise.title, task.exercise.page
        table.add_row(task.number, title, points, str(task.minutes), page)
    console = report.screen()
    console.print(table)
    total = sum(task.points for task in tasks)
    minutes = sum(task.minutes for task in tasks)
    hours = minutes >= 120
    time = f"{minutes / 60:.0f} hours" if hours else f"{minutes} minutes"
    console.print(f"\n{total:g} points, about {time}")


def begin(options: argparse.Namespace) -> None:
    """Write the stubs, and print the next command."""
    chosen, tasks = choose(options)
    try:
        written, kept = start(options.folder, chosen, tasks)
    except OSError as error:
        raise ValueError(
            f"{options.folder} cannot be written: {error}."
        ) from error
    print(f"written: {', '.join(written) or 'nothing'}")
    if kept:
        print(f"not changed: {', '.join(kept)}")
    print(
        "next: python -m minitransformer.coursework check "
        f"{escaped(str(options.folder))} --only {chosen[0].number}"
    )


def check(options: argparse.Namespace) -> int:
    """Check a folder, report, and return the exit code."""
    problem, seed = "", SEED if options.seed is None else options.seed
    graded: list[Task] = []
    try:
        chosen, _ = choose(options)
        graded = [task for task in chosen if not task.exercise.rubric]
        if not graded:
            raise ValueError(
                f"{chosen[0].number} is open: people grade it, by the "
                f"rubric in {chosen[0].module}.md."
            )
        with report.progress(len(graded)) as step:
            results = check_folder(options.folder, graded, seed, step)
        report.print_report(results)
    except (ValueError, OSError) as error:  # a platform needs its report
        problem = str(error)
        results = [(task, Verdict(False, problem)) for task in graded]
    if options.json:
        report.save(options.json, report.gradescope(results, problem))
    if options.junit:
        report.save(options.junit, report.junit(results, problem))
    if problem:
        raise ValueError(problem)
    return 0 if all(verdict.right for _, verdict in results) else 1


def give_hint(options: argparse.Namespace) -> None:
    """Print the first hint, or more of them."""
    hints = choose(options)[0][0].exercise.hints
    for number, hint in enumerate(hints[: options.more + 1], 1):
        print(f"{number}. {hint}")
    left = len(hints) - options.more - 1
    if left > 0:
        print(f"({left} more: add{' --more' * (options.more + 1)})")


def package_source(name: str) -> str:
    """Cut a name such as "blocks.EncoderBlock.call" out of its file."""
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


def show_solution(options: argparse.Namespace) -> None:
    """Print the answer, for lecturers."""
    if not os.environ.get(KEY):
        raise ValueError(
            f"Solutions are for lecturers: set {KEY} to any text."
        )
    [task], tasks = choose(options)
    print(solution(task, tasks), end="")
    for name in task.exercise.like:  # not in the file that is redirected
        title = f"\n\n# The book's own, minitransformer.{name}\n\n"
        print(title + package_source(name), file=sys.stderr)


def grade_all(options: argparse.Namespace) -> None:
    """Grade a class."""
    grade(options, choose(options)[1])


# For each command: its function, and its flags besides --course.
COMMANDS: dict[str, tuple[Callable[..., int | None], str]] = {
    "list": (show_list, ""),
    "start": (begin, "folder --only"),
    "check": (check, "folder --only --seed --json --junit"),
    "hint": (give_hint, "number --more"),
    "solution": (show_solution, "number"),
    "grade": (grade_all, "folder --seed --csv --mistakes"),
}
FILE: dict[str, Any] = {"type": Path, "metavar": "FILE"}
FLAGS: dict[str, dict[str, Any]] = {
    "folder": {"type": Path, "metavar": "FOLDER"},
    "number": {"metavar": "NN"},
    "--only": {"metavar": "NN"},
    "--seed": {"metavar": "N", "type": read_seed},
    "--more": {"action": "count", "default": 0},
    "--json": FILE,
    "--junit": FILE,
    "--csv": FILE | {"required": True},
    "--mistakes": FILE,
    "--course": FILE | {"default": exercise.COURSE},
}


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m minitransformer.coursework",
        description="Exercises that name the mistake in your answer.",
        epilog="Exit codes: 0 all points, 1 not all, 2 user error.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (run, flags) in COMMANDS.items():
        text = TEXTS["help"][name]
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        for flag in (*flags.split(), "--course"):
            more = FLAGS[flag]
            command.add_argument(flag, help=TEXTS["help"][flag], **more)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # on any system
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    options = parse(arguments)
    try:
        return options.run(options) or 0
    except ValueError as error:
        print(f"error: {escaped(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
