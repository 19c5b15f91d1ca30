import math

import numpy as np
import pytest

from minitransformer import LSTMSeq2Seq, LSTMSeq2SeqConfig, masked_cross_entropy

SIZES = {
    "source_vocab_size": 17,
    "target_vocab_size": 13,
    "d_model": 6,
    "units": 6,
    "pad_id": 0,
    "bos_id": 2,
    "eos_id": 3,
}
FORMS = [
    ("none", True),
    ("dot", True),
    ("dot", False),
    ("scaled_dot", True),
    ("general", True),
    ("general", False),
    ("additive", True),
]


def make(attention="general", input_feeding=True, **sizes):
    return LSTMSeq2Seq(
        LSTMSeq2SeqConfig(**SIZES | sizes, attention=attention, input_feeding=input_feeding)
    )


@pytest.fixture
def ids(rng):
    source = rng.integers(4, 17, (2, 5))
    source[1, 3:] = 0
    return source, rng.integers(4, 13, (2, 4))


@pytest.mark.parametrize(("attention", "input_feeding"), FORMS)
def test_a_batch_gives_what_each_sentence_gives_alone(ids, attention, input_feeding):
    model, (source, target) = make(attention, input_feeding), ids
    logits = model(source, target)
    assert logits.shape == (2, 4, 13)
    alone = model(source[1:, :3], target[1:])
    np.testing.assert_allclose(logits[1:], alone, atol=1e-5)


@pytest.mark.parametrize(("attention", "input_feeding"), FORMS)
def test_a_later_target_token_changes_nothing_before(ids, attention, input_feeding):
    model, (source, target) = make(attention, input_feeding), ids
    before = model(source, target).numpy()
    target[0, 2] = target[0, 2] % 12 + 1
    after = model(source, target).numpy()
    np.testing.assert_allclose(before[:, :2], after[:, :2], atol=1e-6)
    assert np.abs(before - after)[0, 2:].max() > 1e-5


@pytest.mark.parametrize(("attention", "input_feeding"), FORMS)
def test_steps_give_what_the_whole_gives(ids, attention, input_feeding):
    model, (source, target) = make(attention, input_feeding), ids
    whole = model(source, target)
    state = model.start(source, 4)
    for i in range(4):
        logits, state = model.step(target[:, i], state, i)
        np.testing.assert_allclose(logits, whole[:, i], atol=1e-5)


def test_the_decoder_reads_the_source(ids):
    for form in FORMS:
        model, (source, target) = make(*form), ids
        before = model(source, target).numpy()
        source = source.copy()
        source[0, 0] = source[0, 0] % 12 + 4
        after = model(source, target).numpy()
        assert np.abs(before - after)[0].max() > 1e-6, form


def test_attention_maps_have_a_row_for_each_step(ids):
    source, target = ids
    maps = make().attention_maps(source, target)
    assert maps.shape == (2, 4, 5)
    np.testing.assert_allclose(maps.numpy().sum(-1), 1, atol=1e-6)
    assert (maps.numpy()[1, :, 3:] == 0).all()
    with pytest.raises(ValueError, match="no attention"):
        make("none").attention_maps(source, target)


def test_the_first_loss_is_that_of_guessing(ids):
    source, target = ids
    logits = make(target_vocab_size=13)(source, target)
    total, count = masked_cross_entropy(logits, target, np.ones((2, 4)))
    assert float(total / count) == pytest.approx(math.log(13), abs=0.1)


def test_dropout_is_for_training_only(ids):
    source, target = ids
    model = make(dropout_rate=0.5)
    np.testing.assert_array_equal(model(source, target), model(source, target))
    training = model(source, target, training=True)
    assert np.abs(training - model(source, target)).max() > 1e-4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"units": 0}, "units=0"),
        ({"attention": "flash"}, "flash"),
        ({"dropout_rate": 1.0}, "dropout_rate"),
        ({"attention": "dot", "input_feeding": False, "units": 9}, "equal widths"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        LSTMSeq2SeqConfig(**{**SIZES, "attention": "general", **change})


@pytest.mark.parametrize(("attention", "input_feeding"), FORMS)
def test_saved_and_loaded_it_is_the_same(ids, tmp_path, attention, input_feeding):
    model, (source, target) = make(attention, input_feeding), ids
    model.save(tmp_path)
    again = LSTMSeq2Seq.load(tmp_path)
    assert again.config == model.config
    np.testing.assert_array_equal(again(source, target), model(source, target))


def test_embeddings_are_scaled_by_the_root_of_the_width():
    model = make()
    ids = np.array([[5, 7, 3]])
    table = model.source_embedding.table.numpy()
    np.testing.assert_allclose(
        model.embed(model.source_embedding, ids), table[ids] * model.config.d_model**0.5, rtol=1e-6
    )
