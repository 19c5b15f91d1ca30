"""Compare an answer with the right one, and say how they differ."""

from typing import Any

import numpy as np

TOLERANCE = {"rtol": 1e-3, "atol": 1e-4}
KINDS = {"b": "bools", "i": "integers", "u": "integers", "f": "floats"}


def same(expected: dict, got: dict) -> bool:
    """Tell whether two outcomes of a call are the same.

    Args:
        expected, got: `{"value": …}` or `{"error": …}`.

    Returns:
        Bool. A float may differ by a thousandth of its size plus 1e-4, an
        integer not at all. NaN equals NaN, and an error one of its kind.
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
    """Make an array of a list or a number; None if that is impossible."""
    try:
        array = np.asarray(value)
    except (ValueError, MemoryError):  # rows of different lengths, or huge
        return None
    return array if array.dtype.kind in KINDS else None


def kind(array: np.ndarray) -> str:
    """Name the kind of an array's numbers: "floats"."""
    return KINDS[array.dtype.kind]


def close(expected: Any, got: Any) -> np.ndarray:
    """Compare two arrays of one shape, cell by cell: bools."""
    expected, got = np.asarray(expected), np.asarray(got)
    if "f" not in (expected.dtype.kind, got.dtype.kind):
        return expected == got
    floats = got.astype("float64"), expected.astype("float64")
    return np.isclose(*floats, equal_nan=True, **TOLERANCE)


def difference(
    expected: Any, got: Any, outputs: dict[str, str]
) -> str | None:
    """Say how the form of a value differs from the expected one.

    Args:
        expected, got: Two values that are not the same.
        outputs: For each output its name and its axes, as in
            {"weights": "batch heads query key"}.

    Returns:
        A sentence about the number of results, a shape (with the names of
        its axes), the kind of numbers, or NaN; None if the forms agree.
    """
    if len(outputs) == 1:
        expected, got = (expected,), (got,)
    elif not isinstance(got, (tuple, list)) or len(got) != len(outputs):
        return (
            f"the result is {describe(got)}, expected {len(outputs)} "
            f"results: {', '.join(outputs)}"
        )
    parts = zip(outputs.items(), expected, got, strict=True)
    found = (wrong_form(*item, a, b) for item, a, b in parts)
    return next(filter(None, found), None)


def wrong_form(name: str, axes: str, expected: Any, got: Any) -> str | None:
    """Same as `difference`, for one output."""
    if isinstance(expected, str) or isinstance(got, str):
        if type(expected) is type(got):
            return None
        return f"{name} is {describe(got)}, expected {describe(expected)}"
    is_list = isinstance(expected, list)
    expected, array = as_array(expected), as_array(got)
    if array is None:
        return f"{name} is {describe(got)}, expected an array of numbers"
    if is_list and array.ndim:  # a list may have any length, even none
        known = expected if expected.size else array
        expected = np.resize(known, array.shape)
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
    """Name the axes in which two shapes differ."""
    if len(axes) != len(expected):
        axes = [f"axis {i}" for i in range(len(expected))]
    sentence = f"{name} has shape {got}, expected {expected}"
    if expected:
        named = zip(axes, map(str, expected), strict=True)
        sentence += f" ({', '.join(map(' '.join, named))})"
    if len(got) != len(expected):
        return f"{sentence}: {len(got)} axes, not {len(expected)}"
    odd = [i for i in range(len(got)) if got[i] != expected[i]]
    names = [axes[i] for i in odd]
    sizes = [(got[i], expected[i]) for i in odd]
    if len(odd) == 2 and sizes[0] == sizes[1][::-1]:
        return f"{sentence}: {' and '.join(names)} are exchanged"
    return f"{sentence}: check {', '.join(names)}"


def at(where: tuple, axes: list[str]) -> str:
    """Name a cell by its axes: "batch 0, query 2"."""
    if len(axes) != len(where):
        return str(where)
    named = zip(axes, map(str, where), strict=True)
    return ", ".join(map(" ".join, named)) or "the only one"


def describe(value: Any) -> str:
    """Describe a value in a few words."""
    match value:
        case None:
            return "None"
        case np.ndarray():
            return f"an array of shape {value.shape}"
        case tuple() | list():
            return f"a {type(value).__name__} of {len(value)}"
        case str():
            return "text"
        case dict():
            return "a dictionary"
    return f"{type(value).__name__} {value}"


def marked(expected: Any, got: Any, most: int = 8) -> list[str]:
    """Draw the cells of two small arrays, the wrong ones marked.

    Args:
        expected, got: Values of one shape.
        most: The largest number of rows and columns to draw, around the
            first wrong cell.

    Returns:
        Lines of text: the student's numbers, with `*` after each wrong
        one, and the expected numbers of the same cells.
    """
    if isinstance(expected, str):
        return [f"yours     {got!r}", f"expected  {expected!r}"]
    expected, got = np.asarray(expected), np.asarray(got)
    if expected.shape != got.shape:
        return [f"yours     {short(got)}", f"expected  {short(expected)}"]
    right = close(expected, got)
    if expected.ndim > 2:  # the first slice with a wrong cell
        where = tuple(np.argwhere(~right)[0][:-2])
        expected, got, right = expected[where], got[where], right[where]
    right = np.atleast_2d(right)
    i, j = (int(k) // most * most for k in np.argwhere(~right)[0])
    lines = [f"rows from {i}, columns from {j}"] if i or j else []
    for title, part in ("yours", got), ("expected", expected):
        rows = np.atleast_2d(part)[i : i + most, j : j + most]
        for k, row in enumerate(rows):
            marks = right[i + k, j:] | (title == "expected")
            cells = "".join(
                f"{number(value):>9}{' ' if good else '*'}"
                for value, good in zip(row, marks, strict=False)
            )
            lines.append(f"{title if not k else '':9}{cells}".rstrip())
    return lines


def number(value: np.generic) -> str:
    """Write a number in at most nine places."""
    return f"{value:.4g}" if value.dtype.kind == "f" else str(value)
