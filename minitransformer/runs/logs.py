"""Logs: one row of numbers for each compiled call of a training."""

import csv
import importlib.util
import io
from pathlib import Path
from typing import Any

import tensorflow as tf

from minitransformer.learning.training import Row
from minitransformer.runs.given import read_bytes
from minitransformer.runs.saving import write_atomically

LOG = "log.csv"


class Log:
    """Write `log.csv` row by row; for TensorBoard as well, if installed.

    Args:
        folder: The run's folder.
        step: The step from which the run goes on. Later rows are deleted,
            since training is about to make them again.
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
        row = shorten(row)  # a resumed run draws the same curve
        self.rows.append(row)
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerow(row)
        if self.board:
            self.write_board(row)

    def write_board(self, row: Row) -> None:
        """Write the numbers of a row for TensorBoard."""
        with self.board.as_default(step=row.step):
            for name, number in row._asdict().items():
                if name != "step" and number is not None:
                    tf.summary.scalar(name, number)
        self.board.flush()

    def curve(self, name: str) -> list[tuple[int, float]]:
        """List the (step, number) of a column, where it was measured."""
        points = [(row.step, getattr(row, name)) for row in self.rows]
        return [point for point in points if point[1] is not None]


def shorten(row: Row) -> Row:
    """Round a row's numbers to six digits; steps stay whole."""
    return Row._make(
        float(f"{n:.6g}") if type(n) is float else n for n in row
    )


def read_log(folder: str | Path) -> list[Row]:
    """Read a run's log.

    Args:
        folder: The run's folder.

    Returns:
        A list of rows; a number that was not measured is None. A last
        line that was cut short is left out. Without a log the list is
        empty.

    Raises:
        ValueError: if the file is no text, or a line is damaged.
    """
    path = Path(folder) / LOG
    if not path.is_file():
        return []
    data, rows = read_bytes(path), []
    whole = data[: data.rfind(b"\n") + 1].decode("utf-8-sig", "replace")
    lines = csv.reader(io.StringIO(whole))
    try:
        header = next(lines, [])
        if tuple(header) != Row._fields:
            raise ValueError(
                f"begins with {','.join(header)[:40]!r}, expected "
                f"{','.join(Row._fields)[:20]!r} and so on: it is the log "
                "of another program"
            )
        for step, *others in filter(None, lines):
            numbers: list[Any] = [float(n) if n else None for n in others]
            row = Row(int(step), *numbers)
            rows.append(row._replace(seconds=row.seconds or 0.0))
    except (TypeError, ValueError, csv.Error) as error:
        raise ValueError(
            f"{path} is damaged in line {lines.line_num or 1} "
            f"({error!s:.150}): restore it, or delete the file and lose "
            "the curve."
        ) from None
    return rows
