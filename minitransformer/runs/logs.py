"""Logs: a row of numbers for each compiled call of a training."""

import csv
import importlib.util
import io
from pathlib import Path

from minitransformer.runs.saving import write_atomically

LOG = "log.csv"
COLUMNS = [
    "step",
    "loss",
    "valid_loss",
    "learning_rate",
    "grad_norm",
    "tokens_per_s",
    "seconds",
]


class Log:
    """Write a run's `log.csv`, row by row, and TensorBoard's if installed.

    Args:
        folder: The run's folder.
        step: The step the run goes on from: later rows are cut away, for
            they are about to be made again.
    """

    def __init__(self, folder, step):
        self.path = Path(folder) / LOG
        self.rows = [row for row in read_log(folder) if row["step"] <= step]
        self.earlier = self.rows[-1]["seconds"] if self.rows else 0.0
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(shorten, self.rows))
        write_atomically(self.path, text.getvalue())
        self.board = None
        if importlib.util.find_spec("tensorboard"):
            import tensorflow as tf

            board = Path(folder) / "tensorboard"
            for path in board.glob("events.out.tfevents.*"):
                path.unlink()
            self.board = tf.summary.create_file_writer(str(board))
            for row in self.rows:
                self.write_board(row)

    def add(self, row):
        """Append a row, with the seconds of earlier sessions added."""
        row = {**row, "seconds": row["seconds"] + self.earlier}
        self.rows.append(row)
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writerow(shorten(row))
        if self.board:
            self.write_board(row)

    def write_board(self, row):
        """Write the row's numbers for TensorBoard."""
        import tensorflow as tf

        with self.board.as_default(step=row["step"]):
            for name in COLUMNS[1:]:
                if row[name] is not None:
                    tf.summary.scalar(name, row[name])
        self.board.flush()


def shorten(row):
    """Write a row's numbers with six digits; steps stay whole."""
    return {
        name: f"{value:.6g}" if isinstance(value, float) else value
        for name, value in row.items()
    }


def read_log(folder):
    """Read a run's log.

    Args:
        folder: The run's folder.

    Returns:
        A list of dictionaries of numbers, None for what was not measured. A
        last line that was cut short is left out; without a log it is empty.
    """
    path = Path(folder) / LOG
    if not path.is_file():
        return []
    text, rows = path.read_text(encoding="utf-8"), []
    whole = text[: text.rfind("\n") + 1]
    for row in csv.DictReader(io.StringIO(whole)):
        try:
            numbers = {
                name: float(row[name]) if row[name] else None
                for name in COLUMNS
            }
            rows.append({**numbers, "step": int(row["step"])})
        except (KeyError, TypeError, ValueError):
            break
    return rows


def curve(rows, name):
    """List the points of a column, to be drawn.

    Args:
        rows: From `read_log`, or a log's.
        name: A column.

    Returns:
        A list of (step, number), without what was not measured.
    """
    return [
        (row["step"], row[name]) for row in rows if row[name] is not None
    ]
