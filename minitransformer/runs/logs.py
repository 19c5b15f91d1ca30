"""Logs: a row of numbers for each compiled call of a training."""

import csv
import importlib.util
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tensorflow as tf

from minitransformer.learning.training import Row
from minitransformer.runs.saving import write_atomically

LOG = "log.csv"


class Log:
    """Write a run's `log.csv`, row by row, and TensorBoard's if installed.

    Args:
        folder: The run's folder.
        step: The step the run goes on from: later rows are cut away, since
            they are about to be made again.
    """

    def __init__(self, folder: str | Path, step: int) -> None:
        self.path = Path(folder) / LOG
        self.rows = [row for row in read_log(folder) if row.step <= step]
        self.earlier = self.rows[-1].seconds if self.rows else 0.0
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(self.rows)
        write_atomically(self.path, text.getvalue())
        self.board: Any = None
        if importlib.util.find_spec("tensorboard"):
            board = Path(folder) / "tensorboard"
            for path in board.glob("events.out.tfevents.*"):
                path.unlink()
            self.board = tf.summary.create_file_writer(str(board))
            for row in self.rows:
                self.write_board(row)

    def add(self, row: Row) -> None:
        """Append a row, with the seconds of earlier sessions added."""
        row = row._replace(seconds=row.seconds + self.earlier)
        row = shorten(row)  # so a resumed run draws the same curve
        self.rows.append(row)
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerow(row)
        if self.board:
            self.write_board(row)

    def write_board(self, row: Row) -> None:
        """Write the row's numbers for TensorBoard."""
        with self.board.as_default(step=row.step):
            for name, number in row._asdict().items():
                if name != "step" and number is not None:
                    tf.summary.scalar(name, number)
        self.board.flush()


def shorten(row: Row) -> Row:
    """Round a row's numbers to six digits; steps stay whole."""
    numbers: dict[str, Any] = row._asdict()
    for name, number in numbers.items():
        if type(number) is float:
            numbers[name] = float(f"{number:.6g}")
    return Row(**numbers)


def read_log(folder: str | Path) -> list[Row]:
    """Read a run's log.

    Args:
        folder: The run's folder.

    Returns:
        A list of rows, None for what was not measured. A last line that
        was cut short is left out; without a log the list is empty.
    """
    path = Path(folder) / LOG
    if not path.is_file():
        return []
    text, rows = path.read_text(encoding="utf-8"), []
    whole = text[: text.rfind("\n") + 1]
    for line in csv.DictReader(io.StringIO(whole)):
        try:
            numbers: dict[str, Any] = {
                name: float(line[name]) if line[name] else None
                for name in Row._fields
            }
            rows.append(Row(**{**numbers, "step": int(line["step"])}))
        except (KeyError, TypeError, ValueError):
            break
    return rows


def curve(rows: Iterable[Row], name: str) -> list[tuple[int, float]]:
    """List the points of a column, to be drawn.

    Args:
        rows: From `read_log`, or a log's.
        name: A column.

    Returns:
        A list of (step, number), without what was not measured.
    """
    points = [(row.step, getattr(row, name)) for row in rows]
    return [point for point in points if point[1] is not None]
