"""The right answer, and each wrong variant of it, as functions to call.

A mistake is an edit of the answer's text. Edits at different places go
together, so two mistakes at once are a variant, too.
"""

import functools
import importlib
import itertools

import numpy as np

from minitransformer.coursework.child import kind_of


@functools.cache
def right_functions(task):
    """Load the answer's functions.

    Returns:
        A dictionary from names to functions.
    """
    module = importlib.import_module(
        f"minitransformer.coursework.answers.{task.name}"
    )
    return {name: getattr(module, name) for name in task.exercise.functions}


@functools.cache
def wrong_functions(task, *mistakes):
    """Make the functions of an answer in which mistakes are made.

    Args:
        task: A `Task`.
        mistakes: One or several of its exercise's.

    Returns:
        A dictionary from names to functions, or None where the mistakes
        are edits of the same text and cannot be made together.

    Raises:
        ValueError: if a single mistake does not fit the answer's text.
    """
    text = task.answer_path.read_text(encoding="utf-8")
    for mistake in mistakes:
        for right, wrong in places(mistake):
            if right not in text:
                if len(mistakes) > 1:
                    return None
                raise ValueError(
                    f"{task.name}: “{mistake.name}” wants to change "
                    f"{right!r}, which the answer does not have."
                )
            text = text.replace(right, wrong)
    space = {"__name__": f"wrong {task.name}"}
    exec(compile(text, f"{task.name}: wrong", "exec"), space)
    return {name: space[name] for name in task.exercise.functions}


def places(mistake):
    """List the (right, wrong) texts of a mistake."""
    if isinstance(mistake.right, str):
        return [(mistake.right, mistake.wrong)]
    return list(zip(mistake.right, mistake.wrong, strict=True))


def combinations(task):
    """List what to compare with: each mistake alone, then every two."""
    mistakes = task.exercise.mistakes
    yield from ((mistake,) for mistake in mistakes)
    for pair in itertools.combinations(mistakes, 2):
        if wrong_functions(task, *pair) is not None:
            yield pair


def outcome(functions, call):
    """Make a call, and say what came of it, as a child process does.

    Returns:
        `{"value": …}`, or `{"error": …}` with the exception's name.
    """
    try:
        with np.errstate(all="ignore"):
            return {"value": functions[call.function](**call.args)}
    except Exception as error:
        return {"error": kind_of(error), "text": str(error)}
