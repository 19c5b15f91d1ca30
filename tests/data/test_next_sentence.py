import keras
import numpy as np
import pytest
import tensorflow as tf
from small_bert import make_bert

from minitransformer import (
    BertPretraining,
    WordPieceTokenizer,
    compile_evaluation,
    masked_cross_entropy,
    masked_lm,
    pretraining_batches,
)
from minitransformer.data.next_sentence import SENTENCE_END, draw_pair, encode_documents
from minitransformer.data.objectives import how_many

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqr"  # with the special ones, 23 pieces
# Each sentence has ids of its own: 100 · document + 10 · sentence + place.
DOCUMENTS = [
    [[100 * d + 10 * s + i for i in range(3 + (d + s) % 4)] for s in range(7)] for d in range(1, 6)
]


@pytest.fixture
def tokenizer():
    return WordPieceTokenizer([*SPECIAL, *LETTERS])


@pytest.fixture
def documents(tokenizer):
    text = "\n\n".join(
        "\n".join(" ".join(LETTERS[(d + 5 * s + i) % 18] for i in range(4 + s)) for s in range(4))
        for d in range(6)
    )
    return encode_documents(text, tokenizer)


def draw(count, max_tokens=20):
    rng = np.random.default_rng(7)
    return [draw_pair(DOCUMENTS, rng, max_tokens=max_tokens) for _ in range(count)]


def test_a_text_is_cut_into_documents_and_sentences(tokenizer):
    text = "A b. C d! E\nf\n\na\n \n\nb? C: D e f"
    assert encode_documents(text, tokenizer) == [
        [[5, 6, 1], [7, 8, 1], [9], [10]],
        [[6, 1], [7, 1], [8, 9, 10]],
    ]


def test_half_of_the_pairs_follow():
    follows = [pair[2] for pair in draw(4000)]
    assert 0.47 < np.mean(follows) < 0.53


