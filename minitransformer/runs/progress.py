"""Progress: a live line in a terminal, plain lines anywhere else."""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn


class TrainingProgress:
    """Show the progress of a training.

    Args:
        steps: Number of steps in all.
        done: Number of steps already made.
        console: A rich Console; standard output if None.

    Use it as a context; call `report` with each row of `train`.
    """

    def __init__(
        self, steps: int, done: int = 0, console: Console | None = None
    ) -> None:
        self.steps, self.done = steps, done
        self.console = console or Console(highlight=False)
        # Step and time of the first report.
        self.first: tuple[int, float] | None = None
        self.live: Progress | None = None
        self.valid: float | None = None

    def __enter__(self) -> "TrainingProgress":
        if self.console.is_terminal:
            self.live = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=8),
                console=self.console,
                transient=True,
            )
            self.live.start()
            self.task = self.live.add_task(
                "compiling the training step …",
                total=self.steps,
                completed=self.done,
            )
        else:
            self.console.print("compiling the training step …")
        return self

    def __exit__(self, *error: Any) -> None:
        if self.live:
            self.live.stop()

    def report(self, row: Any) -> None:
        """Show a row: move the line, and print validations."""
        text = self.describe(row)
        if row.valid_loss is not None:
            self.console.print(text, soft_wrap=True)
        if self.live:
            self.live.update(
                self.task, completed=row.step, description=text
            )

    def describe(self, row: Any) -> str:
        """Write one line: step, losses, speed and the time left."""
        # The first call also compiles: measure the pace from its end.
        now = time.perf_counter()
        self.first = self.first or (row.step, now)
        step, since = self.first
        pace = (now - since) / max(row.step - step, 1)
        text = f"step {row.step:>5,}/{self.steps:,}"
        text += f" | loss {row.loss:.4f}"
        self.valid = row.valid_loss or self.valid
        if self.valid is not None:
            text += f" | validation {self.valid:.4f}"
        text += f" | {row.tokens_per_s:,.0f} tokens/s"
        if step < row.step < self.steps:
            left = round(pace * (self.steps - row.step))
            text += f" | {left // 60}:{left % 60:02d} left"
        return text


@contextlib.contextmanager
def quiet_import() -> Iterator[None]:
    """Hide what TensorFlow writes to stderr during its import.

    It reports missing GPUs before any log level has an effect. If the
    import fails, everything that was hidden is shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryFile() as file:
        stderr = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield
        except BaseException:
            file.seek(0)
            os.write(stderr, file.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
