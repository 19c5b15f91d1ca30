"""Flags: a table in a script says all about them, and this reads it."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from minitransformer.runs.commands import refuse
from minitransformer.runs.folders import SETTINGS, read_settings

STRATEGY = (  # a row of a table of flags
    "one",
    "what trains: one device, all GPUs, the workers that TF_CONFIG lists, "
    "or a TPU",
    ["one", "mirrored", "multiworker", "tpu"],
)


def number(text: str, kind: type, fits: Callable, what: str) -> Any:
    """Read a flag's number, or say which one to give."""
    with contextlib.suppress(ValueError, OverflowError):
        if fits(value := kind(text)):
            return value
    raise argparse.ArgumentTypeError(f"{text[:40]!r}: give {what}")


def positive(text: str) -> int:
    """Read a flag's whole number, 1 or more."""
    return number(
        text, int, range(1, 2**31).__contains__, "1 or more, whole"
    )


def seed(text: str) -> int:
    """Read a seed: a whole number that 31 bits can hold."""
    return number(text, int, range(2**31).__contains__, "0 to 2147483647")


def above_zero(text: str) -> float:
    """Read a flag's number, more than 0."""
    return number(text, float, lambda n: 0 < n < 1e9, "more than 0")


def share(text: str) -> float:
    """Read a flag's share: from 0 up to, but not including, 1."""
    return number(text, float, lambda n: 0 <= n < 1, "0 or more, below 1")


class Parser(argparse.ArgumentParser):
    """Refuse what was typed in one sentence, as all scripts do."""

    def error(self, message: str) -> NoReturn:
        refuse(f"{message}; see --help")


def defaults_of(groups: dict[str, dict]) -> dict:
    """Collect the defaults of a table of flags; see `read_flags`."""
    return {
        name: row[0]
        for rows in groups.values()
        for name, row in rows.items()
    }


def read_flags(
    argv: Sequence[str] | None,
    description: str | None,
    groups: dict[str, dict],
    *,
    prefix: str,
) -> dict:
    """Read the flags of a training script.

    `--help` shows the first groups, what a beginner needs first, and
    `--help-all` the last group, too: what is rarely needed.

    Args:
        argv: The command's words, or None for the program's own.
        description: What the script does.
        groups: A dictionary from a group's title to its settings; each has
            a name and a tuple: the default (None for a file's path), what
            it is, and how its text is read, if its default does not tell:
            a function, or a list of choices. Settings under the title ""
            have no flag.
        prefix: What the names of new runs begin with.

    Returns:
        A dictionary of the settings that were given, with "out" and
        "strategy" if they were, "resume" and "overwrite".
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = Parser(
        description=description,
        epilog="--help-all shows the flags that are rarely needed, too",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    hidden = argparse.SUPPRESS
    parser.add_argument("--help-all", action="help", help=hidden)
    *first_titles, rare_title = filter(None, groups)
    for title in first_titles:
        group = parser.add_argument_group(title)
        for name, row in groups[title].items():
            add_flag(group, name, row, shown=True)
        if title == first_titles[0]:
            add_run_flags(parser.add_argument_group("the run"), prefix)
    everything = "--help-all" in argv
    group = parser.add_argument_group(rare_title if everything else None)
    for name, row in groups[rare_title].items():
        add_flag(group, name, row, shown=everything)
    given = vars(parser.parse_args(argv))
    for name, default in defaults_of(groups).items():
        if default is None and Path(given.get(name, "")).is_file():
            given[name] = str(Path(given[name]).resolve())
    if given["resume"]:
        try:
            check_settings(Path(given.get("out", "")), groups)
        except ValueError as error:
            parser.error(str(error))
    return given


def check_settings(folder: Path, groups: dict[str, dict]) -> None:
    """Refuse a run's saved settings if its flags could not be those.

    Raises:
        ValueError: if the file is damaged, or a value makes no sense.
    """
    path = folder / SETTINGS
    saved = read_settings(folder) if path.is_file() else {}
    kinds = {float: (float, int), type(None): (str, type(None))}
    for name, row in {
        k: v for g in groups.values() for k, v in g.items()
    }.items():
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
                f"{path} has {name} {str(value)[:40]!r}, which no run has: "
                "put the file back as it was, or start another run with "
                "another --out"
            )


def flag_options(row: tuple) -> dict[str, Any]:
    """Tell `argparse` how the text of a setting's flag is read."""
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


def add_flag(group: Any, name: str, row: tuple, shown: bool) -> None:
    """Add the flag of a setting to a parser's group."""
    options = flag_options(row)
    if not shown:
        options["help"] = argparse.SUPPRESS
    group.add_argument("--" + name.replace("_", "-"), **options)


def add_run_flags(group: Any, prefix: str) -> None:
    """Add the flags that say where a run is kept."""
    group.add_argument(
        "--out",
        metavar="DIR",
        help=f"its folder; default: runs/{prefix}-001, or the next that is "
        "free",
    )
    for name, text in (
        ("resume", "continue the run in --out with its settings"),
        ("overwrite", "replace the run in --out"),
    ):
        group.add_argument(
            f"--{name}", help=text, action="store_true", default=False
        )
