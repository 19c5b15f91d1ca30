"""The exercises: list them, begin, check, and get a hint.

python -m minitransformer.coursework list
python -m minitransformer.coursework start my-folder
python -m minitransformer.coursework check my-folder --only 03
"""

import argparse
import ast
import os
import sys
import textwrap
from pathlib import Path

from minitransformer.coursework.exercise import (
    COURSE,
    find_task,
    read_course,
)
from minitransformer.runs.commands import seed

KEY = "MT_SOLUTIONS_KEY"


def parse(arguments):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m minitransformer.coursework",
        description="Exercises that say which mistake was made.",
        epilog="Exit codes: 0 all points, 1 not all, 2 wrong usage.",
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    )

    def command(name, text, *flags):
        made = commands.add_parser(name, help=text, description=text)
        if "folder" in flags:
            made.add_argument("folder", type=Path, metavar="FOLDER")
        if "number" in flags:
            made.add_argument("number", metavar="NN", help="as in 03")
        if "only" in flags:
            made.add_argument(
                "--only", metavar="NN", help="this exercise alone"
            )
        if "seed" in flags:
            made.add_argument(
                "--seed", type=seed, metavar="N",
                help="draw other questions: a number to keep secret",
            )  # fmt: skip
        made.add_argument(
            "--course", type=Path, default=COURSE, metavar="FILE",
            help="another choice of exercises and points (TOML)",
        )  # fmt: skip
        return made

    command("list", "list the exercises")
    command("start", "write stubs to fill in", "folder", "only")
    check = command("check", "check a folder", "folder", "only", "seed")
    check.add_argument(
        "--json", type=Path, metavar="FILE",
        help="write what Gradescope reads",
    )  # fmt: skip
    check.add_argument(
        "--junit", type=Path, metavar="FILE",
        help="write what Git hosts read",
    )  # fmt: skip
    hint = command("hint", "show a hint", "number")
    hint.add_argument(
        "--more", action="count", default=0,
        help="the next hint too; again for one more",
    )  # fmt: skip
    command("solution", f"show a solution (needs {KEY})", "number")
    grade = command(
        "grade", "check every folder in a folder", "folder", "seed"
    )
    grade.add_argument(
        "--csv", type=Path, required=True, metavar="FILE",
        help="a row for each submission; those that are there are kept",
    )  # fmt: skip
    grade.add_argument(
        "--mistakes", type=Path, metavar="FILE",
        help="write a page: each known mistake, and how often it was met",
    )  # fmt: skip
    return parser.parse_args(arguments)


def list_exercises(tasks):
    """Print the exercises of a course."""
    from rich.table import Table

    from minitransformer.coursework.report import screen

    table = Table(box=None, pad_edge=False)
    for title in ("", "exercise", "points", "minutes", "background"):
        right = title in ("points", "minutes")
        table.add_column(title, justify="right" if right else "left")
    for task in tasks:
        table.add_row(
            task.number, task.exercise.title, f"{task.points:g}"
            if not task.exercise.rubric else "open", f"{task.minutes}",
            task.exercise.page,
        )  # fmt: skip
    console = screen()
    console.print(table)
    points = sum(task.points for task in tasks)
    minutes = sum(task.minutes for task in tasks)
    time = f"{minutes} minutes"
    if minutes >= 120:
        time = f"{minutes / 60:.0f} hours"
    console.print(f"\n{points:g} points, about {time}")


def begin(options, tasks):
    """Write the stubs, and say what to do next."""
    from minitransformer.coursework.folder import start

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


def choose(options, tasks):
    """Take the exercises that are asked for."""
    return [find_task(tasks, options.only)] if options.only else tasks


def check(options, tasks):
    """Check a folder, report, and give the exit code."""
    from minitransformer.coursework import report
    from minitransformer.coursework.checking import SEED, check_folder

    chosen = choose(options, tasks)
    if options.only and chosen[0].exercise.rubric:
        raise ValueError(
            f"{chosen[0].number} is open: it has no check, and a rubric "
            f"in {chosen[0].module}.md."
        )
    number = SEED if options.seed is None else options.seed
    with progress(len(chosen)) as step:
        results = check_folder(options.folder, chosen, number, step)
    report.print_report(results)
    if options.json:
        report.save(options.json, report.gradescope(results))
    if options.junit:
        report.save(options.junit, report.junit(results))
    return 0 if all(verdict.right for _, verdict in results) else 1


def progress(total):
    """Show a bar in a terminal, and nothing anywhere else.

    Returns:
        A context that gives a function to call when something is done.
    """
    import contextlib

    from rich.console import Console
    from rich.progress import Progress

    @contextlib.contextmanager
    def show():
        console = Console(stderr=True)
        if not console.is_terminal:
            yield lambda _: None
            return
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task("checking …", total=total)
            yield lambda _: bar.advance(task)

    return show()


def give_hint(options, tasks):
    """Print a hint, or as many as are asked for."""
    task = find_task(tasks, options.number)
    hints = task.exercise.hints[: options.more + 1]
    for i, hint in enumerate(hints):
        print(f"{i + 1}. {hint}")
    left = len(task.exercise.hints) - len(hints)
    if left:
        print(f"({left} more:{' --more' * (options.more + 1)})")


def package_source(name):
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
    node = ast.parse(text)
    for wanted in names:
        [node] = (
            inner for inner in node.body
            if getattr(inner, "name", None) == wanted
        )  # fmt: skip
    return textwrap.dedent(ast.get_source_segment(text, node, padded=True))


def show_solution(options, tasks):
    """Print the answer, for lecturers."""
    if not os.environ.get(KEY):
        raise ValueError(
            f"solutions are the lecturer's: set {KEY} to any text."
        )
    from minitransformer.coursework.folder import solution

    task = find_task(tasks, options.number)
    print(solution(task, tasks), end="")
    for name in task.exercise.like:  # not in the file that is redirected
        print(f"\n\n# The book's own, minitransformer.{name}\n\n"
              f"{package_source(name)}", file=sys.stderr)  # fmt: skip


def main(arguments=None):
    options = parse(arguments)
    try:
        tasks = read_course(options.course)
        if options.command == "list":
            list_exercises(tasks)
        elif options.command == "start":
            begin(options, tasks)
        elif options.command == "check":
            return check(options, tasks)
        elif options.command == "hint":
            give_hint(options, tasks)
        elif options.command == "solution":
            show_solution(options, tasks)
        else:
            from minitransformer.coursework.grading import grade

            grade(options, tasks, progress)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
