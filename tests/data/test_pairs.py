import json
import sys

import pytest

from minitransformer import interface_pairs, read_pairs
from minitransformer.data.pairs import hold_out, looks_swapped


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "pairs.tsv"
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return write


def test_columns_are_read_and_empty_lines_left_out(file):
    path = file("a cat\tun chat\r\n\n  a dog \tun chien\tCC BY\n\t \n\n")
    with pytest.warns(UserWarning, match="left out, 2 of 4") as warned:
        pairs = read_pairs(path)
    assert pairs == [("a cat", "un chat"), ("a dog", "un chien")]
    assert len(warned) == 1


@pytest.mark.parametrize("line", ["no tab", "only one\t", "\tonly two"])
def test_a_missing_column_is_named_with_its_line(file, line):
    message = "line 3: found 1 of 2 columns. Give a sentence, a tab and its"
    with pytest.raises(ValueError, match=message):
        read_pairs(file(f"a\tb\n\n{line}\nc\td\n"))


def test_quotation_marks_are_letters_like_any_other(file):
    path = file('"a\t"b\n"c" d\te "f\n')
    assert read_pairs(path) == [('"a', '"b'), ('"c" d', 'e "f')]


def test_a_file_that_is_no_table_is_named(file):
    with pytest.raises(ValueError, match="line 2: field larger"):
        read_pairs(file("a\tb\n" + 200_000 * "x"))


@pytest.mark.parametrize("share", [0.05, 0.2, 0.9])
def test_no_source_is_in_two_parts(share):
    pairs = [(f"s{i % 60}", f"t{i}") for i in range(200)]
    parts = hold_out(pairs, share=share, seed=3)
    assert sorted(p for part in parts for p in part) == sorted(pairs)
    train, valid, test = ({s for s, _ in part} for part in parts)
    assert not train & valid
    assert not train & test
    assert not valid & test
    assert len(valid) == len(test) == min(round(share * 60), 20)
    assert hold_out(pairs, share=share, seed=3) == parts
    assert hold_out(pairs, share=share, seed=4) != parts


def test_too_few_sentences_are_refused():
    with pytest.raises(ValueError, match="2 different"):
        hold_out([("a", "b"), ("c", "d"), ("a", "e")], share=0.1, seed=0)


def test_swapped_columns_are_noticed():
    right = [("the cat sleeps", "le chat dort"), ("the dog", "le chien")]
    other = [("the cat", "le chat"), ("a dog sleeps", "un chien dort")]
    assert not looks_swapped(other, right)
    assert looks_swapped([pair[::-1] for pair in other], right)
    assert not looks_swapped([("unknown", "inconnu")], right)


def test_a_language_pack_is_read(tmp_path, monkeypatch):
    package = tmp_path / "jupyterlab_language_pack_xx_YY"
    folder = package / "locale" / "xx_YY" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    catalog = {
        "": {"language": "xx"},
        "menu\4Open": ["Ouvrir"],
        "Save": ["Garder"],
        "Two\nlines": ["Deux\nlignes"],
        "Nothing": [""],
    }
    (folder / "jupyterlab.json").write_text(json.dumps(catalog))
    monkeypatch.syspath_prepend(tmp_path)
    assert interface_pairs("xx-YY") == [
        ("Open", "Ouvrir"),
        ("Save", "Garder"),
        ("Two lines", "Deux lignes"),
    ]
    assert package.name not in sys.modules  # it is found, not run
    with pytest.raises(ValueError, match="pip install jupyterlab"):
        interface_pairs("zz-ZZ")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.tsv", '"He said ""hi"""\tx\ny, z\tw\n', [('He said "hi"', "x"), ("y, z", "w")]),
        ("a.tsv", '"Hi, you"\tx\ny\tz\n', [("Hi, you", "x"), ("y", "z")]),
        ("a.tsv", '"a"\t"b"\n"c"\t"d"\n', [("a", "b"), ("c", "d")]),
        ("a.tsv", "a;b\nc;d\n", [("a", "b"), ("c", "d")]),
        ("a.csv", '\ufeffa;b;;\r\n"c; ""x""";d;;\r\n', [("a", "b"), ('c; "x"', "d")]),
        ("a.csv", 'a,b,,\n"c, d",e,,\n', [("a", "b"), ("c, d", "e")]),
    ],
)
def test_a_spreadsheets_table_is_read_with_a_warning(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    with pytest.warns(UserWarning, match="spreadsheet"):
        assert read_pairs(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"Hello."\t"Bonjour."\nx\ty\n', [('"Hello."', '"Bonjour."'), ("x", "y")]),
        ('"Hi, you"\tx, y\n', [('"Hi, you"', "x, y")]),
        ('""\t"\n', [('""', '"')]),
        ("a\tb\t\t\nc; d\te\t\n", [("a", "b"), ("c; d", "e")]),
    ],
)
def test_other_quotes_and_semicolons_are_letters(file, text, expected):
    assert read_pairs(file(text)) == expected


def test_commas_are_columns_only_in_a_csv(file):
    with pytest.raises(ValueError, match="a tab"):
        read_pairs(file("a, b\nc, d\n"))
