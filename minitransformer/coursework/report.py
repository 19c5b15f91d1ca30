"""Reports: a table for people, JSON for Gradescope, XML for Git hosts."""

import contextlib
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from minitransformer.coursework.exercise import Task
from minitransformer.coursework.judge import Verdict, printable
from minitransformer.runs.saving import write_atomically

Results = list[tuple[Task, Verdict]]  # of one submission, in course order


def explain(verdict: Verdict) -> list[str]:
    """Write a verdict as lines of text, without its headline.

    All of it may quote a submission: see `printable`.
    """
    page = verdict.page and f"Read in the book: {verdict.page}"
    lines = [verdict.text, *verdict.lines, verdict.note, page]
    return [printable(line) for line in lines if line]


def score(task: Task, verdict: Verdict) -> float:
    """Give all of an exercise's points, or none."""
    return task.points if verdict.right else 0


def screen(stderr: bool = False) -> Console:
    """Make a console; without a terminal, it writes long plain lines."""
    console = Console(stderr=stderr, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 200
    return console


@contextlib.contextmanager
def progress(total: int) -> Iterator[Callable[[Any], None]]:
    """Show a bar in a terminal; yield a function that advances it."""
    console = screen(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("checking …", total=total)
        yield lambda _: bar.advance(task)


def make_table(*titles: str) -> Table:
    """Make a table without lines; numbers are aligned at the right."""
    table = Table(box=None, pad_edge=False)
    for title in titles:
        right = title in ("points", "minutes", "time")
        table.add_column(title, justify="right" if right else "left")
    return table


def print_report(results: Results) -> None:
    """Print a table of the results, and explain each wrong one."""
    console = screen()
    table = make_table("", "exercise", "points", "time", "")
    for task, verdict in results:
        table.add_row(
            task.number,
            task.exercise.title,
            f"{score(task, verdict):g}/{task.points:g}",
            f"{verdict.seconds:.1f} s",
            "[green]right" if verdict.right else "[red]not yet",
        )
    console.print(table)
    for task, verdict in results:
        if verdict.right and not verdict.note:
            continue
        console.print()
        console.print(Text(f"{task.number}  {verdict.headline}", "bold"))
        for line in explain(verdict):
            console.print(mark(f"    {line}"))
    got = sum(score(task, verdict) for task, verdict in results)
    total = sum(task.points for task, _ in results)
    console.print(f"\n{got:g} of {total:g} points")


def mark(line: str) -> Text:
    """Colour the wrong cells of a drawing."""
    text = Text(line)
    text.highlight_regex(r"[\w.+-]+\*(?=\s|$)", "red")
    return text


def cases(results: Results, problem: str) -> Iterator[tuple]:
    """List name, points, all points and verdict of each exercise.

    If the course itself cannot be read, one case tells the problem.
    """
    for task, verdict in results:
        name = f"{task.number} {task.exercise.title}"
        yield name, score(task, verdict), task.points, verdict
    if problem and not results:
        yield "coursework", 0, 0, Verdict(False, problem)


def gradescope(results: Results, problem: str = "") -> str:
    """Make Gradescope's JSON: a list of tests."""
    tests = [
        {
            "name": name,
            "score": points,
            "max_score": all_points,
            "output": "\n".join([verdict.headline, *explain(verdict)]),
        }
        for name, points, all_points, verdict in cases(results, problem)
    ]
    text = json.dumps({"tests": tests}, indent=1, ensure_ascii=False)
    return text + "\n"


def junit(results: Results, problem: str = "") -> str:
    """Make JUnit's XML, for Git hosts."""
    suite = ET.Element("testsuite", name="coursework", errors="0")
    for name, _, _, verdict in cases(results, problem):
        case = ET.SubElement(
            suite,
            "testcase",
            classname="coursework",
            name=name,
            time=f"{verdict.seconds:.3f}",
        )
        if not verdict.right:
            failure = ET.SubElement(case, "failure", type="not yet")
            failure.set("message", verdict.headline)
            failure.text = "\n".join(explain(verdict))
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("*/failure"))))
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True)


def save(path: Path, text: str) -> None:
    """Write a report; a ValueError says why it cannot be written."""
    try:
        write_atomically(path, text)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be written: {error.strerror or error}."
        ) from error
