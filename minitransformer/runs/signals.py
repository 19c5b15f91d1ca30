"""Signals: how a program ends when it is told to, or loses its terminal.

Ctrl-C, SIGTERM (a batch system, `kill`) and SIGHUP (a closed terminal) end
a script at once, with one sentence. The exit code is 128 and the signal's
number, as in a shell. During training, `train` saves first. This file
imports nothing slow, so a script hears signals before its other imports.
"""

import _signal as signal  # `signal` itself takes longer: it makes enums
import io
import os
import sys

ENDING = [  # what ends a program; Windows has no SIGHUP
    number
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if (number := getattr(signal, name, None))
]
last_words: list[str] = []  # the last entry is printed at the end
children: list = []  # processes that end with this one


class Voice(io.TextIOWrapper):
    """A standard stream that falls silent when its reader has gone.

    Attributes:
        lost: The error that silenced the stream (`| head` has read enough,
            or the terminal is closed), or None.
    """

    lost: OSError | None = None

    def write(self, text: str) -> int:
        """Write, or do nothing once the reader has gone."""
        try:
            return super().write(text)
        except OSError as error:
            self.silence(error)
        return len(text)

    def flush(self) -> None:
        """Pass on what was written."""
        try:
            super().flush()
        except OSError as error:
            self.silence(error)

    def silence(self, error: OSError) -> None:
        """Send this and all later output to the null device."""
        self.lost = error
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.fileno())
        os.close(null)


def end(number: int, frame: object = None) -> None:
    """End this process and its children, without a traceback."""
    for child in children:
        child.terminate()
    # Not `print`: the signal may have interrupted a `print`.
    try:
        if os.isatty(1):
            os.write(1, b"\x1b[?25h\n")  # the cursor, if rich hid it
        for words in last_words[-1:]:
            os.write(2, f"{words}\n".encode(errors="backslashreplace"))
    finally:
        os._exit(128 + number)


def heard(number: int) -> bool:
    """Tell whether this process should react to a signal.

    `nohup` makes a program ignore SIGHUP; that is respected. A shell makes
    background programs ignore Ctrl-C; these programs react anyway.
    """
    handler = signal.getsignal(number)
    return number == signal.SIGINT or handler not in (signal.SIG_IGN, None)


def begin() -> None:
    """Start hearing signals, and prepare the standard streams.

    A script calls this before its other imports, but only where it is the
    program: not where a test or a notebook imports it.
    """
    for number in ENDING:
        if heard(number):
            signal.signal(number, end)
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file would get its number
            os.open(os.devnull, os.O_RDWR)
    for number, name, errors in (
        (1, "stdout", "replace"),
        (2, "stderr", "backslashreplace"),
    ):
        stream = getattr(sys, name)
        # A stream that was closed at the start is None, and open again now.
        buffer = stream.buffer if stream else io.FileIO(number, "w")
        voice = Voice(
            buffer, encoding="utf-8", errors=errors, line_buffering=True
        )
        setattr(sys, name, voice)
