"""Run strangers' code in a process of its own, with limits.

The process gets questions and gives arrays back. It may use some seconds
and some memory, and print a little. A process that exceeds a limit is
stopped, and one line says why. Linux measures how long the process has
computed; its limit counts this time, so a busy machine is no disadvantage.
A second limit, four times as long, counts the time by the clock.

On Linux and macOS the system limits processor time, memory (macOS may
ignore this limit) and the size of files. On Windows only the time, the
printed text and the size of an answer are limited. No limit keeps code
from reading the disk or using the network: to grade strangers, run all of
this in a container.
"""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from minitransformer.coursework import child
from minitransformer.coursework.exercise import Call
from minitransformer.coursework.judge import Ended

SECONDS = 20.0  # for one exercise, imports included
PATIENCE = 4  # times as long on a busy machine, or asleep
MEMORY = 4 << 30  # bytes of address space; TensorFlow alone takes 2
ANSWER = 64 << 20  # largest size of one answer, in bytes
PRINTED = 1 << 20  # largest size of all printed text, in bytes
FILES = 64 << 20  # largest size of one written file, in bytes
KEPT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG")  # environment
QUIET = {
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class Sandbox:
    """A child process that answers calls; to be used in a `with`."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder).resolve()
        self.seconds = SECONDS

    def __enter__(self) -> "Sandbox":
        self.home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        environment = {k: os.environ[k] for k in KEPT if k in os.environ}
        for name in ("HOME", "USERPROFILE", "TMPDIR", "TEMP"):
            environment[name] = self.home.name
        # The packages of this process, but no module of its folder.
        paths = [p for p in sys.path if p and Path(p) != Path.cwd()]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        limits = map(str, (4 * int(self.seconds) + 1, MEMORY, FILES))
        command = [sys.executable, "-P", "-s", "-B", child.__file__]
        # Any, since the type of `Popen` allows for missing pipes.
        self.process: Any = subprocess.Popen(
            [*command, str(self.folder), *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment | QUIET,
            bufsize=0,
            start_new_session=True,  # a group of its own, to stop it whole
        )
        self.too_much, self.waited = False, 0.0
        self.last_words = b""
        self.answers: queue.Queue[Any] = queue.Queue()
        self.over = threading.Event()
        for work in (self.read_answers, self.read_prints, self.watch):
            threading.Thread(target=work, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.stop()
        process = self.process
        for pipe in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()
        self.home.cleanup()

    def stop(self) -> None:
        """End the process, and all processes that it has started."""
        with contextlib.suppress(OSError):
            if os.name == "posix":
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        self.process.wait()

    def watch(self) -> None:
        """Stop the process when its time is over."""
        started, longest = time.monotonic(), PATIENCE * self.seconds
        wait = self.seconds
        while not self.over.wait(wait):
            waited = time.monotonic() - started
            used = processor_seconds(self.process.pid, waited)
            if used >= self.seconds or waited >= longest:
                self.waited = waited
                self.stop()
                self.answers.put(None)  # `ask` may be waiting
                return
            wait = min(self.seconds - used, longest - waited) + 0.01

    def read_answers(self) -> None:
        """Pass on the answers until the process ends."""
        end = None
        try:
            with open(os.dup(self.process.stdout.fileno()), "rb") as pipe:
                while (answer := child.receive(pipe, ANSWER)) is not None:
                    self.answers.put(answer)
        except OverflowError:
            end = Ended(f"an answer is larger than {ANSWER >> 20} MB")
        except (OSError, ValueError):
            pass  # not a message: the student's code has written there
        self.answers.put(end)

    def read_prints(self) -> None:
        """Drop printed text; stop the process if it prints too much."""
        size = 0
        with contextlib.suppress(OSError, ValueError):
            while part := self.process.stderr.read(65536):
                size += len(part)
                self.last_words = (self.last_words + part)[-2000:]
                if size > PRINTED:
                    self.too_much = True
                    self.stop()
                    return  # the rest is not read

    def write(self, message: bytes) -> None:
        """Write a question, even if nobody reads it."""
        with contextlib.suppress(OSError, ValueError):
            child.send(self.process.stdin, message)

    def ask(self, call: Call) -> dict[str, Any]:
        """Call the student's function once.

        Returns:
            Its outcome, like `variants.outcome`, with `seconds` and
            `mutated`.

        Raises:
            Ended: if the process has ended, or had to be stopped.
        """
        message = child.dump({"function": call.function, "args": call.args})
        # A full pipe that nobody reads would block this thread for ever.
        write = threading.Thread(target=self.write, args=(message,))
        write.daemon = True
        write.start()
        answer = self.answers.get()
        if answer is None:
            self.answers.put(None)  # for the next call
        if isinstance(answer, Ended):
            self.stop()
            raise answer
        if not well_formed(answer):
            raise Ended(self.why_it_ended(call.function))
        if answer.get("error") == "MemoryError":
            size = f"{MEMORY >> 30} GB of memory"
            raise Ended(f"{call.function} needs more than {size}")
        return answer

    def why_it_ended(self, function: str) -> str:
        """Explain why there is no answer."""
        if self.waited:
            seconds, why = self.seconds, "Is there an endless loop"
            if self.waited >= PATIENCE * self.seconds:
                seconds, why = self.waited, "Does it wait for something"
            return (
                f"no answer after {seconds:.3g} s: stopped. "
                f"{why} in {function}?"
            )
        if self.too_much:
            return f"it printed more than {PRINTED >> 20} MB: stopped"
        try:
            code = self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.stop()
            return f"{function} gave an answer that cannot be read"
        if code < 0:
            with contextlib.suppress(ValueError):
                name = signal.Signals(-code).name
                return f"Python crashed in {function} ({name})"
        time.sleep(0.1)  # another thread reads the last words
        words = self.last_words.decode("utf-8", "replace").split("\n")
        *_, last = ["", *(f": {word}" for word in words if word.strip())]
        return f"{function} ended Python (exit code {code}){last}"


def processor_seconds(pid: int, otherwise: float) -> float:
    """Ask Linux how long a process has computed, in all its threads."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        ticks = text.rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):  # another system
        return otherwise


def well_formed(answer: Any) -> bool:
    """Tell whether an answer has the form of the child's own answers.

    A submission can write anything to the same pipe.
    """
    match answer:
        case {"error": str(), "text": str(), "place": str(), **rest} | {
            "value": _,
            "seconds": float(),
            "mutated": bool(),
            **rest,
        }:
            return not rest
    return False
