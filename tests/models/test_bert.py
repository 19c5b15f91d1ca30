import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from safetensors import safe_open
from small_bert import IDS, SEGMENTS, SIZES, make_bert

from minitransformer import (
    Bert,
    BertClassifier,
    BertConfig,
    BertPretraining,
    WordPieceTokenizer,
    encode_sentences,
    masked_cross_entropy,
)
from minitransformer.data.buckets import fill
from minitransformer.data.sentences import sentence_vectors


@pytest.fixture(scope="module")
def bert():
    keras.utils.set_random_seed(0)
    return make_bert()


@pytest.mark.minilm
def test_same_vectors_as_hugging_face_in_one_padded_batch(minilm):
    path = ROOT / "tests" / "fixtures" / "minilm.safetensors"
    with safe_open(path, framework="numpy") as file:
        theirs = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        sentences = json.loads(file.metadata()["sentences"])
    tokenizer = WordPieceTokenizer.load(minilm / "vocab.txt")
    rows = encode_sentences(sentences, tokenizer, max_len=512)
    lengths = np.array([len(row) for row in rows])
    assert len(rows) >= 50
    assert lengths.tolist() == theirs["lengths"].tolist()
    assert len(set(lengths.tolist())) > 50
    token_ids = tf.constant(fill(rows, len(rows), tokenizer.pad_id))
    model = Bert.from_pretrained(minilm)
    hidden, pooled = model(token_ids)
    places = {"first": 0 * lengths, "middle": lengths // 2, "last": lengths - 1}
    every = np.arange(len(rows))
    for name, place in places.items():
        np.testing.assert_allclose(hidden.numpy()[every, place], theirs[name], atol=1e-4)
    np.testing.assert_allclose(pooled, theirs["pooled"], atol=1e-4)
    vectors = sentence_vectors(hidden, token_ids != tokenizer.pad_id)
    np.testing.assert_allclose(vectors, theirs["vectors"], atol=1e-5)


def test_shapes_and_structures_are_fixed(bert):
    for options in ({}, {"segment_ids": SEGMENTS}, {"padding_mask": IDS != 0}):
        hidden, pooled = bert(IDS, **options)
        assert hidden.shape == (2, 7, 12)
        assert pooled.shape == (2, 12)
    maps = bert.attention_maps(IDS, SEGMENTS)
    assert [m.shape for m in maps] == [(2, 3, 7, 7)] * 2
    words, follows = BertPretraining(bert)(IDS, SEGMENTS, np.array([[1, 2, 4], [0, 3, 5]]))
    assert words.shape == (2, 3, 23)
    assert follows.shape == (2, 1, 2)
    assert BertClassifier(bert, 5)(IDS).shape == (2, 1, 5)


def test_padding_changes_nothing(bert):
    alone, pooled_alone = bert(IDS[:1, :5], SEGMENTS[:1, :5])
    for padding_mask in (None, IDS != 0):  # given, or seen from pad_id
        hidden, pooled = bert(IDS, SEGMENTS, padding_mask)
        np.testing.assert_allclose(hidden[0, :5], alone[0], atol=1e-5)
        np.testing.assert_allclose(pooled[0], pooled_alone[0], atol=1e-5)
    for weights in bert.attention_maps(IDS):
        assert (weights.numpy()[0, :, :, 5:] == 0).all()


def test_the_padding_id_is_the_configurations():
    keras.utils.set_random_seed(0)
    other = make_bert(pad_id=22)
    ids = np.where(IDS == 0, 22, np.where(IDS == 22, 0, IDS))
    hidden, _ = other(ids)
    alone, _ = other(ids[:1, :5])
    np.testing.assert_allclose(hidden[0, :5], alone[0], atol=1e-5)


def test_every_token_sees_every_other_in_both_directions(bert):
    before, _ = bert(IDS[1:])
    for place in (0, 6):
        changed = IDS[1:].copy()
        changed[0, place] = 14
        after, _ = bert(changed)
        moved = np.abs(after - before).max(-1)[0]
        assert (moved > 1e-4).all(), f"token {place} is not seen by all"


def test_segments_and_positions_matter(bert):
    before, _ = bert(IDS[1:])
    other, _ = bert(IDS[1:], SEGMENTS[1:])
    assert np.abs(before - other).max() > 1e-2
    turned, _ = bert(IDS[1:, ::-1])
    assert np.abs(before - turned.numpy()[:, ::-1]).max() > 1e-2
    none, _ = bert(IDS[1:], np.zeros_like(IDS[1:]))
    np.testing.assert_allclose(before, none)


def test_the_gelu_is_exact():
    from minitransformer.models.bert import gelu

    x = np.linspace(-4, 4, 101)
    erf = np.vectorize(math.erf)(x / 2**0.5)
    np.testing.assert_allclose(gelu(tf.constant(x)), x * (1 + erf) / 2, atol=1e-9)


def test_the_pooled_vector_is_the_first_tokens(bert):
    hidden, pooled = bert(IDS)
    kernel, bias = bert.pooler_dense.get_weights()
    expected = np.tanh(hidden.numpy()[:, 0] @ kernel + bias)
    np.testing.assert_allclose(pooled, expected, atol=1e-5)


def test_word_logits_are_tied_and_only_those_asked_for(bert):
    model = BertPretraining(bert)
    model.word_bias.assign(np.linspace(0, 1, 23))
    some, _ = model(IDS, SEGMENTS, np.array([[4, 2], [6, 0]]))
    all_of_them, _ = model(IDS, SEGMENTS, np.tile(np.arange(7), (2, 1)))
    for row, places in enumerate([[4, 2], [6, 0]]):
        np.testing.assert_allclose(some[row], all_of_them.numpy()[row, places], atol=1e-5)
    hidden, _ = bert(IDS, SEGMENTS)
    x = model.word_norm(model.word_dense(hidden)).numpy()
    expected = x @ bert.embedding.table.numpy().T + np.linspace(0, 1, 23)
    np.testing.assert_allclose(all_of_them, expected, atol=1e-4)


def test_the_first_losses_are_those_of_uniform_guesses():
    keras.utils.set_random_seed(0)
    model = BertPretraining(Bert(BertConfig(**SIZES)))
    words, follows = model(IDS, SEGMENTS, np.array([[1, 2], [3, 4]]))
    for logits, targets, classes in ((words, [[3, 5], [7, 9]], 23), (follows, [[0], [1]], 2)):
        loss, count = masked_cross_entropy(logits, targets, np.ones_like(targets))
        assert float(loss / count) == pytest.approx(np.log(classes), abs=0.1)


def test_no_two_matrices_begin_alike():
    model = BertPretraining(Bert(BertConfig(**SIZES)))
    matrices = {}
    for weight in model.trainable_variables:
        if len(weight.shape) > 1:
            matrices.setdefault(tuple(weight.shape), []).append(weight)
    for shape, group in matrices.items():
        different = {weight.numpy().tobytes() for weight in group}
        assert len(different) == len(group), shape
    kernel = model.bert.encoder.blocks[0].feed_forward.expand_dense.kernel
    assert 0.012 < np.std(kernel) < 0.022
    assert np.abs(kernel).max() < 0.0401


def test_a_frozen_bert_is_saved_too(tmp_path):
    body = Bert(BertConfig(**SIZES))
    body.trainable = False
    model = BertClassifier(body, 3)
    assert len(model.trainable_variables) == 2
    model.save(tmp_path)
    again = BertClassifier.load(tmp_path)
    np.testing.assert_array_equal(model(IDS), again(IDS))


def test_dropout_reaches_all_its_places():
    keras.utils.set_random_seed(0)
    model = BertClassifier(make_bert(dropout_rate=0.5), 3)
    rates = [
        layer.rate for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dropout)
    ]
    # Embeddings, two layers in each block, the classifier.
    assert rates == [0.5] * 6
    quiet = model(IDS)
    np.testing.assert_allclose(quiet, model(IDS))
    assert np.abs(quiet - model(IDS, training=True)).max() > 1e-3


