import hashlib
import random

import pytest

from minitransformer.data import copies


def write(tmp_path, text):
    path = tmp_path / "text.txt"
    path.write_text(text, "utf-8")
    return {"text": str(path), "text_sha256": hashlib.sha256(text.encode()).hexdigest()}


def words(seed, count):
    rng = random.Random(seed)
    return " ".join("".join(rng.choices("abcdefgh", k=5)) for _ in range(count))


def test_a_text_that_stands_twice_in_its_file_is_found(tmp_path):
    once = words(0, 900)
    assert copies.compare_texts(write(tmp_path, once)) == ""
    assert "100% is also" in copies.compare_texts(write(tmp_path, f"{once}\n{once}"))


def test_a_share_of_the_validation_text_is_counted(tmp_path):
    train, valid = words(1, 9000), words(2, 700)
    copied = f"{train} {train[300:1200]} {valid}"  # 900 of about 5,400 characters
    share = copies.copied_share(*copies.text_parts(write(tmp_path, copied)))
    assert share == pytest.approx(900 / 5400, abs=0.03)


def test_a_changed_or_missing_text_is_not_compared(tmp_path):
    once = words(0, 900)
    settings = write(tmp_path, f"{once}\n{once}")
    assert copies.compare_texts(settings | {"text_sha256": "0"}) == ""
    assert copies.compare_texts(settings | {"text": str(tmp_path / "gone")}) == ""


def test_pairs_are_compared_line_by_line(tmp_path):
    lines = [f"{words(i, 3)}\t{words(-i, 4)}" for i in range(1, 21)]
    train, valid = tmp_path / "train.tsv", tmp_path / "valid.tsv"
    train.write_text("\n".join(lines[:16]))
    valid.write_text("\n".join(lines[12:]) + "\n")
    settings = {"pairs": str(train), "valid": str(valid)}
    assert "50% is also" in copies.compare_texts(settings)
    assert copies.compare_texts(settings | {"valid": None}) == ""
    assert copies.compare_texts({"pairs": None, "valid": None}) == ""
