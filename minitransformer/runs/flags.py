"""Flags: a table in each script describes its flags; this file reads it."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from minitransformer.runs.commands import refuse
from minitransformer.runs.folders import SETTINGS, read_settings
from minitransformer.runs.signals import last_words


def number(kind: type, fits: Callable, expected: str) -> Callable:
    """Make a function that reads the number of a flag.

    Args:
        kind: int or float.
        fits: Function that tells whether a number is in its range.
        expected: For the message, such as "a number above 0".
    """

    def read(text: str) -> Any:
        with contextlib.suppress(ValueError, OverflowError):
            if fits(value := kind(text)):
                return value
        raise argparse.ArgumentTypeError(
            f"found {text[:40]!r}: give {expected}"
        )

    return read


def up_to(most: int) -> Callable:
    """Make a function that reads an integer from 1 to `most`."""
    return number(int, range(1, most + 1).__contains__, f"1 to {most}")


positive = number(int, range(1, 2**31).__contains__, "an integer above 0")
tens = number(int, range(10, 2**31, 10).__contains__, "a multiple of 10")
seed = number(int, range(2**31).__contains__, "0 to 2147483647")
above_zero = number(float, lambda n: 0 < n < 1e9, "a number above 0")
share = number(float, lambda n: 0 <= n < 1, "0 or more, below 1")

RARE = {  # rows that several scripts have
    "accumulate": (1, "batches that make one step together"),
    "xla": (True, "compile with XLA"),
    "strategy": (
        "one",
        "where to train: on one device, on all GPUs, on the workers that "
        "TF_CONFIG lists, or on a TPU",
        ["one", "mirrored", "multiworker", "tpu"],
    ),
}


class Parser(argparse.ArgumentParser):
    """Refuse wrong flags in one sentence, with exit code 2."""

    def error(self, message: str) -> NoReturn:
        refuse(f"{message}; see --help")


def refuse_one_file(train: str | None, *others: str | None) -> None:
    """Refuse to validate or to test on the file to train on.

    Raises:
        ValueError: if one of the others is this file.
    """
    for path in filter(None, others):
        if train and os.path.realpath(path) == os.path.realpath(train):
            raise ValueError(
                f"{path} is the file to train on: give another one, or "
                "leave it out, and a part of the rows is held out."
            )


def all_rows(groups: dict[str, dict]) -> dict[str, tuple]:
    """Join the groups of a table of flags; see `read_flags`."""
    return {k: row for rows in groups.values() for k, row in rows.items()}


def defaults_of(groups: dict[str, dict]) -> dict:
    """List the default of each setting."""
    return {name: row[0] for name, row in all_rows(groups).items()}


def read_flags(
    argv: Sequence[str] | None,
    description: str | None,
    groups: dict[str, dict],
    *,
    prefix: str,
) -> dict:
    """Read the flags of a training script.

    `--help` shows what a beginner needs; `--help-all` also shows the last
    group, which is rarely needed.

    Args:
        argv: The words of the command, or None for the program's own.
        description: What the script does.
        groups: A dictionary from a group's title to its settings. Each
            setting is a name and a tuple: its default (None for the path
            of a file), its help, and, unless the default tells how to read
            its text, a function of the text or a list of choices. Settings
            under the title "" have no flag.
        prefix: How the names of new runs begin.

    Returns:
        A dictionary of the settings that were given, "out" and "strategy"
        if they were given, "resume" and "overwrite".
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = Parser(
        description=description,
        epilog="--help-all also shows the flags that are rarely needed",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--help-all", action="help", help=argparse.SUPPRESS)
    *first_titles, rare_title = filter(None, groups)
    for title in [*first_titles, rare_title]:
        shown = title != rare_title or "--help-all" in argv
        group = parser.add_argument_group(title if shown else None)
        for name, row in groups[title].items():
            options = flag_options(row)
            if not shown:
                options["help"] = argparse.SUPPRESS
            group.add_argument("--" + name.replace("_", "-"), **options)
        if title == first_titles[0]:
            add_run_flags(parser.add_argument_group("the run"), prefix)
    given = vars(parser.parse_args(argv))
    for name, default in defaults_of(groups).items():
        if default is None and Path(given.get(name, "")).is_file():
            given[name] = str(Path(given[name]).resolve())
    if given["resume"]:
        try:
            check_settings(Path(given.get("out", "")), groups)
        except ValueError as error:
            parser.error(str(error))
    last_words.append("Stopped before training began.")
    return given


def check_settings(folder: Path, groups: dict[str, dict]) -> None:
    """Refuse saved settings that no flags could have made.

    Raises:
        ValueError: if the file is damaged, or a value makes no sense.
    """
    path = folder / SETTINGS
    saved = read_settings(folder) if path.is_file() else {}
    kinds = {float: (float, int), type(None): (str, type(None))}
    for name, row in all_rows(groups).items():
        value, kind = saved.get(name, row[0]), type(row[0])
        options = flag_options(row)
        fits = type(value) in kinds.get(kind, (kind,))
        fits = fits and value in options.get("choices", [value])
        try:
            options.get("type", str)(str(value) if fits else "")
        except argparse.ArgumentTypeError:
            fits = False
        if not fits:
            raise ValueError(
                f"{path}: found {name} {str(value)[:40]!r}, which this "
                "version does not take: restore the file, or start "
                "another run with another --out"
            )


def flag_options(row: tuple) -> dict[str, Any]:
    """Tell `argparse` how to read the text of a flag."""
    default, text, *kinds = row
    kind = kinds[0] if kinds else None
    options: dict[str, Any] = {}
    if isinstance(default, bool):
        options["action"] = argparse.BooleanOptionalAction
    elif isinstance(kind, list):
        options["choices"] = kind
    elif default is None:
        options["metavar"] = "FILE"
    else:
        by_default = {int: positive, float: above_zero, str: str}
        options["type"] = kind or by_default[type(default)]
    if default is not None:
        text += f" (default: {default})"
    options["help"] = text
    return options


def add_run_flags(group: Any, prefix: str) -> None:
    """Add the flags that say where to keep a run."""
    group.add_argument(
        "--out",
        metavar="DIR",
        help=f"its folder; default: runs/{prefix}-001, or the next number "
        "that is free",
    )
    for name, text in (
        ("resume", "continue the run in --out with its settings"),
        ("overwrite", "replace the run in --out"),
    ):
        group.add_argument(
            f"--{name}", help=text, action="store_true", default=False
        )
