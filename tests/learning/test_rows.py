import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from minitransformer import (
    NGramGPT,
    NGramGPTConfig,
    make_muon_optimizer,
    make_row_optimizer,
    plain_step,
)
from minitransformer.learning.fast_steps import compile_steps
from minitransformer.learning.rows import added, divided, merged_rows, update_rows


def make(make_optimizer=make_row_optimizer, **options):
    keras.utils.set_random_seed(1)
    sizes = {"vocab_size": 23, "max_len": 11, "d_model": 16, "num_heads": 2, "num_layers": 2}
    model = NGramGPT(NGramGPTConfig(**sizes, longest=4, rows=101, **options))
    tables = model.memory.tables.values()
    return model, make_optimizer(model, tables=tables, learning_rate=1e-2)


def batches(rng, count, rows=4):
    ids = rng.integers(0, 23, (count, rows, 12)).astype("int32")
    return ids[..., :-1], ids[..., 1:], np.ones((count, rows, 11), "float32")


def slices(rng):
    """A gradient that reads row 3 three times and others once."""
    rows = tf.constant([3, 0, 3, 6, 3])
    values = rng.normal(size=(5, 4)).astype("float32")
    return tf.IndexedSlices(tf.constant(values), rows, tf.constant([7, 4]))


def test_merged_rows_are_the_same_gradient(rng):
    gradient = slices(rng)
    merged = merged_rows(gradient)
    np.testing.assert_allclose(
        tf.convert_to_tensor(merged), tf.convert_to_tensor(gradient), rtol=1e-6
    )
    assert not merged.values.numpy()[[2, 4]].any()


def test_the_sum_of_rows_is_the_dense_sum(rng):
    several = [slices(rng), slices(rng)]
    rows, dense = added(several, by_rows=True), added(several, by_rows=False)
    assert isinstance(rows, tf.IndexedSlices)
    assert not isinstance(dense, tf.IndexedSlices)
    np.testing.assert_allclose(tf.convert_to_tensor(rows), dense, rtol=1e-5)
    assert len(np.flatnonzero(rows.values.numpy().any(1))) == 3  # each row once


def test_row_by_row_is_the_dense_update(rng):
    gradient = slices(rng)
    tables, sums = [], []
    for form in (tf.convert_to_tensor(gradient), merged_rows(gradient)):
        table = tf.Variable(tf.ones((7, 4)))
        total = tf.Variable(tf.range(7.0))
        for _ in range(3):
            update_rows(table, total, divided(form, 2.0), 0.1)
        tables.append(table.numpy())
        sums.append(total.numpy())
    np.testing.assert_allclose(*tables, rtol=1e-6)
    np.testing.assert_allclose(*sums, rtol=1e-6)
    assert (tables[0][[1, 2, 4, 5]] == 1).all()  # nothing read them
    assert (tables[0][[0, 3, 6]] != 1).all()


def test_a_table_with_one_column_learns_by_keras_adagrad(rng):
    theirs = keras.Variable(np.ones((7, 1), "float32"))
    optimizer = keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.0, epsilon=1e-10)
    table, sums = tf.Variable(tf.ones((7, 1))), tf.Variable(tf.zeros(7))
    for _ in range(3):
        gradient = rng.normal(size=(7, 1)).astype("float32")
        optimizer.apply([tf.constant(gradient)], [theirs])
        update_rows(table, sums, tf.constant(gradient), 0.1)
    np.testing.assert_allclose(table, theirs, rtol=1e-5)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("use_xla", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("make_optimizer", [make_row_optimizer, make_muon_optimizer])
def test_fast_steps_are_plain_steps(rng, accumulate, use_xla, make_optimizer):
    stack = batches(rng, 3 * accumulate)
    model, optimizer = make(make_optimizer)
    for i in range(0, 3 * accumulate, accumulate):
        several = [tuple(a[k] for a in stack) for k in range(i, i + accumulate)]
        _, norm = plain_step(model, optimizer, several)
    fast, fast_optimizer = make(make_optimizer)
    steps = compile_steps(fast, fast_optimizer, seed=0, use_xla=use_xla, accumulate=accumulate)
    _, fast_norm = steps(stack, tf.constant(0), tf.constant(3))
    assert float(fast_norm) == pytest.approx(float(norm), rel=1e-4)
    for ours, expected in zip(fast.weights, model.weights, strict=True):
        np.testing.assert_allclose(ours, expected, atol=2e-5)


@pytest.mark.parametrize("make_optimizer", [make_row_optimizer, make_muon_optimizer])
def test_what_was_read_learns_and_the_rest_stays_zero(rng, make_optimizer):
    model, optimizer = make(make_optimizer)
    inputs, targets, weights = (a[0] for a in batches(rng, 1))
    plain_step(model, optimizer, [(inputs, targets, weights)])
    table = model.memory.tables[4].numpy()
    moved = np.flatnonzero(table.any(1))
    assert 0 < len(moved) <= inputs.size
    # The first step of Adagrad: a row moves by rate · FACTOR in the mean square.
    np.testing.assert_allclose((table[moved] ** 2).mean(1) ** 0.5, 0.1, rtol=1e-3)


def test_a_rate_that_makes_no_sense_is_refused():
    model, _ = make()
    for wrong in ({"learning_rate": -1.0}, {"learning_rate": 0.1, "beta_2": 1.0}):
        with pytest.raises(ValueError, match=[*wrong][-1]):
            make_row_optimizer(model, tables=[], **wrong)


def test_the_sums_are_part_of_the_optimizers_state():
    model, optimizer = make()
    shapes = [tuple(v.shape) for v in optimizer.variables]
    assert all((table.shape[0],) in shapes for table in model.memory.tables.values())
    assert all(tuple(t.shape) not in shapes for t in model.memory.tables.values())


def test_several_devices_are_refused(monkeypatch):
    model, _ = make()
    two = types.SimpleNamespace(num_replicas_in_sync=2)
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: two)
    with pytest.raises(ValueError, match="one device only"):
        make_row_optimizer(model, tables=model.memory.tables.values(), learning_rate=1e-2)
