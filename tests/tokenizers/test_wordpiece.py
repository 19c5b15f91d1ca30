import json
import unicodedata
from pydoc_data.topics import topics

import pytest
from conftest import ROOT

from minitransformer import WordPieceTokenizer, load_tokenizer
from minitransformer.tokenizers.wordpiece import words

FIXTURE = ROOT / "tests" / "fixtures" / "wordpiece.json"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TEXT = topics["assignment"] + topics["for"] + topics["class"]


@pytest.fixture
def tokenizer():
    pieces = ["un", "##afford", "##able", "##aff", "able", "read", "##s", ".", "世"]
    return WordPieceTokenizer([*SPECIAL, *pieces])


@pytest.mark.minilm
def test_same_ids_as_hugging_face(minilm):
    rows = json.loads(FIXTURE.read_text(encoding="utf-8"))
    assert len(rows) > 500
    tokenizer = WordPieceTokenizer.load(minilm / "vocab.txt")
    for sentence, ids in rows:
        assert tokenizer.encode(sentence) == ids, ascii(sentence)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", ["hello", ",", "world", "!"]),
        ("naïve CAFÉ", ["naive", "cafe"]),
        ("a\x00b\ufffdc\u200bd", ["abcd"]),
        ("two\u3000wide\tand\r\nnarrow", ["two", "wide", "and", "narrow"]),
        ("我们x", ["我", "们", "x"]),
        ("한국", ["한국"]),
        ("$5 «oui» a_b", ["$", "5", "«", "oui", "»", "a", "_", "b"]),
        ("", []),
    ],
)
def test_text_is_cleaned_and_cut_into_words(text, expected):
    expected = [unicodedata.normalize("NFD", word) for word in expected]
    assert words(text) == expected


def test_the_longest_piece_comes_first(tokenizer):
    pieces = [tokenizer.pieces[i] for i in tokenizer.encode("unaffordable")]
    assert pieces == ["un", "##afford", "##able"]
    assert tokenizer.decode(tokenizer.encode("Reads able.")) == ("reads able .")


def test_a_word_with_an_unknown_part_is_unknown_as_a_whole(tokenizer):
    assert tokenizer.encode("unx reads") == [1, *tokenizer.encode("reads")]
    assert tokenizer.encode("able" + "able" * 25) == [1]  # over 100 letters
    assert tokenizer.unknown("unx reads unx q") == ["q", "unx"]


def test_text_never_makes_special_ids(tokenizer):
    for text in ("[MASK]", "[CLS] read [SEP]", "[PAD]"):
        assert not {0, 2, 3, 4} & set(tokenizer.encode(text))


def test_ids_that_do_not_exist_are_decoded_as_unknown(tokenizer):
    assert tokenizer.decode([-1, 10_000, 10]) == "[UNK] [UNK] read"


def test_it_learns_pieces_that_spell_its_text(tmp_path):
    tokenizer = WordPieceTokenizer.train(TEXT, vocab_size=700)
    assert tokenizer.vocab_size == 700
    assert tokenizer.pieces[:5] == SPECIAL
    ids = tokenizer.encode(TEXT)
    assert tokenizer.unk_id not in ids
    assert tokenizer.decode(ids).split() == words(TEXT)
    assert len(ids) < 0.6 * len("".join(words(TEXT)))
    # Any word of known letters has pieces.
    assert tokenizer.unk_id not in tokenizer.encode("zyxt qqqq")
    tokenizer.save(tmp_path / "vocab.txt")
    loaded = load_tokenizer(tmp_path)
    assert loaded.pieces == tokenizer.pieces
    assert loaded.encode(TEXT) == ids


