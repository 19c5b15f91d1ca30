"""The right answer, and each wrong variant of it, as functions to call.

A mistake is one or more edits of the answer. An edit has two texts of
Python, right and wrong: an expression and its replacement, or a statement
and the statements that replace it. They are compared as syntax trees, so
line breaks, spaces, quotes, comments and extra parentheses do not matter,
and a name never matches a part of a longer one. The edits of one mistake
are made at once, so that two names can be exchanged. Two mistakes are made
one after the other, and give a variant of their own.
"""

import ast
import copy
import functools
import importlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minitransformer.coursework.child import kind_of
from minitransformer.coursework.exercise import Call, Mistake, Task


@functools.cache
def right_functions(task: Task) -> dict[str, Callable]:
    """Load the answer: a dictionary from names to functions."""
    module = importlib.import_module(
        f"minitransformer.coursework.answers.{task.name}"
    )
    return {name: getattr(module, name) for name in task.exercise.functions}


class Editor(ast.NodeTransformer):
    """Apply the edits of a mistake to a syntax tree."""

    def __init__(self, edits: list):
        self.edits: list[tuple[str, ast.AST, Any]] = []
        self.places = [0] * len(edits)
        for right, wrong, *_ in edits:
            old, new = ast.parse(right).body, ast.parse(wrong).body
            if len(old) != 1:
                raise ValueError(f"{right!r} is not one statement")
            pair: Any = old[0], new
            if [type(node) for node in old + new] == [ast.Expr, ast.Expr]:
                pair = old[0].value, new[0].value  # at any place
            self.edits.append((ast.dump(pair[0]), *pair))

    def visit(self, node: ast.AST) -> Any:
        for i, (dump, old, new) in enumerate(self.edits):
            if type(node) is type(old) and ast.dump(node) == dump:
                self.places[i] += 1
                return copy.deepcopy(new)
        return self.generic_visit(node)


def edit(tree: ast.Module, mistake: Mistake) -> None:
    """Make a mistake in a syntax tree.

    Raises:
        ValueError: if an edit is not Python, or does not fit as many
            places as it should.
    """
    try:
        editor = Editor(mistake.edits)
    except SyntaxError as error:
        raise ValueError(
            f"“{mistake.name}”: {error.text!r} is not Python: {error.msg}."
        ) from error
    except ValueError as error:
        raise ValueError(f"“{mistake.name}”: {error}.") from error
    editor.visit(tree)
    for i, found in enumerate(editor.places):
        right, _, expected = (*mistake.edits[i], 1)[:3]
        if found != expected:
            raise ValueError(
                f"“{mistake.name}” changes {right!r}, which the answer "
                f"has {found} times, expected {expected}. Copy it from the "
                "answer, or a larger part of it, or give the number of "
                "places as the third entry of the edit."
            )


def wrong_tree(task: Task, *mistakes: Mistake) -> ast.Module:
    """Parse the answer, and make mistakes in it.

    All orders are tried, since one mistake may edit a part of another.

    Raises:
        ValueError: if they cannot be made in any order.
    """
    problem = None
    for order in itertools.permutations(mistakes):
        tree = ast.parse(task.answer_path.read_text("utf-8"))
        try:
            for mistake in order:
                edit(tree, mistake)
            return ast.fix_missing_locations(tree)
        except ValueError as error:
            problem = error
    raise ValueError(f"{task.name}: {problem}")


@functools.cache
def wrong_functions(
    task: Task, *mistakes: Mistake
) -> dict[str, Callable] | None:
    """Load the answer with one or more mistakes made in it.

    Returns:
        A dictionary from names to functions, or None if several mistakes
        edit the same place.

    Raises:
        ValueError: if a single mistake does not fit the answer.
    """
    try:
        tree = wrong_tree(task, *mistakes)
    except ValueError:
        if len(mistakes) > 1:
            return None
        raise
    space: dict[str, Any] = {"__name__": f"wrong {task.name}"}
    exec(compile(tree, f"{task.name}: wrong", "exec"), space)
    return {name: space[name] for name in task.exercise.functions}


def combinations(task: Task) -> Iterator[tuple[Mistake, ...]]:
    """List each mistake alone, then every two that can be made together."""
    mistakes = task.exercise.mistakes
    yield from ((mistake,) for mistake in mistakes)
    for pair in itertools.combinations(mistakes, 2):
        if wrong_functions(task, *pair) is not None:
            yield pair


def outcome(functions: dict[str, Callable], call: Call) -> dict[str, Any]:
    """Make a call, and return its outcome, as a child process does.

    Returns:
        `{"value": …}`, or `{"error": …}` with the exception's name.
    """
    try:
        with np.errstate(all="ignore"):
            return {"value": functions[call.function](**call.args)}
    except Exception as error:
        return {"error": kind_of(error), "text": str(error)}
