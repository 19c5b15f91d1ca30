"""Write the exercises' pages from the exercises: run after changing one.

    python -m scripts.book.coursework_pages

It makes docs/coursework/NAME.md for each exercise of the course, a list of
them, and docs/coursework/mistakes.md from what `scripts/evidence/coursework.py` found.
A test shows that they are as this would write them.
"""

import json
import os
from pathlib import Path

from minitransformer.coursework.exercise import read_course
from minitransformer.coursework.folder import stub

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "coursework"
EVIDENCE = ROOT / "docs" / "evidence" / "coursework.json"
HEAD = """---
hide: [toc]
search: {{exclude: true}}
---
# {}

<!-- Made by `python -m scripts.book.coursework_pages`: change the exercise. -->
"""


def link(page):
    """Make a link to a page of the book, called by its own title."""
    text = (ROOT / "docs" / page.partition("#")[0]).read_text("utf-8")
    title = next(
        line for line in text.splitlines() if line.startswith("# ")
    )
    target = os.path.relpath(f"docs/{page}", "docs/coursework")
    return f"[{title[2:]}]({target.replace(os.sep, '/')})"


def exercise_page(task):
    """Write the page of an exercise, a notebook that checks itself."""
    exercise = task.exercise
    parts = [
        HEAD.format(f"{task.number} · {exercise.title}"),
        f'<p class="lede">{exercise.goal}</p>',
        "",
    ]
    if exercise.rubric:
        parts += [
            f"Open: no check, no points. About {task.minutes} minutes. "
            f"Background: {link(exercise.page)}.",
            "",
            "## What is looked at",
            "",
            *(f"- {line}" for line in exercise.rubric),
            "",
            "## A beginning",
            "",
            "```python",
            stub(task).rstrip(),
            "```",
            "",
        ]
    else:
        names = ", ".join(exercise.functions)
        parts += [
            "## What is asked",
            "",
            f"{task.points:g} points, about {task.minutes} minutes. "
            f"Background: {link(exercise.page)}. The check knows "
            f"{len(exercise.mistakes)} mistakes by name.",
            "",
            "```python run",
            stub(task).rstrip(),
            "```",
            "",
            "## Check it",
            "",
            "This page is a notebook, too: write the function above, and "
            "run this cell. It says which mistake was made.",
            "",
            "```python run",
            "from minitransformer.coursework.checking import check_here",
            "",
            f'check_here("{task.number}", {names})',
            "```",
            "",
            "Or in files, as [the course hands them out](students.md):",
            "",
            "```text",
            "python -m minitransformer.coursework start my-folder --only "
            f"{task.number}",
            "python -m minitransformer.coursework check my-folder --only "
            f"{task.number}",
            "```",
            "",
        ]
    parts += ["## Hints", ""]
    for i, hint in enumerate(exercise.hints, 1):
        parts += [
            f'<details markdown="1"><summary>Hint {i}</summary>',
            "",
            hint,
            "",
            "</details>",
            "",
        ]
    return "\n".join(parts)


def overview(tasks):
    """Write the page that lists the exercises."""
    points = sum(task.points for task in tasks)
    hours = sum(task.minutes for task in tasks) / 60
    parts = [
        HEAD.format("The exercises"),
        f'<p class="lede">{len(tasks)} exercises in the order of the book, '
        f"{points:g} points, about {hours:.0f} hours.</p>",
        "",
        "| | exercise | points | minutes | background |",
        "|---|---|---|---|---|",
    ]
    for task in tasks:
        score = "open" if task.exercise.rubric else f"{task.points:g}"
        parts.append(
            f"| {task.number} | [{task.exercise.title}]({task.name}.md) | "
            f"{score} | {task.minutes} | {link(task.exercise.page)} |"
        )
    return "\n".join([*parts, "", "[How to begin](students.md)", ""])


def mistakes_page(tasks, evidence):
    """Write the page of all known mistakes, and how often they were met."""
    class_, pairs = evidence["class"], evidence["pairs"]
    checked = [task for task in tasks if not task.exercise.rubric]
    count = sum(len(task.exercise.mistakes) for task in checked)
    parts = [
        HEAD.format("The mistakes"),
        f'<p class="lede">All {count} mistakes that the check knows by name, '
        "what it says of each, and how often it was met. For lecturers: "
        "it gives answers away.</p>",
        "",
        "## How they were met",
        "",
        f"No student has written these: {class_['submissions']} "
        "submissions were made by chance, each exercise right with "
        f"probability {class_['right']:g}, else with one mistake or with "
        "two, and graded with one command. Two in one exercise count for "
        "both. “Named” says how often the mistake, made alone in the right "
        f"answer, got its own name, of {len(evidence['seeds'])} seeds.",
        "",
        "```text",
        "python scripts/evidence/coursework.py",
        "```",
        "",
        "Two mistakes at once. Where one hides the other, one is named; "
        "and some pairs give the very same answers as another mistake or "
        "pair, and get that name, or do nothing but fail.",
        "",
        "| exercise | pairs | both named | one hides the other | other |",
        "|---|---|---|---|---|",
    ]
    for task in checked:
        row = pairs[task.name]
        parts.append(
            f"| {task.number} {task.name} | {row['pairs']} | {row['both']} "
            f"| {row['hidden']} | {row['other']} |"
        )
    parts.append("")
    for task in checked:
        met = class_["met"][task.name]
        found = evidence["confusion"][task.name]
        parts += [
            f"## {task.number} · {task.exercise.title}",
            "",
            "| mistake | met | named | what it says |",
            "|---|---|---|---|",
        ]
        parts += [
            f"| {mistake.name} | {met.get(mistake.name, 0)} | "
            f"{found[mistake.name].get(mistake.name, 0)}/"
            f"{sum(found[mistake.name].values())} | {cell(mistake.why)} "
            f"{link(mistake.page)} |"
            for mistake in task.exercise.mistakes
        ]
        parts.append("")
    return "\n".join(parts)


def cell(text):
    """Write a text so that a table's cell can hold it."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def pages():
    """Make all pages: a dictionary from paths to texts."""
    tasks = read_course()
    made = {
        FOLDER / f"{task.name}.md": exercise_page(task) for task in tasks
    }
    made[FOLDER / "exercises.md"] = overview(tasks)
    evidence = json.loads(EVIDENCE.read_text("utf-8"))
    made[FOLDER / "mistakes.md"] = mistakes_page(tasks, evidence)
    return made


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, "utf-8", newline="\n")
