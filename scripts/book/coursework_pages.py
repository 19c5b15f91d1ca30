"""Write the pages of the exercises into docs/coursework; git ignores them.

    python -m scripts.book.coursework_pages

There is one page per exercise of the course, a list of the exercises, and a
list of the known mistakes from what `scripts/evidence/coursework.py` found.
`scripts.book.build_site` and the tests of the book call this by themselves.
"""

import json
import os

from minitransformer.coursework.exercise import read_course
from minitransformer.coursework.folder import stub
from scripts.book.source import ROOT

FOLDER = ROOT / "docs" / "coursework"
WRITTEN_BY_HAND = {"students.md", "lecturers.md"}
EVIDENCE = ROOT / "docs" / "evidence" / "coursework.json"
HEAD = """\
---
hide: [toc]
search: {{exclude: true}}
---
# {title}

<p class="lede">{lede}</p>
"""
ASKED = """
## The task

{points:g} points, about {minutes} minutes. Background: {background}. The
check knows {known} mistakes by name.

```python
{stub}```

## Check it

This page is also a notebook: write the function above, and run this cell. It
names the mistake that was made.

```python
from minitransformer.coursework.checking import check_here

check_here("{number}", {functions})
```

You can also work in files, as [the course hands them out](students.md):

```text
python -m minitransformer.coursework start my-folder --only {number}
python -m minitransformer.coursework check my-folder --only {number}
```
"""
OPEN = """
An open exercise, without check and points. About {minutes} minutes.
Background: {background}.

## How it is graded

{rubric}

## A beginning

```python
{stub}```
"""
HINT = """
<details markdown="1"><summary>Hint {}</summary>

{}

</details>
"""
MET = """
## How often each was met

No student wrote these: {submissions} submissions were made at random. Each
exercise in them is right with probability {right:g}; otherwise it has one
mistake, or two. One command graded them. Two mistakes in one exercise count
for both. “Named” says how often the mistake, made alone in the right answer,
got its own name, in {seeds} draws of the questions.

```text
python scripts/evidence/coursework.py
```

The next table is about two mistakes at once. Where one hides the other, only
one is named. Some pairs give exactly the answers of another mistake or pair,
and get that name; others only raise errors.

| exercise | pairs | both named | one hides the other | other |
|---|---|---|---|---|
"""


def link(page):
    """Make a link to a page of the book, with that page's title."""
    text = (ROOT / "docs" / page.partition("#")[0]).read_text("utf-8")
    title = next(line for line in text.splitlines() if line.startswith("# "))
    target = os.path.relpath(f"docs/{page}", "docs/coursework")
    return f"[{title[2:]}]({target.replace(os.sep, '/')})"


def exercise_page(task):
    """Write the page of an exercise; its notebook checks itself."""
    exercise = task.exercise
    title = f"{task.number} · {exercise.title}"
    body = (OPEN if exercise.rubric else ASKED).format(
        number=task.number,
        points=task.points,
        minutes=task.minutes,
        background=link(exercise.page),
        known=len(exercise.mistakes),
        functions=", ".join(exercise.functions),
        rubric="\n".join(f"- {line}" for line in exercise.rubric),
        stub=stub(task),
    )
    hints = [HINT.format(*pair) for pair in enumerate(exercise.hints, 1)]
    head = HEAD.format(title=title, lede=exercise.goal)
    return "".join([head, body, "\n## Hints\n", *hints])


def row(*cells):
    """Write a row of a table."""
    return f"| {' | '.join(map(str, cells))} |\n"


def overview(tasks):
    """Write the page that lists the exercises."""
    points = sum(task.points for task in tasks)
    hours = sum(task.minutes for task in tasks) / 60
    lede = (
        f"{len(tasks)} exercises in the order of the book, {points:g} "
        f"points, about {hours:.0f} hours."
    )
    parts = [
        HEAD.format(title="The exercises", lede=lede),
        "\n| | exercise | points | minutes | background |\n|---|---|---|---|---|\n",
    ]
    for task in tasks:
        title = f"[{task.exercise.title}]({task.name}.md)"
        score = "open" if task.exercise.rubric else f"{task.points:g}"
        background = link(task.exercise.page)
        parts.append(row(task.number, title, score, task.minutes, background))
    return "".join([*parts, "\n[How to begin](students.md)\n"])


def mistakes_page(tasks, evidence):
    """Write the page of all known mistakes, and how often they were met.

    A mistake that is not among the evidence was met "?" times.
    """
    tasks = [task for task in tasks if not task.exercise.rubric]
    count = sum(len(task.exercise.mistakes) for task in tasks)
    lede = (
        f"All {count} mistakes that the check knows by name, what it says "
        "about each, and how often it was met. For lecturers: this page "
        "gives answers away."
    )
    numbers = evidence["class"] | {"seeds": len(evidence["seeds"])}
    parts = [HEAD.format(title="The mistakes", lede=lede), MET.format(**numbers)]
    for task in tasks:
        pairs = evidence["pairs"].get(task.name, {})
        found = [pairs.get(key, "?") for key in ("pairs", "both", "hidden", "other")]
        parts.append(row(f"{task.number} {task.name}", *found))
    for task in tasks:
        met = evidence["class"]["met"].get(task.name, {})
        confusion = evidence["confusion"].get(task.name, {})
        parts.append(
            f"\n## {task.number} · {task.exercise.title}\n\n"
            "| mistake | met | named | what it says |\n|---|---|---|---|\n"
        )
        for mistake in task.exercise.mistakes:
            names, named = confusion.get(mistake.name), "?"
            if names:
                own = names.get(mistake.name, 0)
                named = f"{own}/{sum(names.values())}"
            why = mistake.why.replace("|", "\\|").replace("<", "&lt;")
            times = met.get(mistake.name, 0) if names else "?"
            says = f"{why} {link(mistake.page)}"
            parts.append(row(mistake.name, times, named, says))
    return "".join(parts)


def pages():
    """Make all pages: a dictionary from names of files to texts."""
    tasks = read_course()
    evidence = json.loads(EVIDENCE.read_text("utf-8"))
    texts = {f"{task.name}.md": exercise_page(task) for task in tasks}
    texts["exercises.md"] = overview(tasks)
    texts["mistakes.md"] = mistakes_page(tasks, evidence)
    return texts


def write():
    """Write the pages that changed, and delete those of gone exercises."""
    texts = pages()
    for path in FOLDER.glob("*.md"):
        if path.name not in texts.keys() | WRITTEN_BY_HAND:
            path.unlink()
    for name, text in texts.items():
        path = FOLDER / name
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8", newline="\n")


if __name__ == "__main__":
    write()
