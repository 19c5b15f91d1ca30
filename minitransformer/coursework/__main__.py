"""The exercises: list them, begin, check, and get a hint.

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

from minitransformer.coursework import report
from minitransformer.coursework.checking import SEED, check_folder
from minitransformer.coursework.exercise import (
    COURSE,
    Task,
    find_task,
    read_course,
)
from minitransformer.coursework.folder import TEXTS, solution, start
from minitransformer.coursework.grading import grade
from minitransformer.coursework.judge import Verdict, escaped
from minitransformer.runs.flags import seed as read_seed

KEY = "MT_SOLUTIONS_KEY"


def show_list(options: argparse.Namespace, tasks: list[Task]) -> None:
    """Print the exercises of a course."""
    titles = "", "exercise", "points", "minutes", "background"
    table = report.make_table(*titles)
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
        f"{escaped(str(options.folder))} --only {chosen[0].number}"
    )


def check(options: argparse.Namespace, tasks: list[Task]) -> int:
    """Check a folder, report, and give the exit code."""
    chosen = choose(options, tasks)
    if options.only and chosen[0].exercise.rubric:
        raise ValueError(
            f"{chosen[0].number} is open: it has no check, and a rubric "
            f"in {chosen[0].module}.md."
        )
    problem, seed = "", SEED if options.seed is None else options.seed
    try:
        with report.progress(len(chosen)) as step:
            results = check_folder(options.folder, chosen, seed, step)
        report.print_report(results)
    except (ValueError, OSError) as error:  # a platform wants a report
        problem = str(error)
        tasks = [task for task in chosen if not task.exercise.rubric]
        results = [(task, Verdict(False, problem)) for task in tasks]
    if options.json:
        report.save(options.json, report.gradescope(results))
    if options.junit:
        report.save(options.junit, report.junit(results))
    if problem:
        raise ValueError(problem)
    return 0 if all(verdict.right for _, verdict in results) else 1


def give_hint(options: argparse.Namespace, tasks: list[Task]) -> None:
    """Print a hint, or as many as are asked for."""
    hints = find_task(tasks, options.number).exercise.hints
    for number, hint in enumerate(hints[: options.more + 1], 1):
        print(f"{number}. {hint}")
    left = len(hints) - options.more - 1
    if left > 0:
        print(f"({left} more:{' --more' * (options.more + 1)})")


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


# Of each command: the function that runs it, and flags besides --course.
COMMANDS: dict[str, tuple[Callable[..., int | None], str]] = {
    "list": (show_list, ""),
    "start": (begin, "folder --only"),
    "check": (check, "folder --only --seed --json --junit"),
    "hint": (give_hint, "number --more"),
    "solution": (show_solution, "number"),
    "grade": (grade, "folder --seed --csv --mistakes"),
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
    "--course": FILE | {"default": COURSE},
}


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m minitransformer.coursework",
        description="Exercises that say which mistake was made.",
        epilog="Exit codes: 0 all points, 1 not all, 2 wrong usage.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (run, flags) in COMMANDS.items():
        text = TEXTS["help"][name]
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        for flag in (*flags.split(), "--course"):
            command.add_argument(
                flag, help=TEXTS["help"].get(flag), **FLAGS[flag]
            )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever the system's is
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    options = parse(arguments)
    try:
        return options.run(options, read_course(options.course)) or 0
    except ValueError as error:
        print(f"error: {escaped(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
