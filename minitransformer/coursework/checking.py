"""Check a folder: each exercise in its own process, several at once."""

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from minitransformer.coursework.child import dump, load
from minitransformer.coursework.exercise import (
    Call,
    Task,
    find_task,
    read_course,
)
from minitransformer.coursework.forbidden import forbidden_names, used_names
from minitransformer.coursework.judge import Verdict, judge
from minitransformer.coursework.report import Results, explain
from minitransformer.coursework.sandbox import Sandbox
from minitransformer.coursework.variants import outcome

SEED = 2026  # of the questions, unless the lecturer keeps another secret


def check_exercise(
    folder: Path,
    task: Task,
    seed: int = SEED,
    used: list[tuple[str, str]] | None = None,
    running: list[Sandbox] | None = None,
) -> Verdict:
    """Check one exercise of a folder.

    Args:
        folder: The submission; `adapters.py` says where its functions are.
        task: The exercise.
        seed: Of the questions.
        used: The names that its files use; they are read if None.
        running: A list that gets the process, so that it can be stopped.
    """
    used = used_names(folder) if used is None else used
    places = forbidden_names(used)
    if places:
        return Verdict(
            False, "uses what is to be written here", "; ".join(places)
        )
    with Sandbox(folder) as sandbox:
        if running is not None:
            running.append(sandbox)
        return judge(task, sandbox.ask, seed)


def check_folder(
    folder: str | Path,
    tasks: Iterable[Task],
    seed: int = SEED,
    report: Callable[[Task], None] = lambda task: None,
) -> Results:
    """Check all exercises of a folder that check themselves.

    Args:
        folder: The submission.
        tasks: The exercises; the open ones are left out.
        seed: Of the questions.
        report: Called with each task when it is done.

    Raises:
        ValueError: if this is no submission.
    """
    folder = Path(folder)
    if not (folder / "adapters.py").is_file():
        raise ValueError(
            f"{folder} has no adapters.py: begin with "
            "`python -m minitransformer.coursework start FOLDER`."
        )
    tasks = [task for task in tasks if not task.exercise.rubric]

    # Once for all, and not in a thread: Python 3.11 cannot (SystemError).
    used = used_names(folder)
    running: list[Sandbox] = []

    def check(task):
        verdict = check_exercise(folder, task, seed, used, running)
        report(task)
        return verdict

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        try:
            results = list(zip(tasks, pool.map(check, tasks), strict=True))
        except BaseException:  # Ctrl-C: wait for nobody
            pool.shutdown(wait=False, cancel_futures=True)
            for sandbox in running:
                sandbox.stop()
            raise
    note_what_is_below(results)
    return results


def note_what_is_below(results: Results) -> None:
    """Where nothing else is known, point to what an exercise builds on."""
    wrong = {
        t.name: t.number for t, verdict in results if not verdict.right
    }
    for task, verdict in results:
        below = [wrong[name] for name in task.builds_on if name in wrong]
        # A known mistake says enough; so does a stub, or an early end.
        unknown = not verdict.mistakes and (verdict.page or verdict.lines)
        if task.name in wrong and below and unknown:
            verdict.note = (
                f"Perhaps it uses what {' and '.join(below)} asked for, "
                "which is not right yet: begin there."
            )


def check_here(
    number: str, *functions: Callable[..., Any], seed: int = SEED
) -> None:
    """Check functions of this very process, as in a notebook.

    Nothing is limited here, so use it for your own code only. It prints
    what `check` prints for an exercise.

    Args:
        number: The exercise, as in "03".
        functions: All that it asks for, known by their names.
        seed: Of the questions.
    """
    task = find_task(read_course(), number)
    if task.exercise.rubric:
        raise ValueError(f"{number} is open: it has a rubric, no check.")
    known = {function.__name__: function for function in functions}
    missing = [n for n in task.exercise.functions if n not in known]
    if missing:
        raise ValueError(
            f"{number} needs {', '.join(sorted(missing))} too."
        )

    def ask(call):
        before = dump(call.args)
        copy = Call(call.function, load(before))
        started = time.perf_counter()
        result = outcome(known, copy)
        seconds = time.perf_counter() - started
        mutated = dump(copy.args) != before
        return result | {"seconds": seconds, "mutated": mutated}

    verdict = judge(task, ask, seed)
    print("\n".join([f"{number}  {verdict.headline}", *explain(verdict)]))
