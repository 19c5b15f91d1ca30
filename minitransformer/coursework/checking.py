"""Check a folder: each exercise in its own process, several at once."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from minitransformer.coursework import exercise, forbidden
from minitransformer.coursework.child import dump, load, skipped
from minitransformer.coursework.exercise import Call, Task
from minitransformer.coursework.judge import Verdict, escaped, judge
from minitransformer.coursework.report import Results, explain
from minitransformer.coursework.sandbox import Sandbox
from minitransformer.coursework.variants import outcome

SEED = 2026  # of the questions; a lecturer can keep another one secret


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
        used: The names that its files use; None reads them.
        running: The process is added to it, so that it can be stopped.
    """
    if used is None:
        used = forbidden.used_names(folder)
    places = forbidden.forbidden_names(used)
    if places:
        headline = "uses a ready-made function of a library"
        advice = "Write this part yourself"
        if all(place.endswith(forbidden.UNREAD) for place in places):
            headline = "has a file that the check cannot read"
            advice = "Move it out of the folder"
        return Verdict(False, headline, f"{'; '.join(places)}. {advice}.")
    with Sandbox(folder) as sandbox:
        if running is not None:
            running.append(sandbox)
        verdict = judge(task, sandbox.ask, seed)
    if not verdict.right and "not written" not in verdict.headline:
        notes = [verdict.note, *hidden_files(folder)]
        verdict.note = " ".join(filter(None, notes))
    return verdict


def hidden_files(folder: Path) -> Iterator[str]:
    """Warn of files that are never imported."""
    for path in sorted(folder.iterdir()):
        name = escaped(path.name)
        if path.stem in forbidden.FIRST and (
            path.is_dir() or path.suffix == ".py"
        ):
            yield (
                f"{name} is never imported: Python or NumPy has a module "
                "of this name. Rename your file."
            )
        if path.suffix == ".ipynb" and not path.with_suffix(".py").exists():
            yield (
                f"{name} is a notebook, which the check does not run. Copy "
                f"its functions into {escaped(path.stem)}.py."
            )


def find_folder(folder: Path) -> Path:
    """Find `adapters.py` in a folder, or one or two folders deeper.

    Raises:
        ValueError: if there is none, or several of them.
    """
    for depth in ("", "*/", "*/*/"):
        found = [
            path.parent
            for path in sorted(folder.glob(f"{depth}adapters.py"))
            if path.is_file()
            and not any(map(skipped, path.relative_to(folder).parts))
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"{folder} has several adapters.py. Keep one.")
    remark = " Notebooks are not run." * any(folder.glob("*.ipynb"))
    raise ValueError(
        f"{folder} has no adapters.py.{remark} Write one with "
        "`python -m minitransformer.coursework start FOLDER`."
    )


def check_folder(
    folder: str | Path,
    tasks: Iterable[Task],
    seed: int = SEED,
    report: Callable[[Task], None] = lambda task: None,
) -> Results:
    """Check all exercises of a folder, except the open ones.

    Args:
        folder: The submission.
        tasks: The exercises.
        seed: Of the questions.
        report: Called with each task when it is done.

    Raises:
        ValueError: if the folder is not a submission.
    """
    folder = find_folder(Path(folder))
    tasks = [task for task in tasks if not task.exercise.rubric]

    # Once, and not in a thread, where Python 3.11 raises SystemError.
    used = forbidden.used_names(folder)
    running: list[Sandbox] = []

    def check(task):
        try:
            verdict = check_exercise(folder, task, seed, used, running)
        except Exception as error:  # of the check or the system
            verdict = Verdict(False, f"not checked: {error!r}")
        report(task)
        return verdict

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        try:
            results = list(zip(tasks, pool.map(check, tasks), strict=True))
        except BaseException:  # Ctrl-C: do not wait
            pool.shutdown(wait=False, cancel_futures=True)
            for sandbox in running:
                sandbox.stop()
            raise
    note_earlier_mistakes(results)
    return results


def note_earlier_mistakes(results: Results) -> None:
    """If a mistake is unknown, point to wrong exercises it builds on."""
    wrong = {
        t.name: t.number for t, verdict in results if not verdict.right
    }
    for task, verdict in results:
        earlier = [wrong[name] for name in task.builds_on if name in wrong]
        # A known mistake explains itself; so does a stub, or an early end.
        unknown = not verdict.mistakes and (verdict.page or verdict.lines)
        if task.name in wrong and earlier and unknown:
            verdict.note = (
                "It may use your function from exercise "
                f"{' and '.join(earlier)}, which is not right yet. Correct "
                "that first."
            )


def check_here(
    number: str | int, *functions: Callable[..., Any], seed: int = SEED
) -> None:
    """Check functions in this process, as in a notebook.

    It prints the same lines as `check`. There are no limits here, so use
    it for your own code only.

    Args:
        number: The exercise, as in "03" or 3.
        functions: All functions of the exercise, under their names.
        seed: Of the questions.
    """
    task = exercise.find_task(exercise.read_course(), str(number))
    number = task.number
    if task.exercise.rubric:
        raise ValueError(f"{number} is open: people grade it, by a rubric.")
    known = {getattr(f, "__name__", repr(f)): f for f in functions}
    if not task.exercise.functions.keys() <= known.keys():
        raise ValueError(
            f"{number} needs {', '.join(task.exercise.functions)}; found "
            f"{', '.join(known) or 'nothing'}."
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
