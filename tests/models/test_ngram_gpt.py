import json

import numpy as np
import pytest
import tensorflow as tf

from minitransformer import NGramGPT, NGramGPTConfig, generate
from minitransformer.models.ngram_gpt import NGramMemory, ngram_rows

SIZES = {"vocab_size": 23, "max_len": 11, "d_model": 16, "num_heads": 2, "num_layers": 3}


@pytest.fixture(scope="module")
def model():
    """A small model whose memory is not empty."""
    model = NGramGPT(NGramGPTConfig(**SIZES, longest=4, rows=101))
    rng = np.random.default_rng(0)
    for table in model.memory.tables.values():
        table.assign(rng.normal(size=table.shape))
    return model


def test_the_row_is_the_polynomial_of_the_last_tokens():
    marks = np.array([[5, 7, 2, 9]])
    rows = ngram_rows(tf.constant(marks), 3, 24, 101).numpy()
    expected = [5, 5 * 24 + 7, 5 * 24**2 + 7 * 24 + 2, 7 * 24**2 + 2 * 24 + 9]
    np.testing.assert_array_equal(rows, [np.array(expected) % 101])


def test_long_n_grams_of_large_vocabularies_wrap_around_to_rows(rng):
    marks = rng.integers(1, 50_001, (4, 90))
    rows = ngram_rows(tf.constant(marks, tf.int32), 5, 50_001, 997).numpy()
    assert rows.min() >= 0
    assert rows.max() < 997
    assert len(np.unique(rows)) > 250  # of 360 n-grams: spread over the table


def test_a_long_n_gram_is_more_than_its_last_tokens_whatever_the_vocabulary():
    marks = tf.constant([[3, 4, 5, 6, 7], [9, 4, 5, 6, 7]])
    for vocab_size in (1023, 97, 65, 64):  # 1024 to the power of 4 wraps around to 0
        base = NGramMemory(vocab_size=vocab_size, d_model=4, longest=5, rows=997).base
        first, second = ngram_rows(marks, 5, base, 997).numpy()[:, -1]
        assert first != second


def test_no_two_bigrams_of_a_small_vocabulary_share_a_row():
    pairs = np.stack(np.meshgrid(np.arange(24), np.arange(1, 24)), -1).reshape(-1, 2)
    rows = ngram_rows(tf.constant(pairs, tf.int32), 2, 24, 24**2).numpy()[:, 1]
    assert len(np.unique(rows)) == len(pairs)


def test_memory_sums_one_vector_for_each_length(rng):
    layer = NGramMemory(vocab_size=9, d_model=5, longest=3, rows=997)
    marks = rng.integers(1, 10, (2, 7)).astype("int32")
    assert not np.any(layer(marks, start=0, seq=7))
    for table in layer.tables.values():
        table.assign(rng.normal(size=table.shape))
    assert layer.tables[2].shape == (121, 5)  # all pairs of marks below 11
    last = sum(
        table.numpy()[ngram_rows(marks, n, 11, table.shape[0])[:, -1]]
        for n, table in layer.tables.items()
    )
    np.testing.assert_allclose(layer(marks, start=6, seq=1)[:, 0], last, rtol=1e-6)


def test_dropout_drops_an_n_gram_whole_and_only_in_training(rng):
    layer = NGramMemory(vocab_size=9, d_model=50, longest=2, rows=997, dropout_rate=0.4)
    marks = rng.integers(1, 10, (3, 70)).astype("int32")
    layer(marks, start=0, seq=70)
    layer.tables[2].assign(np.ones((121, 50)))
    kept = layer(marks, start=0, seq=70, training=True).numpy()
    np.testing.assert_allclose(np.unique(kept.round(4)), [0, 1.6667])
    assert (kept == kept[..., :1]).all()
    assert (kept[..., 0] == 0).mean() == pytest.approx(0.4, abs=0.15)
    np.testing.assert_array_equal(layer(marks, start=0, seq=70), np.ones((3, 70, 50)))


def test_changing_a_token_changes_no_earlier_logits(model, rng):
    ids = rng.integers(0, 23, (2, 9))
    before = model(ids).numpy()
    ids[1, 5] = (ids[1, 5] + 1) % 23
    after = model(ids).numpy()
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert np.abs(before - after)[1, 5:].max() > 1e-3


def test_a_memory_alone_tells_pairs_apart(rng):
    """Without attention's help: the vectors that enter the blocks differ."""
    layer = NGramMemory(vocab_size=9, d_model=5, longest=2, rows=997)
    marks = np.array([[1, 2, 3], [2, 2, 3]], "int32")
    layer(marks, start=0, seq=3)
    layer.tables[2].assign(rng.normal(size=(121, 5)))
    first, second = layer(marks, start=0, seq=3).numpy()
    assert np.abs(first - second)[:2].min() > 1e-3
    np.testing.assert_array_equal(first[2], second[2])  # the pair 2, 3 in both


def test_token_by_token_with_a_cache_is_all_at_once(model, rng):
    ids = rng.integers(0, 23, (2, 10))
    whole, _, _ = model.forward(ids)
    cache = model.start_cache(2)
    first, _, cache = model.forward(ids[:, :4], cache, 0)
    parts = [first]
    for place in range(4, 10):
        logits, _, cache = model.forward(ids[:, place : place + 1], cache, place)
        parts.append(logits)
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, atol=1e-5)


@pytest.mark.parametrize("use_xla", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_generation_past_the_window_is_the_same_with_and_without_cache(model, use_xla):
    made = [
        generate(
            model,
            [[1, 2, 3], [4, 5, 6]],
            max_new_tokens=25,
            temperature=0,
            use_cache=use_cache,
            use_xla=use_xla,
        )
        for use_cache in (True, False)
    ]
    np.testing.assert_array_equal(*made)


def test_saved_and_loaded_it_is_the_same(model, tmp_path, rng):
    ids = rng.integers(0, 23, (2, 9))
    model.save(tmp_path)
    np.testing.assert_array_equal(NGramGPT.load(tmp_path)(ids), model(ids))


def test_a_damaged_size_of_the_memory_is_refused_before_it_is_made(model, tmp_path):
    model.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"rows": 5 * 10**9, "vocab_size": 100_000}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="far too few"):
        NGramGPT.load(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"longest": 1}, "give at least 2"),
        ({"rows": 0}, "rows"),
        ({"max_len": 1}, "max_len must be at least 2"),
        ({"d_model": 6}, "width even"),
        ({"memory_dropout_rate": 1.0}, "memory_dropout_rate"),
    ],
)
def test_impossible_sizes_are_refused(wrong, message):
    sizes = SIZES | {"longest": 3, "rows": 7} | wrong
    with pytest.raises(ValueError, match=message):
        NGramGPTConfig(**sizes)