def test_the_classifier_drops_from_the_pooled_vector():
    body = make_bert(dropout_rate=0.5)
    for layer in body._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    model = BertClassifier(body, 3)
    assert np.abs(model(IDS) - model(IDS, training=True)).max() > 1e-3


@pytest.mark.parametrize("kind", ["bert", "pretraining", "classifier"])
def test_saved_and_loaded_it_is_the_same(bert, kind, tmp_path):
    model, inputs = {
        "bert": (bert, (IDS, SEGMENTS)),
        "pretraining": (BertPretraining(bert), (IDS, SEGMENTS, np.array([[1], [2]]))),
        "classifier": (BertClassifier(bert, 4), (IDS, SEGMENTS)),
    }[kind]
    model.save(tmp_path)
    again = type(model).load(tmp_path)
    assert again.config == model.config
    for ours, theirs in zip(
        tf.nest.flatten(model(*inputs)), tf.nest.flatten(again(*inputs)), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 5}, "multiple of 5"),
        ({"d_model": 0}, "d_model=0"),
        ({"num_segments": 0}, "num_segments=0"),
        ({"dropout_rate": 1.0}, "dropout_rate=1.0"),
        ({"pad_id": 23}, "pad_id=23"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BertConfig(**{**SIZES, **options})


def test_a_sequence_beyond_max_len_is_refused(bert):
    with pytest.raises(ValueError, match="12 tokens, but max_len=11"):
        bert(np.ones((1, 12), int))


def test_the_presets_are_the_published_sizes():
    base = BertConfig.base()
    assert (base.d_model, base.num_layers, base.d_ff) == (768, 12, 3072)
