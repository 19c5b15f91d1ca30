"""Reports: a table for people, JSON for Gradescope, XML for Git hosts."""

import json
import xml.etree.ElementTree as ET

from rich.console import Console
from rich.table import Table
from rich.text import Text

from minitransformer.runs.saving import write_atomically


def explain(verdict):
    """Write a verdict as lines of text, without its headline."""
    lines = [verdict.text] if verdict.text else []
    lines += [line for line in verdict.lines if line]
    if verdict.note:
        lines.append(verdict.note)
    if verdict.page:
        lines.append(f"Read on in the book: {verdict.page}")
    return lines


def screen():
    """Make a console on standard output.

    Returns:
        A rich Console; where there is no terminal, its lines are as long
        as they need to be.
    """
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 200
    return console


def print_report(results, console=None):
    """Print what was found: a table, and below it what is wrong.

    Args:
        results: Pairs of a `Task` and its `Verdict`.
        console: A rich Console; standard output if None. Not a terminal, it
            gets plain text.
    """
    console = console or screen()
    table = Table(box=None, pad_edge=False)
    for title in ("", "exercise", "points", "time", ""):
        right = "right" if title in ("points", "time") else "left"
        table.add_column(title, justify=right)
    for task, verdict in results:
        score = task.points if verdict.right else 0
        table.add_row(
            task.number, task.exercise.title, f"{score:g}/{task.points:g}",
            f"{verdict.seconds:.1f} s",
            Text("right", "green") if verdict.right
            else Text("not yet", "red"),
        )  # fmt: skip
    console.print(table)
    for task, verdict in results:
        lines = explain(verdict)
        if verdict.right and not verdict.note:
            continue
        console.print()
        headline = "right" if verdict.right else verdict.headline
        console.print(Text(f"{task.number}  {headline}", "bold"))
        for line in lines:
            console.print(mark(f"    {line}"))
    got = sum(task.points for task, verdict in results if verdict.right)
    most = sum(task.points for task, _ in results)
    console.print(f"\n{got:g} of {most:g} points")


def mark(line):
    """Colour the cells of a drawing that are wrong."""
    text = Text(line)
    text.highlight_regex(r"[\w.+-]+\*(?=\s|$)", "red")
    return text


def gradescope(results):
    """Make what Gradescope reads.

    Returns:
        JSON: `{"tests": [{"name", "score", "max_score", "output"}]}`.
    """
    return json.dumps({
        "tests": [
            {
                "name": f"{task.number} {task.exercise.title}",
                "score": task.points if verdict.right else 0,
                "max_score": task.points,
                "output": "\n".join([verdict.headline, *explain(verdict)]),
            }
            for task, verdict in results
        ]
    }, indent=1, ensure_ascii=False) + "\n"  # fmt: skip


def junit(results):
    """Make what Git hosts read: a JUnit file, as text."""
    failed = sum(not verdict.right for _, verdict in results)
    suite = ET.Element(
        "testsuite", name="coursework", tests=str(len(results)),
        failures=str(failed), errors="0",
    )  # fmt: skip
    for task, verdict in results:
        case = ET.SubElement(
            suite, "testcase", classname="coursework",
            name=f"{task.number} {task.exercise.title}",
            time=f"{verdict.seconds:.3f}",
        )  # fmt: skip
        if not verdict.right:
            failure = ET.SubElement(
                case, "failure", message=verdict.headline
            )
            failure.text = "\n".join(explain(verdict))
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True)


def save(path, text):
    """Write a report.

    Raises:
        ValueError: if it cannot be written.
    """
    try:
        write_atomically(path, text)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be written: {error.strerror or error}."
        ) from error
