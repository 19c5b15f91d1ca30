"""Texts: read what users bring, and show it without harm.

A text to learn from, a table, a vocabulary or settings in JSON: all of them
are read here, so one rule tells what is a text and what is not.
"""

import codecs
import json
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LARGEST = 400_000_000  # bytes: more would not fit into memory as ids
UTF_16 = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE
# Control characters but tab and newline, and what is no character at all.
CONTROL = re.compile("[\0-\b\v-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def visible(text: object) -> str:
    r"""Spell control characters, so that they only look like something.

    A terminal obeys them, and no SVG may hold them.

    Args:
        text: A string, or anything else that has a name.

    Examples:
        >>> print(visible("\033[2J wiped"))
        \x1b[2J wiped
    """
    return CONTROL.sub(
        lambda found: found[0].encode("unicode_escape").decode(), str(text)
    )


def check_file(path: str | Path) -> Path:
    """Refuse what is not an ordinary file, before it is opened.

    To open a pipe may wait for ever, and `/dev/zero` never ends.

    Raises:
        ValueError: if it is missing, a folder, a device, a pipe, a socket,
            or a link that leads nowhere.
    """
    path, name = Path(path), visible(path)[-150:]
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise ValueError(f"{name} does not exist: give a file.") from None
    except (OSError, ValueError) as error:  # such as a link to itself
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{name} cannot be read: {reason}.") from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no ordinary file"
        raise ValueError(f"{name} is {kind}: give a file.")
    return path


def read_bytes(path: str | Path) -> bytes:
    """Read an ordinary file of a size that memory can hold.

    Raises:
        ValueError: as `check_file`, or if it is too large.
    """
    path, name = check_file(path), visible(path)[-150:]
    if (size := path.stat().st_size) > LARGEST:
        raise ValueError(
            f"{name} has {size:,} bytes, and at most {LARGEST:,} can be "
            "read: give a part of it."
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"{name} cannot be read: {error.strerror}."
        ) from None


def read_text(path: str | Path) -> str:
    """Read a text file of your own.

    Args:
        path: A file in UTF-8, with or without a byte-order mark, or in
            UTF-16 with one.

    Returns:
        The file's text, with line ends as "\\n".

    Raises:
        ValueError: as `read_bytes`, or if it is empty, not text, or in
            another encoding.
    """
    data, name = read_bytes(path), visible(path)[-150:]
    encoding = "UTF-16" if data.startswith(UTF_16) else "UTF-8"
    if b"\0" * (3 if encoding == "UTF-16" else 1) in data:
        raise ValueError(
            f"{name} is not text: it has bytes that are 0. If it is UTF-16 "
            "without a byte-order mark, or UTF-32, save it as UTF-8."
        )
    try:
        text = data.decode(encoding).lstrip("\ufeff")
    except UnicodeDecodeError as error:
        near = data[error.start : error.start + 1].decode(
            "cp1252", "replace"
        )
        raise ValueError(
            f"{name} is not {encoding} (byte {error.start}, which would be "
            f"{near!r} in Windows-1252, cp1252): save it as UTF-8."
        ) from None
    if not text.strip():
        raise ValueError(f"{name} is empty: give a file with text in it.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: str | Path) -> Any:
    """Read a file of JSON.

    Raises:
        ValueError: as `read_text`, or if it is not JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        name = visible(path)[-150:]
        raise ValueError(f"{name} is damaged: {error}.") from None


def check_strings(values: Iterable[str], name: str) -> list[str]:
    """Refuse one string, or other things, where a list of strings belongs.

    Raises:
        TypeError: if it is not one; a string would be read letter by
            letter.
    """
    if isinstance(values, str | bytes):
        raise TypeError(
            f"{name} is one string, not a list of them: put it in a list, "
            f"[{values[:30]!r}]."
        )
    values = list(values)
    for i, value in enumerate(values):
        if not isinstance(value, str):
            raise TypeError(
                f"{name}[{i}] is {type(value).__name__}: give a string."
            )
    return values
