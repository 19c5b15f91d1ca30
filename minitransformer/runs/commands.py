"""Commands: what scripts share: messages, exit codes, user errors.

User errors print one sentence and exit with 2; failed training exits with
1; signals exit with 128 and their number, so Ctrl-C with 130. TensorFlow is
imported after the flags are read, so `--help` answers at once.
"""

import contextlib
import io
import os
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from minitransformer.figures import plain
from minitransformer.runs.progress import quiet_import
from minitransformer.runs.signals import last_words


def tell(*words: Any) -> None:
    """Print to stdout, at once."""
    print(plain(" ".join(map(str, words))), flush=True)


def say(message: str) -> None:
    """Print to stderr, so that stdout holds only results."""
    print(plain(message), file=sys.stderr, flush=True)


def stop(message: str, code: int) -> NoReturn:
    """End the program with a message and an exit code."""
    say(message)
    raise SystemExit(code)


def refuse(message: str) -> NoReturn:
    """Exit with 2 after a user error; cut a long message in the middle."""
    if len(message) > 290:
        message = f"{message[:140]} … {message[-140:]}"
    stop(f"error: {message}", 2)


def command(*parts: Any) -> str:
    """Write a script and its arguments so that a shell takes them."""
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    words = [str(python), *map(str, parts)]
    if os.name == "nt":
        return subprocess.list2cmdline(words)
    return shlex.join(words)


def next_try(*commands: Sequence) -> None:
    """Suggest what to run next: scripts of the same folder."""
    tell("\nNext, try")
    for name, *arguments in commands:
        script = Path(sys.argv[0]).with_name(name)
        tell(" ", command(script, *arguments))


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
    """Import TensorFlow, then do everything that user input can stop.

    Raises:
        SystemExit: 2 after a user error, 130 after Ctrl-C.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # any text can be printed
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    warnings.showwarning = lambda message, *_: say(f"warning: {message}")
    try:
        with quiet_import():
            import tensorflow  # noqa: F401
        yield
    except KeyboardInterrupt:
        stop("".join(last_words[-1:]) or "Stopped.", 130)
    except BrokenPipeError:
        return  # nobody reads the output any longer
    except OSError as error:
        what = (
            f"{error.filename} cannot be used: " if error.filename else ""
        )
        refuse(f"{what}{error.strerror or error}.")
    except (TypeError, ValueError, RecursionError, MemoryError) as error:
        refuse(str(error) or type(error).__name__)
