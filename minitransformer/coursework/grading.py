"""Grade many submissions: one table, and a count of each mistake."""

import csv
import io
import itertools
import random
import re
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from minitransformer.coursework.checking import check_folder
from minitransformer.coursework.child import skipped
from minitransformer.coursework.exercise import Task
from minitransformer.coursework.folder import TEXTS
from minitransformer.coursework.judge import Verdict, escaped
from minitransformer.coursework.report import Results, progress, save, score

Row = dict[str, str]  # of one submission; the keys are from `columns`


def columns(tasks: Iterable[Task]) -> list[str]:
    """Name the columns of the table: points and verdict per exercise."""
    pairs = ([task.number, f"{task.number} says"] for task in tasks)
    return ["submission", "points", *itertools.chain(*pairs)]


def row_of(name: str, results: Results) -> Row:
    """Make the row of a submission."""
    total = sum(score(task, verdict) for task, verdict in results)
    row = {"submission": name, "points": f"{total:g}"}
    for task, verdict in results:
        row[task.number] = f"{score(task, verdict):g}"
        row[f"{task.number} says"] = verdict.headline
    return row


def read_table(path: Path, tasks: Iterable[Task]) -> list[Row]:
    """Read the rows of an earlier run; none if there is no file.

    Raises:
        ValueError: if the file is not a table of this course.
    """
    if not path.is_file():
        return []
    try:
        data = path.read_bytes()
        wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = data.decode("utf-16" if wide else "utf-8-sig")
        # A spreadsheet may separate cells by semicolons or tabs, and drop
        # the zeros before a number.
        mark = re.match(r'"?submission"?([;\t])', text)
        head, *lines = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=mark[1] if mark else ",",
        )
    except (OSError, csv.Error, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}.") from error
    names = columns(tasks)
    if [n.lstrip("0") for n in head] != [n.lstrip("0") for n in names]:
        raise ValueError(
            f"{path} is not a table of this course. Give another file."
        )
    for number, line in enumerate(lines, 1):
        if any(line) and len(line) != len(names):
            raise ValueError(
                f"{path}: row {number} has {len(line)} cells, expected "
                f"{len(names)}. Correct or delete it."
            )
    return [
        dict(zip(names, line, strict=True)) for line in lines if any(line)
    ]


def table(rows: Iterable[Row], tasks: Iterable[Task]) -> str:
    """Write rows as CSV, with a byte-order mark, which Excel needs."""
    file = io.StringIO()
    writer = csv.DictWriter(file, columns(tasks), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: harmless(value) for key, value in row.items()} for row in rows
    )
    return "\N{BYTE ORDER MARK}" + file.getvalue()


def harmless(text: str) -> str:
    """Keep a spreadsheet from reading a student's words as a formula."""
    formula = text.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{text}" if formula else text


def mistakes_page(rows: Sequence[Row], tasks: Iterable[Task]) -> str:
    """Count the known mistakes, on a page of Markdown."""
    page = TEXTS["mistakes"].format(len(rows))
    for task in tasks:
        headlines = [row[f"{task.number} says"] for row in rows]
        named = [headline.split("; ") for headline in headlines]
        counts = Counter(name for names in named for name in names)
        known = {mistake.name for mistake in task.exercise.mistakes}
        found = sum(not known.isdisjoint(names) for names in named)
        right = headlines.count("right")
        title = f"{task.number} · {task.exercise.title}"
        other = len(rows) - right - found
        page += TEXTS["section"].format(title, right, found, other)
        mistakes = task.exercise.mistakes
        for mistake in sorted(mistakes, key=lambda m: -counts[m.name]):
            times = counts[mistake.name]
            page += f"| {mistake.name} | {times} | {mistake.why} |\n"
    return page


def grade(options: Namespace, tasks: Iterable[Task]) -> None:
    """Check every submission in a folder, and write the table row by row.

    Args:
        options: Has folder, csv, mistakes and seed. A seed of None is
            drawn here and printed, so that no command line shows it.
        tasks: The exercises.

    Raises:
        ValueError: if the folder has no submissions.
    """
    if not options.folder.is_dir():
        raise ValueError(f"{options.folder} is not a folder.")
    tasks = [task for task in tasks if not task.exercise.rubric]
    folders = sorted(
        path
        for path in options.folder.iterdir()
        if path.is_dir() and not skipped(str(path))
    )
    if not folders:
        raise ValueError(f"{options.folder} contains no submissions.")
    rows = read_table(options.csv, tasks)
    done = {row["submission"] for row in rows}
    # A spreadsheet writes "7" for "007", unless there is also a folder "7".
    done |= {f.name for f in folders if f.name.lstrip("0") in done} - {""}
    seed = options.seed
    if seed is None:
        seed = random.SystemRandom().randrange(2**31)
        print(f"questions of this class: --seed {seed}")
    with progress(len(folders)) as step:
        for folder in folders:
            name = escaped(folder.name)
            if harmless(name) not in done:
                rows.append(grade_one(folder, tasks, seed))
                save(options.csv, table(rows, tasks))
                print(f"{name}: {rows[-1]['points']} points")
            step(folder)
    if options.mistakes:
        save(options.mistakes, mistakes_page(rows, tasks))


def grade_one(folder: Path, tasks: Sequence[Task], seed: int) -> Row:
    """Make the row of one submission; without adapters.py it has zeros."""
    name = escaped(folder.name)
    try:
        results = check_folder(folder, tasks, seed)
    except ValueError as error:
        print(f"{name}: {escaped(str(error))}", file=sys.stderr)
        results = [
            (task, Verdict(False, "no adapters.py")) for task in tasks
        ]
    return row_of(name, results)
