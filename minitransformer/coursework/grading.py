"""Grade many submissions: one table, and how often each mistake was met."""

import csv
import io
import sys
from collections import Counter
from pathlib import Path

from minitransformer.coursework.checking import SEED, check_folder
from minitransformer.coursework.judge import escaped
from minitransformer.coursework.report import save


def columns(tasks):
    """Name the columns of the table: points and words per exercise."""
    names = ["submission", "points"]
    for task in tasks:
        names += [task.number, f"{task.number} says"]
    return names


def row_of(name, results):
    """Make a row of the table.

    Args:
        name: Of the submission.
        results: Pairs of a `Task` and its `Verdict`.

    Returns:
        A dictionary with the keys that `columns` names.
    """
    row = {"submission": name}
    total = 0
    for task, verdict in results:
        score = task.points if verdict.right else 0
        total += score
        row[task.number] = f"{score:g}"
        row[f"{task.number} says"] = verdict.headline
    return row | {"points": f"{total:g}"}


def read_table(path, tasks):
    """Read the rows that are there already; none if there is no file.

    Raises:
        ValueError: if the file is a table of something else.
    """
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read: {error}.") from error
    if reader.fieldnames != columns(tasks):
        raise ValueError(
            f"{path} has other columns than this course: give another file."
        )
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise ValueError(
                f"{path}: row {number} has not as many cells as columns."
            )
    return rows


def table(rows, tasks):
    """Write rows as CSV, with the mark by which Excel knows UTF-8.

    Returns:
        Text.
    """
    file = io.StringIO()
    writer = csv.DictWriter(file, columns(tasks), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: harmless(value) for key, value in row.items()} for row in rows
    )
    return "\N{BYTE ORDER MARK}" + file.getvalue()


def harmless(text):
    """Keep a spreadsheet from taking a student's words for a formula."""
    formula = text.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{text}" if formula else text


def mistakes_page(rows, tasks):
    """Write a page that says how often each known mistake was met.

    Args:
        rows: As from `read_table` or `row_of`.
        tasks: A list of `Task`.

    Returns:
        Markdown.
    """
    parts = [
        "# Mistakes, and how often they were met", "",
        f"In {len(rows)} submissions. Two mistakes made together count "
        "for both.", "",
    ]  # fmt: skip
    for task in tasks:
        said = [row[f"{task.number} says"] for row in rows]
        counts = Counter(name for text in said for name in text.split("; "))
        names = [mistake.name for mistake in task.exercise.mistakes]
        known = sum(
            any(part in names for part in text.split("; ")) for text in said
        )
        right = said.count("right")
        parts += [
            f"## {task.number} · {task.exercise.title}", "",
            f"{right} right, {known} with a known mistake, "
            f"{len(said) - right - known} other.", "",
            "| mistake | met | what it is |", "|---|---|---|",
        ]  # fmt: skip
        parts += [
            f"| {mistake.name} | {counts[mistake.name]} | {mistake.why} |"
            for mistake in sorted(
                task.exercise.mistakes, key=lambda m: -counts[m.name]
            )
        ]
        parts.append("")
    return "\n".join(parts)


def grade(options, tasks, progress):
    """Check every folder in a folder, and write the table as it grows.

    Args:
        options: With folder, csv, mistakes and seed.
        tasks: A list of `Task`.
        progress: Function of a total that gives a context.

    Raises:
        ValueError: if there is nothing to grade.
    """
    folder = Path(options.folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder.")
    tasks = [task for task in tasks if not task.exercise.rubric]
    names = sorted(
        path.name for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    )  # fmt: skip
    if not names:
        raise ValueError(f"{folder} holds no folder with a submission.")
    rows = read_table(options.csv, tasks)
    done = {row["submission"] for row in rows}
    seed = SEED if options.seed is None else options.seed
    with progress(len(names)) as step:
        for name in names:
            if harmless(escaped(name)) not in done:
                rows.append(grade_one(folder / name, tasks, seed))
                save(options.csv, table(rows, tasks))
                print(f"{escaped(name)}: {rows[-1]['points']} points")
            step(name)
    if options.mistakes:
        save(options.mistakes, mistakes_page(rows, tasks))


def grade_one(folder, tasks, seed):
    """Make the row of one submission; one without files gets no points."""
    name = escaped(folder.name)
    try:
        return row_of(name, check_folder(folder, tasks, seed))
    except ValueError as error:
        print(f"{name}: {escaped(str(error))}", file=sys.stderr)
        nothing = {key: "0" for key in columns(tasks)}
        words = {f"{task.number} says": "no adapters.py" for task in tasks}
        return nothing | words | {"submission": name}
