import csv

import pytest

from minitransformer.runs.logs import COLUMNS, Log, curve, read_log


def row(step, seconds=1.0):
    values = dict.fromkeys(COLUMNS, 0.5)
    return {**values, "step": step, "valid_loss": None, "seconds": seconds}


def test_the_log_is_cut_back_to_the_checkpoint(tmp_path):
    log = Log(tmp_path, 0)
    for step in (10, 20, 30):
        log.add(row(step, seconds=step / 10))
    with (tmp_path / "log.csv").open("a") as file:
        file.write("40,0.5,0.")  # cut short by a kill
    log = Log(tmp_path, 20)
    log.add(row(30, seconds=0.25))
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == COLUMNS
    assert [r.step for r in rows] == ["10", "20", "30"]
    assert rows[-1].seconds == "2.25"
    assert rows[-1].valid_loss == ""
    assert [r.step for r in read_log(tmp_path)] == [10, 20, 30]


@pytest.mark.parametrize("cut", range(1, 20, 6))
def test_a_line_that_was_cut_short_is_left_out(tmp_path, cut):
    log = Log(tmp_path, 0)
    for step in (10, 20):
        log.add(row(step))
    text = (tmp_path / "log.csv").read_text()
    (tmp_path / "log.csv").write_text(text[:-cut])
    assert [r.step for r in read_log(tmp_path)] == [10]


def test_a_curve_leaves_out_what_was_not_measured():
    rows = [{"step": 10, "loss": 2.0}, {"step": 20, "loss": None}]
    assert curve([*rows, {"step": 30, "loss": 0.0}], "loss") == [
        (10, 2.0),
        (30, 0.0),
    ]
