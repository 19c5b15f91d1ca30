"""Write the pages of the exercises into docs/coursework; git ignores them.

    python -m scripts.book.coursework_pages

It writes one page per exercise, a list of the exercises, and a list of the
known mistakes with the counts from `scripts/evidence/coursework.py`.
`scripts.book.build_site` and the tests of the book call it by themselves.
"""

import json
import os

from minitransformer.coursework.exercise import read_course
from minitransformer.coursework.folder import stub
from scripts.book.source import ROOT

FOUND_LATER = "{boost: 0.5}"  # by the search: the book's chapter comes first
FOLDER = ROOT / "docs" / "coursework"
WRITTEN_BY_HAND = {"students.md", "lecturers.md"}
EVIDENCE = ROOT / "docs" / "evidence" / "coursework.json"
HEAD = """\
---
hide: [toc]
search: {search}
---
# {title}

<p class="lede">{lede}</p>
"""
START = """
<div class="start" markdown>

- **Read first:** {background}
- **Minutes:** {minutes}
- **Points:** {points}

</div>
"""
ASKED = """
## The task

Replace the line `raise NotImplementedError` with your code.

```python
{stub}```

## Check yourself

This page is also a notebook: complete the stub above, and run both cells. If the
result is wrong, the check says what your function does and what it should do. It
knows {known} mistakes of this exercise by name.

```python
from minitransformer.coursework.checking import check_here

check_here("{number}", {functions})
```

You can also work in files ([how to start](students.md)):

```text
python -m minitransformer.coursework start my-folder --only {number}
python -m minitransformer.coursework check my-folder --only {number}
```
"""
OPEN = """
This is an open exercise: no check runs it, and people grade it by the list below.

## How it is graded

{rubric}

## Start with this

```python
{stub}```
"""
HINT = """
<details markdown="1"><summary>Hint {}</summary>

{}

</details>
"""
FOUND = """
## How often each mistake was found

No student wrote these submissions: a program made {submissions} of them at random.
In each submission, an exercise is right with probability {right:g}; otherwise it has one
mistake or two. One command graded them all. If an exercise has two mistakes, both count.
The column “named” says how often a mistake got its own name when it was the only one,
with {seeds} different sets of questions.

```text
python scripts/evidence/coursework.py
```

The next table is about two mistakes at once. If one hides the other, only one of them
is named. Some pairs (“other”) give exactly the answers of another mistake or pair and get
its name, or only raise errors.

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
    points = "none, this exercise is open" if exercise.rubric else f"{task.points:g}"
    body = (START + (OPEN if exercise.rubric else ASKED)).format(
        number=task.number,
        points=points,
        minutes=task.minutes,
        background=link(exercise.page),
        known=len(exercise.mistakes),
        functions=", ".join(exercise.functions),
        rubric="\n".join(f"- {line}" for line in exercise.rubric),
        stub=stub(task),
    )
    hints = [HINT.format(*pair) for pair in enumerate(exercise.hints, 1)]
    head = HEAD.format(title=title, lede=exercise.goal, search=FOUND_LATER)
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
        HEAD.format(title="The exercises", lede=lede, search=FOUND_LATER),
        "\n| | exercise | points | minutes | read first |\n|---|---|---|---|---|\n",
    ]
    for task in tasks:
        title = f"[{task.exercise.title}]({task.name}.md)"
        score = "open" if task.exercise.rubric else f"{task.points:g}"
        background = link(task.exercise.page)
        parts.append(row(task.number, title, score, task.minutes, background))
    note = "\nAn *open* exercise has no single right answer; people grade it by a rubric.\n"
    return "".join([*parts, note, "\n[How to start](students.md)\n"])


def mistakes_page(tasks, evidence):
    """Write the page of all known mistakes, and how often they were found.

    A mistake that is not in the evidence gets a "?".
    """
    tasks = [task for task in tasks if not task.exercise.rubric]
    count = sum(len(task.exercise.mistakes) for task in tasks)
    lede = (
        f"All {count} mistakes that the check knows by name, its comment on "
        "each, and how often it was found. This page is for lecturers, because "
        "it reveals answers."
    )
    numbers = evidence["class"] | {"seeds": len(evidence["seeds"])}
    head = HEAD.format(title="The mistakes", lede=lede, search="{exclude: true}")
    parts = [head, FOUND.format(**numbers)]
    for task in tasks:
        pairs = evidence["pairs"].get(task.name, {})
        found = [pairs.get(key, "?") for key in ("pairs", "both", "hidden", "other")]
        parts.append(row(f"{task.number} {task.name}", *found))
    for task in tasks:
        met = evidence["class"]["met"].get(task.name, {})
        confusion = evidence["confusion"].get(task.name, {})
        parts.append(
            f"\n## {task.number} · {task.exercise.title}\n\n"
            "| mistake | found | named | the check's comment |\n|---|---|---|---|\n"
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
