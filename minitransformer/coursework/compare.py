"""Is this what was expected? And if not, in which way?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

TOLERANCE = {"rtol": 1e-3, "atol": 1e-4}
KINDS = {"b": "bools", "i": "integers", "u": "integers", "f": "floats"}


def same(expected: dict, got: dict) -> bool:
    """Tell whether two outcomes of a call are the same.

    Args:
        expected, got: `{"value": …}` or `{"error": …}`.

    Returns:
        Bool. Floats may differ by 1e-4 or by a thousandth, integers not at
        all. NaN equals NaN, and an error equals one of its kind.
    """
    if "value" in expected and "value" in got:
        return same_values(expected["value"], got["value"])
    return "error" in expected and expected["error"] == got.get("error")


def same_values(expected: Any, got: Any) -> bool:
    """Same as `same`, for values: several in a tuple, or one."""
    if isinstance(expected, tuple):
        return (
            isinstance(got, (tuple, list))
            and len(expected) == len(got)
            and all(map(same_values, expected, got))
        )
    if isinstance(expected, str) or isinstance(got, str):
        return type(expected) is type(got) and expected == got
    expected, got = as_array(expected), as_array(got)
    return bool(
        expected is not None
        and got is not None
        and expected.shape == got.shape
        and (not got.size or kind(expected) == kind(got))
        and close(expected, got).all()
    )


def as_array(value: Any) -> np.ndarray | None:
    """Make an array of a list or a number, or None where there is none."""
    try:
        array = np.asarray(value)
    except (ValueError, MemoryError):  # rows of different lengths, or huge
        return None
    return array if array.dtype.kind in KINDS else None


def kind(array: np.ndarray) -> str:
    """Name what an array holds, whatever its width: "floats"."""
    return KINDS[array.dtype.kind]


def close(expected: Any, got: Any) -> np.ndarray:
    """Compare two arrays of one shape, cell by cell: bools."""
    expected, got = np.asarray(expected), np.asarray(got)
    if "f" not in (expected.dtype.kind, got.dtype.kind):
        return expected == got
    return np.isclose(
        np.asarray(got, "float64"),
        np.asarray(expected, "float64"),
        equal_nan=True,
        **TOLERANCE,
    )


def difference(
    expected: Any, got: Any, outputs: dict[str, str]
) -> str | None:
    """Say in which way a value is not what was expected.

    Args:
        expected, got: Two values that are not the same.
        outputs: For each output its name and its axes, as in
            {"weights": "batch heads query key"}.

    Returns:
        A sentence: another number of results, another shape (with the
        names of the axes), another kind of numbers, NaN; else None.
    """
    if len(outputs) > 1:
        if not isinstance(got, (tuple, list)) or len(got) != len(outputs):
            return (
                f"the result is {describe(got)}, expected {len(outputs)} "
                f"results: {', '.join(outputs)}"
            )
    else:
        expected, got = (expected,), (got,)
    parts = zip(outputs.items(), expected, got, strict=True)
    for (name, axes), right, value in parts:
        sentence = wrong_form(name, axes, right, value)
        if sentence:
            return sentence
    return None


def wrong_form(name: str, axes: str, expected: Any, got: Any) -> str | None:
    """Same as `difference`, for one output."""
    if isinstance(expected, str) or isinstance(got, str):
        if type(expected) is not type(got):
            return (
                f"{name} is {describe(got)}, expected {describe(expected)}"
            )
        return None
    is_list = isinstance(expected, list)
    expected, array = as_array(expected), as_array(got)
    if array is None:
        return f"{name} is {describe(got)}, expected an array of numbers"
    if is_list and array.ndim:  # a list may have any length, even none
        expected = np.resize(
            expected if expected.size else array, array.shape
        )
    if array.shape != expected.shape and not axes:
        return f"{name} is {short(got)}, expected {short(expected)}"
    if array.shape != expected.shape:
        return wrong_shape(name, axes.split(), expected.shape, array.shape)
    if array.size and kind(array) != kind(expected):
        return f"{name} holds {kind(array)}, expected {kind(expected)}"
    bad = ~np.isfinite(array) if kind(array) == "floats" else []
    if np.any(bad) and np.isfinite(expected).all():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        value = "NaN" if np.isnan(array[where]) else "infinity"
        return f"{name} holds {value}, first at {at(where, axes.split())}"
    return None


def short(value: Any, most: int = 100) -> str:
    """Write a list or a number in one line, cut where it gets long."""
    text = str(np.asarray(value).tolist())
    return text if len(text) <= most else f"{text[:most]} …"


def wrong_shape(
    name: str, axes: list[str], expected: tuple, got: tuple
) -> str:
    """Name the axes of a shape that is not the right one."""
    if len(axes) != len(expected):
        axes = [f"axis {i}" for i in range(len(expected))]
    named = ", ".join(
        f"{axis} {size}" for axis, size in zip(axes, expected, strict=True)
    )
    sentence = f"{name} has shape {got}, expected {expected}"
    if named:
        sentence += f" ({named})"
    if len(got) != len(expected):
        return f"{sentence}: {len(got)} axes, not {len(expected)}"
    odd = [i for i in range(len(got)) if got[i] != expected[i]]
    if len(odd) == 2:
        i, j = odd
        if (got[i], got[j]) == (expected[j], expected[i]):
            return f"{sentence}: {axes[i]} and {axes[j]} are exchanged"
    return f"{sentence}: check {', '.join(axes[i] for i in odd)}"


def at(where: tuple, axes: Sequence[str]) -> str:
    """Name a cell by its axes: "batch 0, query 2"."""
    if len(axes) != len(where):
        return str(where)
    return (
        ", ".join(f"{a} {i}" for a, i in zip(axes, where, strict=True))
        or "the only one"
    )


def describe(value: Any) -> str:
    """Say in a few words what a value is."""
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, (str, dict)):
        return "text" if isinstance(value, str) else "a dictionary"
    return f"{type(value).__name__} {value}"


def marked(expected: Any, got: Any, most: int = 8) -> list[str]:
    """Draw the cells of two small arrays, the wrong ones marked.

    Args:
        expected, got: Values of one shape.
        most: How many rows and columns are drawn, around the first cell
            that is wrong.

    Returns:
        Lines of text: yours, with `*` behind each wrong cell, and what was
        expected there.
    """
    if isinstance(expected, str):
        return [f"yours     {got!r}", f"expected  {expected!r}"]
    expected, got = np.asarray(expected), np.asarray(got)
    if expected.shape != got.shape:
        return [f"yours     {short(got)}", f"expected  {short(expected)}"]
    right = close(expected, got)
    if expected.ndim > 2:  # the first slice in which something is wrong
        where = tuple(np.argwhere(~right)[0][:-2])
        expected, got, right = expected[where], got[where], right[where]
    right = np.atleast_2d(right)
    i, j = (int(k) // most * most for k in np.argwhere(~right)[0])
    window = slice(i, i + most), slice(j, j + most)
    wrong = ~right[window]
    lines = [f"rows from {i}, columns from {j}"] if i or j else []
    for title, part, marks in (
        ("yours", got, wrong),
        ("expected", expected, wrong & False),
    ):
        part = np.atleast_2d(part)[window]
        for i, row in enumerate(part):
            cells = "".join(
                f"{number(value):>9}{'*' if mark else ' '}"
                for value, mark in zip(row, marks[i], strict=True)
            )
            lines.append(f"{title if not i else '':9}{cells}".rstrip())
    return lines


def number(value: np.generic) -> str:
    """Write a number in at most nine places."""
    return f"{value:.4g}" if value.dtype.kind == "f" else str(value)
