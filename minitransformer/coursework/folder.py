"""A student's folder: stubs, cut from the answers, and what joins them."""

import ast
import re
from pathlib import Path

from minitransformer.coursework.exercise import HERE
from minitransformer.runs.saving import write_atomically

ADAPTERS = '''"""Where the checker finds each function: "file:function".

Lay your code out as you like, and change the right-hand sides. A function
whose arguments have another order or other names needs a small one here,
that calls it: "adapters:my_function".
"""

WHERE = {
'''


def stub(task):
    """Cut a stub out of an answer: all but what is between the lines.

    Args:
        task: A `Task`.

    Returns:
        Python source: the docstrings, the signatures, and bodies that
        raise NotImplementedError. Helpers that are not asked for go.
    """
    text = task.answer_path.read_text(encoding="utf-8")
    tree, lines = ast.parse(text), text.splitlines()
    asked = task.exercise.functions
    parts = [
        f'"""{task.number} · {task.exercise.title}',
        "",
        *wrap(task.exercise.goal),
        "",
        f"Background: {task.exercise.page}",
        '"""',
        "",
    ]
    if any(line.startswith(("import numpy", "from")) for line in lines):
        parts += ["import numpy as np", ""]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in asked:
            head = lines[node.lineno - 1 : node.body[0].end_lineno]
            parts += ["", *head, "    raise NotImplementedError", ""]
    return "\n".join(parts).rstrip() + "\n"


def solution(task, every, text=None):
    """Turn an answer into the file that a student would hand in.

    Args:
        task: A `Task`.
        every: All of the course: where the answer builds on another one,
            the file imports that one's file; or holds what it needs, if
            the course is without it.
        text: Source to take instead of the answer, such as a wrong one.

    Returns:
        Python source.
    """
    text = text or task.answer_path.read_text(encoding="utf-8")
    for other in every:
        text = text.replace(
            f"minitransformer.coursework.answers.{other.name} ",
            f"{other.module} ",
        )
    return re.sub(
        r"from minitransformer\.coursework\.answers\.(\w+) import "
        r"\([^)]*\)",
        lambda match: definitions(HERE / "answers" / f"{match[1]}.py"),
        text,
    )


def definitions(path):
    """Read a file of Python without the docstring at its head."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()[ast.parse(text).body[0].end_lineno :]
    return "\n".join(lines).strip()


def wrap(text, width=76):
    """Break a text into lines."""
    import textwrap

    return textwrap.wrap(text, width)


def adapters(tasks):
    """Write `adapters.py` for some exercises.

    Returns:
        Python source.
    """
    lines = []
    for task in tasks:
        lines.append(f"    # {task.number} · {task.exercise.title}")
        lines += [
            f'    "{name}": "{task.module}:{name}",'
            for name in task.exercise.functions
        ]
    return ADAPTERS + "\n".join(lines) + "\n}\n"


def readme(tasks):
    """Write the README of a student's folder."""
    rows = [
        f"| {task.number} | {task.exercise.title} | `{task.module}.py` | "
        f"{'open' if task.exercise.rubric else format(task.points, 'g')} | "
        f"{task.minutes} |"
        for task in tasks
    ]
    return "\n".join([
        "# Transformers, from one dot product", "",
        "Each file asks for a function or two. Arrays come in, and arrays "
        "go out: NumPy is enough, and TensorFlow will do.", "",
        "    python -m minitransformer.coursework check .",
        "    python -m minitransformer.coursework check . --only 03",
        "    python -m minitransformer.coursework hint 03", "",
        "Keep your code in these files or in others; `adapters.py` says "
        "where each function is.", "",
        "| | exercise | file | points | minutes |", "|---|---|---|---|---|",
        *rows, "",
    ])  # fmt: skip


def files(tasks):
    """List what a student's folder holds at the beginning.

    Returns:
        A dictionary from names to texts.
    """
    made = {"README.md": readme(tasks), "adapters.py": adapters(tasks)}
    for task in tasks:
        made[f"{task.module}.py"] = stub(task)
        if task.exercise.rubric:
            made[f"{task.module}.md"] = rubric(task)
    made["pyproject.toml"] = (
        '[project]\nname = "transformer-exercises"\nversion = "0"\n'
        'requires-python = ">=3.11"\n'
        'dependencies = ["minitransformer", "numpy"]\n'
    )
    made[".gitignore"] = "__pycache__/\n.venv/\n"
    return made


def rubric(task):
    """Write what an open exercise asks, and how it is graded."""
    return "\n".join([
        f"# {task.number} · {task.exercise.title}", "",
        task.exercise.goal, "", f"Background: {task.exercise.page}", "",
        "## What is looked at", "",
        *(f"- {line}" for line in task.exercise.rubric), "",
    ])  # fmt: skip


def start(folder, tasks, every):
    """Write the stubs; nothing that is there is touched.

    Args:
        folder: To be made, if it is not there.
        tasks: The exercises to begin.
        every: All of the course, for README and adapters.

    Returns:
        The names of the files that were written, and of those that were
        there already.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {f"{task.module}.py" for task in tasks}
    wanted |= {f"{task.module}.md" for task in tasks}
    numbered = {f"{task.module}.{end}" for task in every
                for end in ("py", "md")}  # fmt: skip
    written, kept = [], []
    for name, text in files(every).items():
        if name in numbered - wanted:
            continue
        if (folder / name).exists():
            kept.append(name)
        else:
            write_atomically(folder / name, text)
            written.append(name)
    return written, kept
