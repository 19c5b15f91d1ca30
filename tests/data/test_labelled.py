import collections

import pytest

from minitransformer import read_labelled
from minitransformer.data.labelled import (
    LIBRARY,
    hold_out_labelled,
    library_sentences,
    number_labels,
)


def test_two_columns_are_read(tmp_path):
    path = tmp_path / "task.tsv"
    path.write_bytes(b"good film\t1\r\n bad  film \t 0\n")
    assert read_labelled(path) == [("good film", "1"), ("bad  film", "0")]


@pytest.mark.parametrize("line", ["no tab", "\tlabel", "a\t"])
def test_a_bad_line_is_named_with_its_number(tmp_path, line):
    path = tmp_path / "task.tsv"
    path.write_text(f"fine\t1\n{line}\nfine\t0\n", encoding="utf-8")
    message = "line 2: found 1 of 2 columns. Give a sentence, a tab and its label"
    with pytest.raises(ValueError, match=message):
        read_labelled(path)


def test_empty_lines_and_further_columns_are_as_in_pairs(tmp_path):
    path = tmp_path / "task.tsv"
    path.write_bytes(b"\xef\xbb\xbfgood\t1\tCC BY\n\nbad\t0\n")
    with pytest.warns(UserWarning, match="left out, 1 of 3"):
        assert read_labelled(path) == [("good", "1"), ("bad", "0")]


def test_labels_are_numbered_in_order():
    rows = [("a", "no"), ("b", "yes"), ("c", "no"), ("d", "yes")]
    assert number_labels(rows, [("e", "yes")]) == ["no", "yes"]


def test_a_label_that_occurs_once_is_refused():
    rows = [("a", "x"), ("b", "x"), ("c", "rare"), ("d", "y"), ("e", "y")]
    with pytest.raises(ValueError, match="'rare' occurs once"):
        number_labels(rows)


def test_only_one_label_is_refused():
    with pytest.raises(ValueError, match="All sentences have the label 'x'"):
        number_labels([("a", "x"), ("b", "x")])


def test_an_unknown_label_is_refused():
    rows = [("a", "x"), ("b", "x"), ("c", "y"), ("d", "y")]
    with pytest.raises(ValueError, match="'z' is to be measured"):
        number_labels(rows, [("e", "z")])


@pytest.mark.parametrize("share", [0.01, 0.2, 0.9])
def test_each_label_is_in_both_parts(share):
    rows = [(f"s{i}", str(i % 7 % 3)) for i in range(100)]
    rows += [("p", "rare"), ("q", "rare")]
    learn, held = hold_out_labelled(rows + rows[:9], share=share, seed=3)
    assert sorted(learn + held) == sorted(rows)
    all_of, kept = (collections.Counter(label for _, label in part) for part in (rows, held))
    for label, count in all_of.items():
        wanted = min(max(1, round(share * count)), count // 2)
        assert kept[label] == wanted
    assert hold_out_labelled(rows, share=share, seed=3) == (learn, held)
    assert hold_out_labelled(rows, share=share, seed=4) != (learn, held)


@pytest.mark.slow
def test_the_library_task_has_sentences_of_every_part():
    rows = library_sentences()
    counts = collections.Counter(label for _, label in rows)
    assert counts.keys() == LIBRARY.keys()
    assert min(counts.values()) > 100
    assert len({sentence for sentence, _ in rows}) == len(rows)


def test_the_label_is_that_of_the_module(monkeypatch):
    documents = {
        "json.decoder": ["J."],
        "topic with": ["T."],
        "asyncio.tasks": ["A."],
        "jsonlike": ["X."],
    }
    monkeypatch.setattr("minitransformer.data.labelled.python_documents", lambda: documents)
    assert library_sentences() == [("J.", "text"), ("A.", "asynchronous")]