def test_a_second_span_that_follows_stands_right_behind_the_first():
    for first, second, follows in draw(500):
        if follows:
            document = DOCUMENTS[first[0] // 100 - 1]
            ids = [i for sentence in document for i in sentence]
            place = ids.index(first[0])
            both = first + second
            assert ids[place : place + len(both)] == both


def test_a_second_span_that_does_not_follow_is_from_another_document():
    seen = set()
    for first, second, follows in draw(500):
        if not follows:
            assert first[0] // 100 != second[0] // 100
            assert second[0] % 10 == 0  # it begins with a sentence
            seen.add((first[0] // 100, second[0] // 100))
    assert len(seen) == 5 * 4


@pytest.mark.parametrize("max_tokens", [2, 3, 9, 20, 50])
def test_no_pair_is_longer_than_requested(max_tokens):
    for first, second, _ in draw(200, max_tokens):
        assert len(first) + len(second) <= max_tokens
        assert first
        assert second


def batches(documents, tokenizer, count, **options):
    options = {"max_len": 14, "batch_size": 6, "seed": 3, **options}
    return list(
        pretraining_batches(documents, tokenizer, **options).take(count).as_numpy_iterator()
    )


def same(one, other):
    return all(
        np.array_equal(a, b)
        for a, b in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True)
    )


def test_a_batch_has_the_form_that_a_bert_reads(documents, tokenizer):
    for inputs, targets, weights in batches(documents, tokenizer, 5):
        ids, segments, positions = inputs
        (words, follows), (word_weights, pair_weights) = targets, weights
        assert ids.shape == segments.shape == (6, 14)
        assert positions.shape == words.shape == word_weights.shape == (6, 2)
        assert follows.shape == pair_weights.shape == (6, 1)
        for row, segment in zip(ids, segments, strict=True):
            ends = np.flatnonzero(row == tokenizer.sep_id)
            assert row[0] == tokenizer.cls_id
            assert len(ends) == 2
            second = np.arange(14)
            second = (second > ends[0]) & (second <= ends[1])
            assert segment.tolist() == second.astype(int).tolist()
            assert (row[ends[1] + 1 :] == tokenizer.pad_id).all()
        chosen = np.take_along_axis(ids, positions, 1)[word_weights > 0]
        assert not {0, 2, 3} & set(chosen.tolist())
        assert (words[word_weights > 0] > 4).all()


@pytest.mark.parametrize("max_len", [14, 193, 353])
def test_every_hidden_word_of_a_full_row_is_asked_for(max_len):
    ids = np.full((1, max_len), 7)
    ids[0, [0, 5, -1]] = 2, 3, 3
    *_, weights = masked_lm(
        tf.constant(ids), special_ids=[0, 2, 3, 4], mask_id=4, vocab_size=23, seed=(1, 2)
    )
    assert weights.numpy().sum() == int(how_many(max_len - 3))


def test_the_same_seed_gives_the_same_batches_and_each_has_new_masks(documents, tokenizer):
    one = batches(documents, tokenizer, 3)
    assert same(one, batches(documents, tokenizer, 3))
    assert not same(one, batches(documents, tokenizer, 3, seed=4))


def test_the_same_pair_is_hidden_in_another_way_each_time(documents, tokenizer, monkeypatch):
    pair = list(range(5, 14)), list(range(14, 22)), 1
    monkeypatch.setattr("minitransformer.data.next_sentence.draw_pair", lambda *_, **__: pair)
    drawn = batches(documents, tokenizer, 30, max_len=20, batch_size=1)
    places = {tuple(inputs[2][0]) for inputs, _, _ in drawn}
    assert len(places) > 20


def test_a_batch_is_the_same_wherever_the_dataset_starts(documents, tokenizer):
    all_of_them = batches(documents, tokenizer, 6)
    assert same(batches(documents, tokenizer, 2, first=4), all_of_them[4:])


def test_both_losses_are_means_that_count_alike(documents, tokenizer):
    keras.utils.set_random_seed(0)
    model = BertPretraining(make_bert(max_len=14))
    [batch] = batches(documents, tokenizer, 1)
    inputs, targets, weights = batch
    means = []
    for logits, target, weight in zip(model(*inputs), targets, weights, strict=True):
        total, count = masked_cross_entropy(logits, target, weight)
        means.append(float(total / count))
    mean = compile_evaluation(model, use_xla=False)
    assert mean([batch]) == pytest.approx(sum(means), rel=1e-5)


def test_too_little_text_is_refused(documents, tokenizer):
    with pytest.raises(ValueError, match="two documents"):
        batches(documents[:1], tokenizer, 1)
    with pytest.raises(ValueError, match="max_len=4"):
        batches(documents, tokenizer, 1, max_len=4)


@pytest.mark.parametrize(
    "text",
    [
        "Он пришёл. Она увидела.",
        "今天很好。我们去公园！",
        "行くの？はい。",
        "यह एक है। वह दो है।",
        "هذا كتاب. هل هذا قلم؟",
        "یہ کتاب ہے۔ وہ قلم ہے۔",
        "ეს წიგნია. ეს კალამია.",
        "זה ספר. זה עט.",
        "Σα είναι. Ναι.",
        "Սա գիրք է։ Դա գրիչ է։",
        "ይህ ነው። ያ ነው።",
        "나는 간다. 너는 온다.",
        "Über uns. Äpfel.",
        "Vino. ¿Quién?",
    ],
)
def test_a_sentence_ends_in_any_script(text):
    assert len(SENTENCE_END.split(text)) == 2


def test_an_abbreviation_does_not_end_a_sentence():
    for text in ("see e.g. this", "3.5 metres", "v. 2 of it", "что-то. так"):
        assert SENTENCE_END.split(text) == [text]


def test_documents_of_one_sentence_are_reported(tokenizer):
    with pytest.raises(ValueError, match="All 30 documents have a single sentence"):
        encode_documents("\n\n".join(["a b c"] * 30), tokenizer)
    with pytest.raises(ValueError, match="found 1: put an empty line"):
        pretraining_batches([[[5], [6]]], tokenizer, max_len=9, batch_size=1, seed=0)
