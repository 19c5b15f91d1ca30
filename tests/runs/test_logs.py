import csv

import pytest

from minitransformer.learning.training import Row
from minitransformer.runs.logs import Log, read_log


def row(step, seconds=1.0, loss=0.5):
    return Row(step, loss, None, 0.5, 0.5, 0.5, seconds)


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
    assert tuple(rows[0]) == Row._fields
    assert [r["step"] for r in rows] == ["10", "20", "30"]
    assert rows[-1]["seconds"] == "2.25"
    assert rows[-1]["valid_loss"] == ""
    assert [r.step for r in read_log(tmp_path)] == [10, 20, 30]


@pytest.mark.parametrize("cut", range(1, 20, 6))
def test_a_line_that_was_cut_short_is_left_out(tmp_path, cut):
    log = Log(tmp_path, 0)
    for step in (10, 20):
        log.add(row(step))
    text = (tmp_path / "log.csv").read_text()
    (tmp_path / "log.csv").write_text(text[:-cut])
    assert [r.step for r in read_log(tmp_path)] == [10]


def test_what_a_power_cut_appended_is_left_out(tmp_path):
    log = Log(tmp_path, 0)
    log.add(row(10))
    path = tmp_path / "log.csv"
    path.write_bytes(path.read_bytes() + b"20,\0\0\0\xff")
    assert [r.step for r in read_log(tmp_path)] == [10]


def test_a_curve_leaves_out_steps_that_were_not_measured(tmp_path):
    log = Log(tmp_path, 0)
    for step, loss in ((10, 2.0), (20, None), (30, 0.0)):
        log.add(row(step, loss=loss))
    assert log.curve("loss") == [(10, 2.0), (30, 0.0)]


def test_a_log_that_an_editor_saved_with_a_mark_is_read(tmp_path):
    log = Log(tmp_path, 0)
    log.add(row(10))
    path = tmp_path / "log.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert [r.step for r in read_log(tmp_path)] == [10]


@pytest.mark.parametrize(
    ("line", "old", "new"),
    [
        (1, ",", ";"),
        (2, "10,", "x,"),
        (3, "20,0.5,,0.5", "20,0.5"),
        (2, "10,", "1" * 200_000 + ","),
    ],
)
def test_a_damaged_line_is_named_and_nothing_is_overwritten(tmp_path, line, old, new):
    log = Log(tmp_path, 0)
    for step in (10, 20):
        log.add(row(step))
    text = (tmp_path / "log.csv").read_text().replace(old, new)
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(ValueError, match=f"damaged in line {line} "):
        Log(tmp_path, 20)
    assert (tmp_path / "log.csv").read_text() == text
