"""A student's folder: stubs cut from the answers, and adapters."""

import ast
import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from minitransformer.coursework.exercise import HERE, Task, read_toml
from minitransformer.runs.saving import write_atomically

TEXTS = read_toml(HERE / "texts.toml")


def address(page: str) -> str:
    """Name the place of a page of the book."""
    return f"docs/{page} in the book's source"


def stub(task: Task) -> str:
    """Cut a stub out of an answer: its signatures and docstrings.

    Returns:
        Python source. Bodies raise NotImplementedError, and helpers of the
        answer are left out.
    """
    text = task.answer_path.read_text(encoding="utf-8")
    lines = text.splitlines()
    parts = [
        f'"""{task.number} · {task.exercise.title}\n',
        textwrap.fill(task.exercise.goal, 76),
        f'\nRead first: {address(task.exercise.page)}\n"""\n',
    ]
    if any(line.startswith(("import numpy", "from")) for line in lines):
        parts.append("import numpy as np\n")
    for node in ast.parse(text).body:
        asked = getattr(node, "name", None) in task.exercise.functions
        if isinstance(node, ast.FunctionDef) and asked:
            head = lines[node.lineno - 1 : node.body[0].end_lineno]
            parts += ["", *head, "    raise NotImplementedError", ""]
    return "\n".join(parts).rstrip() + "\n"


def solution(task: Task, every: Iterable[Task], text: str = "") -> str:
    """Turn an answer into the file that a student would hand in.

    Args:
        task: A `Task`.
        every: All tasks of the course. If the answer builds on another
            answer, the file imports it; if the course does not have that
            exercise, the file contains a copy.
        text: Source to use instead of the answer, such as a wrong one.

    Returns:
        Python source.
    """
    text = text or task.answer_path.read_text(encoding="utf-8")
    answers = "minitransformer.coursework.answers"
    for other in every:
        text = text.replace(f"{answers}.{other.name} ", f"{other.module} ")
    return re.sub(
        rf"from {re.escape(answers)}\.(\w+) import \([^)]*\)",
        lambda match: definitions(HERE / "answers" / f"{match[1]}.py"),
        text,
    )


def definitions(path: Path) -> str:
    """Read a Python file without its module docstring."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()[ast.parse(text).body[0].end_lineno :]
    return "\n".join(lines).strip()


def adapters(tasks: Iterable[Task]) -> str:
    """Write `adapters.py` for some exercises."""
    lines = []
    for task in tasks:
        lines.append(f"    # {task.number} · {task.exercise.title}")
        for name in task.exercise.functions:
            lines.append(f'    "{name}": "{task.module}:{name}",')
    return TEXTS["adapters"] % "\n".join(lines)


def readme(tasks: Iterable[Task]) -> str:
    """Write the README for students."""
    rows = []
    for task in tasks:
        points = "open" if task.exercise.rubric else f"{task.points:g}"
        file = f"`{task.module}.py`"
        cells = task.number, task.exercise.title, file, points, task.minutes
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return TEXTS["readme"] % "\n".join(rows)


def rubric(task: Task) -> str:
    """Write the task and the rubric of an open exercise."""
    exercise = task.exercise
    points = "\n".join(f"- {line}" for line in exercise.rubric)
    texts = exercise.title, exercise.goal, address(exercise.page), points
    return TEXTS["rubric"].format(task.number, *texts)


def start(
    folder: str | Path, tasks: Iterable[Task], every: Sequence[Task]
) -> tuple[list[str], list[str]]:
    """Write the stubs of some tasks; existing files are not changed.

    Returns:
        The names of the written files, and of the existing ones.
    """
    texts = {"README.md": readme(every), "adapters.py": adapters(every)}
    for task in tasks:
        texts[f"{task.module}.py"] = stub(task)
        if task.exercise.rubric:
            texts[f"{task.module}.md"] = rubric(task)
    texts["pyproject.toml"] = TEXTS["project"]
    texts[".gitignore"] = "__pycache__/\n.venv/\n"
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written, kept = [], []
    for name, text in texts.items():
        if (folder / name).exists():
            kept.append(name)
        else:
            write_atomically(folder / name, text)
            written.append(name)
    return written, kept
