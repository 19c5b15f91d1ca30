"""Measure the coursework: which mistakes does the judge name?

    python scripts/evidence/coursework.py

It tries every mistake alone, with several seeds, and every two together. It
grades a class of random submissions with the real command, each in a folder
of its own. It checks one folder, and corrects its three mistakes one by one.
If you stop it and start it again, it continues with the class.
"""

import ast
import contextlib
import io
import json
import random
import re
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from minitransformer.coursework.__main__ import main  # noqa: E402
from minitransformer.coursework.checking import SEED  # noqa: E402
from minitransformer.coursework.exercise import read_course  # noqa: E402
from minitransformer.coursework.folder import solution, start  # noqa: E402
from minitransformer.coursework.grading import read_table  # noqa: E402
from minitransformer.coursework.judge import judge  # noqa: E402
from minitransformer.coursework.variants import (  # noqa: E402
    combinations,
    outcome,
    wrong_functions,
    wrong_tree,
)
from minitransformer.runs.saving import write_atomically  # noqa: E402

OUT = ROOT / "docs" / "evidence" / "coursework.json"
RUNS = ROOT / "runs" / "coursework"
SEEDS = [1, 2, 3, 4, 5]
SUBMISSIONS, RIGHT, TWO = 100, 0.6, 0.25


def named(task, mistakes, seed):
    """Return the verdict of the judge on these mistakes."""
    functions = wrong_functions(task, *mistakes)
    return judge(task, lambda call: outcome(functions, call), seed)


def confusion(task):
    """Count the verdicts on each single mistake of an exercise."""
    return {
        mistake.name: dict(Counter(named(task, (mistake,), s).headline for s in SEEDS))
        for mistake in task.exercise.mistakes
    }


def pairs(task):
    """Count how many pairs of mistakes are named in full, and in part."""
    made = [pair for pair in combinations(task) if len(pair) == 2]
    verdicts = [set(named(task, pair, 1).mistakes) for pair in made]
    both = sum(a == set(b) for a, b in zip(verdicts, made, strict=True))
    one = sum(len(a) == 1 and a < set(b) for a, b in zip(verdicts, made, strict=True))
    return {"pairs": len(made), "both": both, "hidden": one, "other": len(made) - both - one}


def make_class(tasks, folder):
    """Write the submissions of a class, with mistakes drawn at random."""
    rng = random.Random(7)
    for number in range(SUBMISSIONS):
        student = folder / f"student-{number:03}"
        fresh = not student.exists()
        if fresh:
            start(student, tasks, tasks)
        for task in tasks:
            made = ()
            if rng.random() >= RIGHT:
                options = list(combinations(task))
                size = 2 if rng.random() < TWO else 1
                options = [p for p in options if len(p) == size] or options
                made = rng.choice(options)
            if fresh:
                text = solution(task, tasks, ast.unparse(wrong_tree(task, *made)))
                (student / f"{task.module}.py").write_text(text, "utf-8")


def grade_class(tasks):
    """Grade the class with the command, and count the verdicts."""
    folder, table = RUNS / "class", RUNS / "grades.csv"
    make_class(tasks, folder)
    before = len(read_table(table, tasks))
    started = time.perf_counter()
    main(["grade", str(folder), "--csv", str(table), "--seed", str(SEED)])
    seconds = time.perf_counter() - started
    rows = read_table(table, tasks)
    met = {
        task.name: dict(
            Counter(name for row in rows for name in row[f"{task.number} says"].split("; "))
        )
        for task in tasks
    }
    return {
        "submissions": len(rows),
        "right": RIGHT,
        "two": TWO,
        "seconds": round(seconds, 1) if not before else None,
        "met": met,
    }


def transcript(tasks):
    """Check a folder with three mistakes, then after each correction."""
    folder = RUNS / "transcript"
    start(folder, tasks, tasks)
    wrong = {}
    for task in tasks:
        made = ()
        if task.name in ("attention", "multi_head", "cross_entropy"):
            made = wrong[task.name] = (task.exercise.mistakes[0],)
        text = solution(task, tasks, ast.unparse(wrong_tree(task, *made)))
        (folder / f"{task.module}.py").write_text(text, "utf-8")
    checks = [check(folder)]
    for task in tasks:
        if task.name in wrong:
            text = solution(task, tasks)
            (folder / f"{task.module}.py").write_text(text, "utf-8")
            checks.append(check(folder))
    return checks


def check(folder):
    """Check a folder; return the exit code and what was printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main(["check", str(folder)])
    text = re.sub(r"\d+\.\d s", "· s", printed.getvalue())
    return {"exit_code": code, "printed": text.rstrip()}


def run():
    tasks = [t for t in read_course() if not t.exercise.rubric]
    RUNS.mkdir(parents=True, exist_ok=True)
    found = {
        "command": "python scripts/evidence/coursework.py",
        "seeds": SEEDS,
        "confusion": {task.name: confusion(task) for task in tasks},
        "pairs": {task.name: pairs(task) for task in tasks},
        "transcript": transcript(tasks),
        "class": grade_class(tasks),
    }
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    write_atomically(OUT, text)


if __name__ == "__main__":
    try:
        run()
    except KeyboardInterrupt:
        sys.exit("Stopped. Start this script again to resume.")
