import io
from pydoc_data.topics import topics

import numpy as np
import pytest

from minitransformer import CharTokenizer, SentencePieceTokenizer, load_tokenizer

TEXT = topics["assignment"] + topics["for"] + topics["class"]
HARD = [
    "",
    " ",
    "\n",
    "  two  spaces ",
    "tab\tand\r\nline\n\nends",
    "안녕하세요, 세계",
    "日本語と中文",
    "😀👨‍👩‍👧 é e\u0301",
    "▁ ▁▁",
    "\x00\x01\x7f",
    "<s></s><unk><pad><0x41>",
    "\u00a0\u3000\u200b\ufeff",
    "\u2047\u2585",
]


@pytest.fixture(scope="module")
def pieces():
    return SentencePieceTokenizer.train(TEXT, vocab_size=500)


@pytest.mark.parametrize("text", HARD, ids=ascii)
def test_any_text_survives_sentencepiece_exactly(pieces, text):
    assert pieces.decode(pieces.encode(text)) == text


def test_a_space_survives_pieces_of_a_text_without_spaces():
    pieces = SentencePieceTokenizer.train("天地玄黄宇宙洪荒" * 40, vocab_size=320)
    assert pieces.decode(pieces.encode("天 地 a")) == "天 地 a"


def test_text_never_makes_special_ids(pieces):
    special = {pieces.pad_id, pieces.unk_id, pieces.bos_id, pieces.eos_id}
    assert len(special) == 4
    for text in HARD:
        assert not special & set(pieces.encode(text))


def test_pieces_are_fewer_than_characters(pieces):
    assert len(pieces.encode(TEXT)) < len(TEXT) / 1.5


def test_vocab_size_is_a_bound_on_the_ids(pieces):
    assert pieces.vocab_size <= 500
    assert max(pieces.encode("".join(HARD) + TEXT)) < pieces.vocab_size


@pytest.mark.parametrize("vocab_size", [1, 300])
def test_a_vocabulary_too_small_is_refused(vocab_size):
    with pytest.raises(ValueError, match="at least 320"):
        SentencePieceTokenizer.train(TEXT, vocab_size=vocab_size)


def test_an_empty_text_is_refused():
    with pytest.raises(ValueError, match="longer text"):
        SentencePieceTokenizer.train("", vocab_size=400)


def test_characters_know_their_text_and_name_the_unknown():
    tokenizer = CharTokenizer.train("hello\n안녕")
    assert tokenizer.vocab_size == 8  # unknown, \n e h l o 녕 안
    ids = tokenizer.encode("hello ×")
    assert len(ids) == 7
    assert ids[5:] == [tokenizer.unk_id, tokenizer.unk_id]
    assert tokenizer.unk_id not in ids[:5]
    assert tokenizer.decode(tokenizer.encode("안녕\nhello")) == "안녕\nhello"
    assert tokenizer.unknown("hello ×") == [" ", "×"]


@pytest.mark.parametrize("kind", ["characters", "sentencepiece"])
def test_decoding_never_raises(pieces, kind, rng):
    tokenizer = pieces
    if kind == "characters":
        tokenizer = CharTokenizer.train(TEXT)
    for _ in range(50):
        ids = rng.integers(-5, tokenizer.vocab_size + 5, 40)
        assert isinstance(tokenizer.decode(ids), str)
    assert tokenizer.decode([10**9, -1]) == "\N{REPLACEMENT CHARACTER}" * 2
    assert tokenizer.decode(np.zeros(0, int)) == ""


def test_half_a_surrogate_pair_does_not_raise(pieces):
    assert pieces.encode("a\ud800b")


@pytest.mark.parametrize("kind", ["characters", "sentencepiece"])
def test_a_saved_tokenizer_comes_back(pieces, kind, tmp_path):
    tokenizer = pieces
    if kind == "characters":
        tokenizer = CharTokenizer.train(TEXT + "é안\x00")
    tokenizer.save(tmp_path / tokenizer.file_name)
    loaded = load_tokenizer(tmp_path)
    assert type(loaded) is type(tokenizer)
    text = TEXT + "é안\x00"
    assert loaded.encode(text) == tokenizer.encode(text)
    (tmp_path / tokenizer.file_name).write_bytes(b"{nonsense")
    with pytest.raises(ValueError, match="damaged"):
        load_tokenizer(tmp_path)


def test_a_folder_without_tokenizer_is_named(tmp_path):
    with pytest.raises(ValueError, match="no tokenizer"):
        load_tokenizer(tmp_path)


def test_a_line_with_a_reserved_character_is_learned_from():
    text = "the cat sat on the ▅ mat\n" * 30
    tokenizer = SentencePieceTokenizer.train(text, vocab_size=340)
    assert not any(map(tokenizer.processor.IsByte, tokenizer.encode("the cat")))
    assert tokenizer.decode(tokenizer.encode("a ▅")) == "a ▅"


@pytest.mark.filterwarnings("error")
def test_a_published_model_that_changes_text_gives_a_warning(tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(["the cat sat on the mat"] * 30),
        model_writer=model,
        vocab_size=40,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    path = tmp_path / "sentencepiece.model"
    path.write_bytes(model.getvalue())
    with pytest.warns(UserWarning, match="is not exact"):
        other = SentencePieceTokenizer.load(path)
    assert other.unknown("the zebra") == ["b", "r", "z"]
    SentencePieceTokenizer.train("the cat\n" * 30, vocab_size=340).save(path)
    assert SentencePieceTokenizer.load(path).unknown("zebra") == []  # no warning


@pytest.mark.parametrize("text", ['"abc"', '{"a": 1}', '["ab"]', '["a", "a"]', "[1]", "[" * 10**5])
def test_a_file_without_a_list_of_characters_is_refused(tmp_path, text):
    path = tmp_path / "characters.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"characters\.json"):
        CharTokenizer.load(path)
