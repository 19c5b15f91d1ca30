"""Commands: what the training scripts share: flags, messages, exit codes.

User errors print one sentence and exit with 2; failed training exits with
1; signals with 128 and their number, Ctrl-C with 130. TensorFlow is
imported only when the flags have been read, so `--help` answers at once.
"""

import argparse
import contextlib
import io
import os
import shlex
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from minitransformer.figures import plain
from minitransformer.runs.folders import SETTINGS, read_settings
from minitransformer.runs.progress import quiet_import
from minitransformer.runs.saving import least_bytes, refuse_beyond_memory
from minitransformer.runs.signals import last_words

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


def tell(*words: Any) -> None:
    """Print to stdout, at once."""
    print(plain(" ".join(map(str, words))), flush=True)


def say(message: str) -> None:
    """Print to stderr, so that stdout holds results alone."""
    print(plain(message), file=sys.stderr, flush=True)


def stop(message: str, code: int) -> NoReturn:
    """End the program with a message and an exit code."""
    say(message)
    raise SystemExit(code)


def refuse(message: str) -> NoReturn:
    """End with a user error in one sentence, without a long middle."""
    if len(message) > 290:
        message = f"{message[:140]} … {message[-140:]}"
    stop(f"error: {message}", 2)


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
    tell("\nNext, try")
    for name, *arguments in commands:
        script = Path(sys.argv[0]).with_name(name)
        tell(" ", command(script, *arguments))


def speak_utf8() -> None:
    """Let stdout take any text, whatever the system's encoding is."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")


def weigh(config: Any, settings: dict) -> None:
    """Refuse a training that cannot fit into this machine's memory.

    Counted is what it holds at the very least: weights, their gradient and
    two moments; the ids of ten steps; the scores and logits of one row; and
    a beam's caches.

    Args:
        config: A model's.
        settings: A run's.

    Raises:
        ValueError: with the estimate.
    """
    sizes = {"num_heads": 1, "num_layers": 2, "units": 0, **vars(config)}
    width = max(sizes["d_model"], sizes["units"])
    vocabulary = sum(n for name, n in sizes.items() if "vocab" in name)
    length, layers = settings["max_len"], sizes["num_layers"]
    rows = 10 * settings.get("accumulate", 1) * settings["batch_size"]
    cache = length * layers * width * 2 + vocabulary
    numbers = (
        4 * rows * length
        + length * (vocabulary + layers * sizes["num_heads"] * length)
        + 64 * settings.get("beam_size", 0) * cache
    )
    refuse_beyond_memory(4 * least_bytes(vars(config)) + 4 * numbers)


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
    """Do what can fail because of the user, before training begins.

    Raises:
        SystemExit: 2 after a user error, 130 after Ctrl-C.
    """
    speak_utf8()
    warnings.showwarning = lambda message, *_: say(f"warning: {message}")
    last_words.append("Stopped before training began.")
    try:
        with quiet_import():
            import tensorflow  # noqa: F401
        yield
    except KeyboardInterrupt:
        stop(last_words[-1], 130)
    except OSError as error:
        what = error.filename or "The disk"
        why = error.strerror or error
        refuse(f"{what} cannot be used: {why}.")
    except (TypeError, ValueError, RecursionError, MemoryError) as error:
        refuse(str(error) or type(error).__name__)
