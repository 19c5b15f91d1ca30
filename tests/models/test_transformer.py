import math

import numpy as np
import pytest

from minitransformer import (
    Transformer,
    TransformerConfig,
    masked_cross_entropy,
    sinusoidal_positions,
)

SIZES = {
    "vocab_size": 17,
    "max_len": 9,
    "d_model": 12,
    "num_heads": 3,
    "num_layers": 2,
    "d_ff": 20,
    "pad_id": 0,
    "bos_id": 2,
    "eos_id": 3,
}


def make(**options):
    return Transformer(TransformerConfig(**SIZES | options))


@pytest.fixture
def ids(rng):
    source = rng.integers(4, 17, (2, 5))
    source[1, 3:] = 0
    return source, rng.integers(4, 17, (2, 4))


@pytest.mark.parametrize("norm_first", [True, False])
def test_padding_of_the_source_changes_nothing(ids, norm_first):
    model, (source, target) = make(norm_first=norm_first), ids
    logits = model(source, target)
    assert logits.shape == (2, 4, 17)
    alone = model(source[1:, :3], target[1:])
    np.testing.assert_allclose(logits[1:], alone, atol=1e-5)


def test_padding_of_the_target_changes_no_real_token(ids):
    model, (source, target) = make(), ids
    longer = np.pad(target, ((0, 0), (0, 3)))
    np.testing.assert_allclose(model(source, longer)[:, :4], model(source, target), atol=1e-5)


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_later_target_token_changes_nothing_before(ids, norm_first):
    model, (source, target) = make(norm_first=norm_first), ids
    before = model(source, target).numpy()
    target[0, 2] = target[0, 2] % 12 + 4
    after = model(source, target).numpy()
    np.testing.assert_allclose(before[:, :2], after[:, :2], atol=1e-6)
    assert np.abs(before - after)[0, 2:].max() > 1e-4


def test_every_source_token_reaches_every_target_token(ids):
    model, (source, target) = make(), ids
    before = model(source, target).numpy()
    source[0, 4] = source[0, 4] % 12 + 4
    change = np.abs(model(source, target).numpy() - before)
    assert (change[0].max(axis=-1) > 1e-5).all()
    assert change[1].max() < 1e-6


@pytest.mark.parametrize("norm_first", [True, False])
def test_steps_give_what_the_whole_gives(ids, norm_first):
    model, (source, target) = make(norm_first=norm_first), ids
    whole = model(source, target)
    state = model.start(source, 7)
    for i in range(4):
        logits, state = model.step(target[:, i], state, i)
        np.testing.assert_allclose(logits, whole[:, i], atol=1e-5)


def test_one_table_serves_both_sides_and_the_logits(ids):
    model, (source, target) = make(), ids
    tables = [w for w in model.trainable_variables if "table" in w.path]
    assert len(tables) == 1
    memory, real, _ = model.encode(source)
    x, _, _ = model.decoder(model.embed(target), memory=memory, memory_padding_mask=real)
    logits = x.numpy() @ tables[0].numpy().T
    np.testing.assert_allclose(model(source, target), logits, atol=1e-5)


def test_embeddings_are_scaled_by_the_root_of_the_width(ids):
    model, (source, _) = make(), ids
    rows = model.embedding.table.numpy()[source]
    expected = rows * 12**0.5 + sinusoidal_positions(9, 12)[:5]
    np.testing.assert_allclose(model.embed(source), expected, atol=1e-5)


def test_dropout_stands_where_the_paper_has_it(ids):
    model, (source, target) = make(dropout_rate=0.4), ids
    blocks = [*model.encoder.blocks, *model.decoder.blocks]
    on_weights = [block.self_attention.dropout.rate for block in blocks]
    on_weights += [block.cross_attention.dropout.rate for block in model.decoder.blocks]
    others = [model.dropout.rate, *(block.dropout.rate for block in blocks)]
    assert set(on_weights) == {0.0}
    assert set(others) == {0.4}
    np.testing.assert_array_equal(model(source, target), model(source, target))
    training = model(source, target, training=True)
    assert np.abs(training - model(source, target)).max() > 1e-3


def test_the_first_loss_is_near_that_of_guessing(rng):
    model = make(vocab_size=101, d_model=48)
    source, target, others = rng.integers(4, 101, (3, 7, 6))
    total, count = masked_cross_entropy(model(source[:, :5], target), others, np.ones(others.shape))
    # Logits of variance 1 cost half a nat more.
    assert float(total / count) == pytest.approx(math.log(101) + 0.5, abs=0.4)


def test_post_norm_is_the_default_and_ends_without_a_norm(ids):
    assert make().encoder.final_norm is None
    assert make(norm_first=True).encoder.final_norm is not None
    memory, _, _ = make().encode(ids[0])
    np.testing.assert_allclose(memory.numpy().mean(-1), 0, atol=1e-5)


def test_attention_maps_of_all_three_kinds(ids):
    source, target = ids
    own, to_target, to_source = make().attention_maps(source, target)
    assert [w.shape for w in own] == [(2, 3, 5, 5)] * 2
    assert [w.shape for w in to_target] == [(2, 3, 4, 4)] * 2
    assert [w.shape for w in to_source] == [(2, 3, 4, 5)] * 2
    assert (to_source[0].numpy()[1, :, :, 3:] == 0).all()


def test_the_papers_base_model_has_65_million_parameters():
    class Shared:  # 37,000 pieces, §5.1
        vocab_size, pad_id, bos_id, eos_id = 37_000, 0, 2, 3

    config = TransformerConfig.base(Shared)
    d, f, v = config.d_model, config.d_ff, config.vocab_size
    attention = 4 * (d * d + d)
    block = attention + 2 * d * f + f + d + 2 * 2 * d
    decoder_block = block + attention + 2 * d
    count = 6 * (block + decoder_block) + v * d
    assert count == pytest.approx(65e6, rel=0.04)
    small = make()
    d, f = 12, 20
    attention = 4 * (d * d + d)
    block = attention + 2 * d * f + f + d + 2 * 2 * d
    count = 2 * (2 * block + attention + 2 * d) + 17 * d
    assert small.count_params() == count


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_heads": 5}, "num_heads"),
        ({"d_model": 9}, "even"),
        ({"dropout_rate": -0.1}, "dropout_rate"),
        ({"d_ff": 0}, "d_ff=0"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        TransformerConfig(**SIZES | change)


def test_a_sequence_that_is_too_long_is_refused(ids):
    with pytest.raises(ValueError, match="max_len=9"):
        make()(np.ones((1, 10), "int32"), ids[1][:1])


def test_saved_and_loaded_it_is_the_same(ids, tmp_path):
    model, (source, target) = make(), ids
    model.save(tmp_path)
    again = Transformer.load(tmp_path)
    assert again.config == model.config
    np.testing.assert_array_equal(again(source, target), model(source, target))