@pytest.mark.parametrize(
    ("text", "size", "message"), [(TEXT, 20, "too small"), (" \n\x00", 100, "no words")]
)
def test_a_text_that_cannot_be_learned_is_refused(text, size, message):
    with pytest.raises(ValueError, match=message):
        WordPieceTokenizer.train(text, vocab_size=size)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "does not exist"),
        (b"\xff\xfe", "no \\[PAD\\]"),
        (b"\xff\xfa", "cp1252"),
        (b"a\nb\n", "no \\[PAD\\]"),
        ("\n".join([*SPECIAL, "a", "a"]).encode(), "'a' twice"),
    ],
)
def test_a_bad_vocabulary_is_refused(tmp_path, data, message):
    path = tmp_path / "vocab.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        WordPieceTokenizer.load(path)


def test_a_long_line_is_learned_from_too():
    text = "word and other words " * 10_000  # SentencePiece drops what is too long
    text += "x" * 1_200_000  # and this is no word
    tokenizer = WordPieceTokenizer.train(text, vocab_size=60)
    assert {"word", "and", "other"} <= set(tokenizer.pieces)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["ca", "va", "你", "好"]),
        ({"strip_accents": False}, ["ça", "va", "你", "好"]),
        ({"do_lower_case": False}, ["Ça", "Va", "你", "好"]),
        ({"do_lower_case": False, "strip_accents": True}, ["Ca", "Va", "你", "好"]),
        ({"tokenize_chinese_chars": False}, ["ca", "va", "你好"]),
    ],
)
def test_text_is_cut_as_the_settings_say(tmp_path, settings, expected):
    assert words("Ça Va 你好", **settings) == expected
    pieces = [*SPECIAL, *dict.fromkeys(["Paris", *expected])]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces), "utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"x": 1} | settings))
    tokenizer = WordPieceTokenizer.load(tmp_path / "vocab.txt")
    assert [tokenizer.pieces[i] for i in tokenizer.encode("Ça Va 你好")] == expected
    (tmp_path / "again").mkdir()
    tokenizer.save(tmp_path / "again" / "vocab.txt")  # the settings go with it
    again = load_tokenizer(tmp_path / "again")
    assert again.encode("Ça Va 你好") == tokenizer.encode("Ça Va 你好")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"do_lower_case": "false"}, "do_lower_case is 'false'"),
        ({"strip_accents": 2}, "strip_accents is 2"),
        ({"do_basic_tokenize": False}, "do_basic_tokenize False"),
        ({"word_tokenizer_type": "mecab"}, "'mecab'"),
        ([], "expected a dict"),
    ],
)
def test_settings_that_are_unknown_are_refused(tmp_path, settings, message):
    (tmp_path / "vocab.txt").write_text("\n".join(SPECIAL))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=message):
        WordPieceTokenizer.load(tmp_path / "vocab.txt")
    with pytest.raises(TypeError, match="lowercase"):
        WordPieceTokenizer(SPECIAL, lowercase=True)


def test_capitals_outside_words_do_not_mean_a_cased_model(tmp_path):
    path = tmp_path / "vocab.txt"
    odd = ["<S>", "<T>", "İ", "Ⅷ", "##Ⅷ", "[unused1]", "na"]  # a Chinese BERT has such
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*SPECIAL, *odd]).encode() + b"\r\n\r\n")
    tokenizer = WordPieceTokenizer.load(path)
    assert tokenizer.pieces == [*SPECIAL, *odd]
    assert tokenizer.encode("Na") == [11]


def test_a_cased_vocabulary_without_settings_gives_a_warning(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*SPECIAL, "Paris", "paris"]))
    with pytest.warns(UserWarning, match="has 'Paris' and no tokenizer_config"):
        assert WordPieceTokenizer.load(path).encode("Paris") == [6]


def test_wordpiece_learns_from_a_line_with_a_reserved_character():
    text = "the cat sat on the ▅ mat\n" * 30
    tokenizer = WordPieceTokenizer.train(text, vocab_size=70)
    assert {"the", "cat", "▅"} <= set(tokenizer.pieces)
    with pytest.raises(ValueError, match="cannot learn"):
        WordPieceTokenizer.train("▅ ▅\n▅", vocab_size=70)
