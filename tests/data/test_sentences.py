import numpy as np
import pytest
import tensorflow as tf
from small_bert import make_bert

from minitransformer import WordPieceTokenizer, embed_sentences, encode_sentences
from minitransformer.data.sentences import frame, sentence_vectors

PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "a",
    "cat",
    "read",
    "##s",
    "the",
    "file",
    ".",
]


@pytest.fixture
def tokenizer():
    return WordPieceTokenizer(PIECES)


def test_a_sentence_is_put_between_the_special_tokens(tokenizer):
    assert encode_sentences(["the cat reads."], tokenizer, max_len=9) == [[2, 9, 6, 7, 8, 11, 3]]
    ids, segments = frame([5, 6], [7], tokenizer)
    assert ids == [2, 5, 6, 3, 7, 3]
    assert segments == [0, 0, 0, 0, 1, 1]
    assert frame([5], [], tokenizer) == ([2, 5, 3], [0, 0, 0])


def test_long_sentences_are_cut_with_one_warning(tokenizer):
    with pytest.warns(UserWarning, match="were cut") as warned:
        rows = encode_sentences(
            ["a cat read the file", "cat " * 700, "a cat"], tokenizer, max_len=6
        )
    assert len(warned) == 1
    assert "2 of 3 sentences have more than 6" in str(warned[0].message)
    assert [len(row) for row in rows] == [6, 6, 4]
    assert all(row[-1] == tokenizer.sep_id for row in rows)


def test_a_row_without_room_for_a_token_is_refused(tokenizer):
    with pytest.raises(ValueError, match="max_len=2"):
        encode_sentences(["a"], tokenizer, max_len=2)


def test_the_vector_is_the_mean_of_the_real_tokens(normal):
    hidden = normal(2, 5, 7)
    real = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
    vectors = sentence_vectors(tf.constant(hidden), real)
    for row, length in enumerate([3, 5]):
        mean = hidden[row, :length].mean(0)
        np.testing.assert_allclose(vectors[row], mean / np.linalg.norm(mean), rtol=1e-5)


def test_sentences_keep_their_order_whatever_their_length(tokenizer):
    model = make_bert()
    sentences = ["a", "the cat reads the file", "cat", "", "read a file ."]
    done = []
    vectors = embed_sentences(model, tokenizer, sentences, batch_size=2, report=done.append)
    assert done == [2, 4, 5]
    assert vectors.shape == (5, 12)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    for sentence, vector in zip(sentences, vectors, strict=True):
        ids = encode_sentences([sentence], tokenizer, max_len=11)
        hidden, _ = model(tf.constant(ids))
        mean = hidden[0].numpy().mean(0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


@pytest.mark.parametrize("sentences", ["a b", b"a b", ["a", 3]])
def test_a_string_is_no_list_of_sentences(sentences):
    tokenizer = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    with pytest.raises(TypeError, match="sentences"):
        encode_sentences(sentences, tokenizer, max_len=9)
