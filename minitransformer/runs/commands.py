"""Commands: what the training scripts share: flags, messages, exit codes.

User errors print one sentence and exit with 2; failed training exits with
1; Ctrl-C exits with 130. TensorFlow is imported only when the flags have
been read, so `--help` answers at once.
"""

import argparse
import contextlib
import io
import math
import os
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from minitransformer.runs.progress import quiet_import

STRATEGY = (  # a row of a table of flags
    "one",
    "what trains: one device, all GPUs, the workers that TF_CONFIG lists, "
    "or a TPU",
    ["one", "mirrored", "multiworker", "tpu"],
)


def positive(text: str) -> int:
    """Read a flag's whole number, 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: give 1 or more")
    return number


def seed(text: str) -> int:
    """Read a seed: a whole number that 31 bits can hold."""
    number = int(text)
    if not 0 <= number < 2**31:
        raise argparse.ArgumentTypeError(f"{text}: give 0 to 2147483647")
    return number


def above_zero(text: str) -> float:
    """Read a flag's number, more than 0."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: give more than 0")
    return number


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
            a function, or a list of choices.
        prefix: What the names of new runs begin with.

    Returns:
        A dictionary of the settings that were given, with "out" and
        "strategy" if they were, "resume" and "overwrite".
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=description,
        epilog="--help-all shows the flags that are rarely needed, too",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    hidden = argparse.SUPPRESS
    parser.add_argument("--help-all", action="help", help=hidden)
    *first_titles, rare_title = groups
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
    return given


def add_flag(group: Any, name: str, row: tuple, shown: bool) -> None:
    """Add the flag of a setting to a parser's group."""
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
    options["help"] = text if shown else argparse.SUPPRESS
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


def say(message: str) -> None:
    """Print to stderr, so that stdout holds results alone."""
    print(message, file=sys.stderr, flush=True)


def stop(message: str, code: int) -> NoReturn:
    """End the program with a message and an exit code."""
    say(message)
    raise SystemExit(code)


def command(*parts: Any) -> str:
    """Spell a command so that it can be pasted into this system's shell.

    Args:
        *parts: A script of this repository and its arguments.
    """
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    words = [str(python), *map(str, parts)]
    if os.name == "nt":
        return subprocess.list2cmdline(words)
    return shlex.join(words)


def next_try(*commands: Sequence) -> None:
    """Suggest what to do next: scripts beside this one, with arguments."""
    print("\nNext, try")
    for name, *arguments in commands:
        script = Path(sys.argv[0]).with_name(name)
        print(" ", command(script, *arguments))


def speak_utf8() -> None:
    """Let stdout take any text, whatever the system's encoding is."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
    """Do what can fail because of the user, before training begins.

    Raises:
        SystemExit: 2 after a user error, 130 after Ctrl-C.
    """
    speak_utf8()
    warnings.showwarning = lambda message, *_: say(f"warning: {message}")
    try:
        with quiet_import():
            import tensorflow  # noqa: F401
        yield
    except KeyboardInterrupt:
        stop("Stopped before training began.", 130)
    except (ValueError, OSError) as error:
        stop(f"error: {error}", 2)
