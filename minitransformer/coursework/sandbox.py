"""Run strangers' code in a process of its own, with limits.

The code gets questions and gives arrays back. It may take some seconds and
some memory, and print a little; a process that does more is ended, and the
reason said in one line.

On Linux and macOS the system limits processor time, memory (on macOS it may
not) and the size of files. On Windows only the time and what is printed are
limited. No limit keeps code from reading the disk or the network: who
grades strangers does it in a container.
"""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from minitransformer.coursework import child
from minitransformer.coursework.judge import Ended

SECONDS = 20.0  # for one exercise, imports included
MEMORY = 4 << 30  # bytes of address space; TensorFlow alone takes 2
ANSWER = 64 << 20  # bytes that one answer may have
PRINTED = 1 << 20  # bytes that all printing may have
FILES = 64 << 20  # bytes that one written file may have


class Sandbox:
    """A child process that answers calls; to be used in a `with`.

    Args:
        folder: The submission.
    """

    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        self.seconds = SECONDS

    def __enter__(self):
        self.home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        kept = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG")
        environment = {k: os.environ[k] for k in kept if k in os.environ}
        environment |= {
            "HOME": self.home.name, "USERPROFILE": self.home.name,
            "TMPDIR": self.home.name, "TEMP": self.home.name,
            "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "-1", "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        limits = map(str, (4 * int(self.seconds) + 1, MEMORY, FILES))
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-B", child.__file__, str(self.folder),
             *limits],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=environment, bufsize=0,
            start_new_session=True,  # a group of its own, to be ended whole
        )  # fmt: skip
        self.too_much = self.timed_out = False
        self.answers = queue.Queue()
        self.timer = threading.Timer(self.seconds, self.run_out)
        self.timer.daemon = True
        self.timer.start()
        for work in (self.read_answers, self.read_prints):
            threading.Thread(target=work, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.timer.cancel()
        self.stop()
        for pipe in (self.process.stdin, self.process.stdout,
                     self.process.stderr):  # fmt: skip
            with contextlib.suppress(OSError):
                pipe.close()
        self.home.cleanup()

    def stop(self):
        """End the process, and all that it has begun."""
        with contextlib.suppress(OSError):
            if os.name == "posix":
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        self.process.wait()

    def run_out(self):
        """End it when its time is over, whatever it is doing."""
        self.timed_out = True
        self.stop()
        self.answers.put(None)  # for who waits

    def read_answers(self):
        """Pass on what comes, until the process ends."""
        try:
            pipe = os.fdopen(os.dup(self.process.stdout.fileno()), "rb")
            with pipe:
                while len(header := pipe.read(child.LENGTH.size)) == 8:
                    (size,) = child.LENGTH.unpack(header)
                    if size > ANSWER:
                        self.answers.put(Ended(
                            "an answer is larger than "
                            f"{ANSWER >> 20} MB"
                        ))  # fmt: skip
                        return
                    self.answers.put(child.load(pipe.read(size)))
        except (OSError, ValueError):
            pass  # no message of ours: the code has written there itself
        self.answers.put(None)

    def read_prints(self):
        """Throw away what is printed; end the process if it is much."""
        size = 0
        with contextlib.suppress(OSError, ValueError):
            while part := self.process.stderr.read(65536):
                size += len(part)
                if size > PRINTED:
                    self.too_much = True
                    self.stop()
                    return

    def write(self, data):
        """Write a question; where nobody reads, the timer will tell."""
        with contextlib.suppress(OSError, ValueError):
            self.process.stdin.write(data)

    def ask(self, call):
        """Make one call of the student's function.

        Args:
            call: A `Call`.

        Returns:
            What came of it, as `variants.outcome` says it, with `seconds`
            and `mutated`.

        Raises:
            Ended: if the process has ended, or had to be ended.
        """
        message = child.dump({"function": call.function, "args": call.args})
        data = child.LENGTH.pack(len(message)) + message
        # A full pipe that nobody reads would keep this thread for ever.
        threading.Thread(
            target=self.write, args=(data,), daemon=True
        ).start()
        answer = self.answers.get()
        if answer is None:
            self.answers.put(None)  # for whoever asks next
        if isinstance(answer, Ended):
            self.stop()
            raise answer
        if not well_formed(answer):
            raise Ended(self.why_it_ended(call))
        if answer.get("error") == "MemoryError":
            raise Ended(
                f"{call.function} wants more than {MEMORY >> 30} GB of "
                "memory"
            )
        return answer

    def why_it_ended(self, call):
        """Say why there is no answer."""
        if self.timed_out:
            return (
                f"no answer after {self.seconds:g} s: stopped. Is there a "
                f"loop without an end? ({call.function})"
            )
        if self.too_much:
            return f"more than {PRINTED >> 20} MB were printed: stopped"
        try:
            code = self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.stop()
            return f"{call.function} gave an answer that cannot be read"
        if code < 0:
            with contextlib.suppress(ValueError):
                name = signal.Signals(-code).name
                return f"Python crashed in {call.function} ({name})"
        return f"{call.function} ended Python (exit code {code})"


def well_formed(answer):
    """Tell whether an answer has what the child's own answers have.

    A submission can write to the same pipe, whatever it likes.
    """
    if not isinstance(answer, dict):
        return False
    if "error" in answer:
        kinds = {"error": str, "text": str, "place": str}
    else:
        kinds = {"value": object, "seconds": float, "mutated": bool}
    return answer.keys() == kinds.keys() and all(
        isinstance(answer[key], kind) for key, kind in kinds.items()
    )
