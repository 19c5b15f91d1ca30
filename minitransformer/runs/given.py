"""Given: take the files, numbers and strings that users give, or refuse.

Whatever has a clear meaning is taken; the rest gets an error that names it.
"""

import codecs
import contextlib
import json
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

UTF_16 = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE


def read_bytes(path: str | Path, limit: int = 2**31) -> bytes:
    """Read a whole file; refuse pipes, devices and huge files.

    Raises:
        ValueError: if the file is missing, is not an ordinary file, has
            more than `limit` bytes, or cannot be read.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            folder = stat.S_ISDIR(status.st_mode)
            kind = "a folder" if folder else "no ordinary file"
            raise ValueError(f"{path} is {kind}: give a file.")
        if status.st_size > limit:
            raise ValueError(
                f"{path} has {status.st_size:,} bytes, and at most "
                f"{limit:,} are read: give a smaller file."
            )
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: give a file.") from None
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{path} cannot be read: {reason}.") from error


def read_text(path: str | Path, limit: int = 250_000_000) -> str:
    """Read a text file.

    Args:
        path, limit: Same as in `read_bytes`.

    Returns:
        The text, without a byte-order mark; lines end with "\\n".

    Raises:
        ValueError: Same as in `read_bytes`, or if the file is neither
            UTF-8 nor UTF-16 with a byte-order mark.
    """
    data = read_bytes(path, limit)
    encoding = "UTF-16" if data.startswith(UTF_16) else "UTF-8"
    if b"\0" * (3 if encoding == "UTF-16" else 1) in data:
        raise ValueError(
            f"{path} is not text: it has NUL characters. If it is UTF-16 "
            "without a byte-order mark, or UTF-32, save it as UTF-8."
        )
    try:
        text = data.decode(encoding).lstrip("\ufeff")
    except UnicodeDecodeError as error:
        at = error.start
        near = data[at : at + 1].decode("cp1252", "replace")
        raise ValueError(
            f"{path} is not {encoding} (byte {at}, which is {near!r} in "
            "Windows-1252, cp1252): save it as UTF-8."
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: str | Path, kind: type = dict) -> Any:
    """Read a dict or a list from a JSON file.

    Raises:
        ValueError: Same as in `read_text`, or if the file does not hold
            JSON of that kind.
    """
    text = read_text(path, 2**26)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(value, kind):
        raise ValueError(
            f"{path} is damaged: it holds a {type(value).__name__}, "
            f"expected a {kind.__name__}"
        )
    return value


def checked(
    kind: Any,
    name: str,
    value: Any,
    fits: Callable[[Any], bool],
    expected: str,
) -> Any:
    """Convert an argument to Python's own `kind`, or refuse it.

    Args:
        kind: int, float, bool or str; NumPy's scalars are converted.
        name, value: The name and the value of the argument.
        fits: Function that tells whether the value is in its range.
        expected: For the message, such as "an integer of at least 1".

    Raises:
        TypeError: if the value is of another kind.
        ValueError: if the value does not fit.
    """
    taken = value
    with contextlib.suppress(AttributeError, ValueError):
        taken = value.item()  # np.float32(0.5) → 0.5
    if kind is float and type(taken) is int and abs(taken) < 2**999:
        taken = float(taken)
    right = isinstance(taken, kind)
    right = right and (kind is bool) == isinstance(taken, bool)
    if not (right and fits(taken)):
        error = ValueError if right else TypeError
        raise error(f"{name}={value!r:.60}: give {expected}.")
    return taken


def whole(name: str, value: Any, least: int = 1) -> int:
    """Take an integer of at least `least`; see `checked`."""
    allowed = range(least, 2**31)
    expected = f"an integer of at least {least}, below 2³¹"
    return checked(int, name, value, allowed.__contains__, expected)


def at_least(least: int, **numbers: Any) -> list[int]:
    """Take several integers; return them in their order."""
    return [whole(name, value, least) for name, value in numbers.items()]


def rate(name: str, value: float, below: float = 2.0**99) -> float:
    """Take a number from 0 up to, but not including, `below`."""
    expected = f"0 or more, below {below:g}"
    return checked(float, name, value, lambda n: 0 <= n < below, expected)


def switch(name: str, value: Any) -> bool:
    """Take True or False."""
    return checked(bool, name, value, lambda _: True, "True or False")


def one_string(name: str, value: Any) -> str:
    """Take a string; refuse bytes, lists and numbers."""
    return checked(str, name, value, lambda _: True, "a string")


def check_strings(values: Iterable[str], name: str) -> list[str]:
    """Take a list of strings; refuse one string, a list of letters.

    Raises:
        TypeError: if the value is something else.
    """
    if isinstance(values, str | bytes):
        raise TypeError(
            f"{name} is one string: put it in a list, [{values[:30]!r}]."
        )
    try:
        values = list(values)
    except TypeError as error:
        raise TypeError(f"{name}={values!r:.30}: give strings.") from error
    for value in values:
        if not isinstance(value, str):
            raise TypeError(
                f"{name} has {type(value).__name__} {value!r:.30}: give "
                "strings."
            )
    return values
