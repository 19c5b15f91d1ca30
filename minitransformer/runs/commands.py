"""Commands: what scripts share: messages, exit codes, user errors.

User errors print one sentence and exit with 2; failed training exits with
1; signals with 128 and their number, Ctrl-C with 130. TensorFlow is
imported only when the flags have been read, so `--help` answers at once.
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
