import numpy as np
import pytest
import tensorflow as tf

from minitransformer import classification, masked_cross_entropy, masked_lm, next_token, translation
from minitransformer.data.objectives import chosen_only


def test_next_token_asks_for_each_token_but_the_first(rng):
    token_ids = rng.integers(0, 50, (2, 3, 8))
    inputs, targets, weights = next_token(tf.constant(token_ids))
    assert np.array_equal(inputs, token_ids[..., :7])
    assert np.array_equal(targets, token_ids[..., 1:])
    assert np.array_equal(weights, np.ones((2, 3, 7)))


def test_translation_gives_the_source_and_shifts_the_target():
    source = np.array([[7, 8, 3, 0, 0], [9, 3, 0, 0, 0]])
    target = np.array([[2, 5, 6, 3], [2, 5, 3, 0]])
    (given, inputs), targets, weights = translation(source, target, pad_id=0)
    assert np.array_equal(given, source)
    assert np.array_equal(inputs, [[2, 5, 6], [2, 5, 3]])
    assert np.array_equal(targets, [[5, 6, 3], [5, 3, 0]])
    assert np.array_equal(weights, [[1, 1, 1], [1, 1, 0]])


SPECIAL, MASK = [0, 2, 3, 4], 4


def hide(rows, seed=(0, 0), vocab_size=60):
    return masked_lm(
        tf.constant(rows), special_ids=SPECIAL, mask_id=MASK, vocab_size=vocab_size, seed=seed
    )


@pytest.fixture
def rows(rng):
    """Rows of 3 to 47 tokens, with special ones at both ends."""
    lengths = rng.integers(1, 46, 80)
    ids = np.zeros((80, 50), int)
    for row, length in zip(ids, lengths, strict=True):
        row[0], row[length + 1] = 2, 3
        row[1 : length + 1] = rng.integers(5, 60, length)
    return ids


def test_fifteen_percent_of_each_row_is_chosen(rows):
    _, targets, weights = hide(rows)
    candidates = (~np.isin(rows, SPECIAL)).sum(1)
    expected = np.maximum(np.floor(0.15 * candidates + 0.5 + 1e-9), 1)
    np.testing.assert_array_equal(weights.numpy().sum(1), expected)
    np.testing.assert_array_equal(targets, rows)


def test_special_and_padding_positions_are_never_chosen(rows):
    for seed in range(20):
        inputs, _, weights = hide(rows, seed=(1, seed))
        special = np.isin(rows, SPECIAL)
        assert (weights.numpy()[special] == 0).all()
        np.testing.assert_array_equal(inputs.numpy()[special], rows[special])


def test_a_row_of_special_tokens_has_nothing_to_hide():
    inputs, _, weights = hide([[2, 3, 0, 0]])
    assert weights.numpy().sum() == 0
    assert inputs.numpy().tolist() == [[2, 3, 0, 0]]


def test_eighty_ten_ten():
    rows = np.full((400, 200), 7)
    inputs, _, weights = hide(rows)
    inputs, chosen = inputs.numpy(), weights.numpy() > 0
    assert (inputs[~chosen] == 7).all()
    fate = inputs[chosen]
    assert np.mean(fate == MASK) == pytest.approx(0.8, abs=0.015)
    others = fate[(fate != MASK) & (fate != 7)]
    assert len(others) / len(fate) == pytest.approx(0.1, abs=0.01)
    assert not set(others) & set(SPECIAL)
    assert set(others) == {1, *range(5, 60)} - {7}  # any ordinary token
    # Nobody knows from the place: the choice is spread evenly.
    share = chosen.mean(0)
    assert share.min() > 0.08
    assert share.max() < 0.22


def test_the_same_seed_gives_the_same_masks_and_another_new_ones(rows):
    one = hide(rows, seed=(5, 8))
    for a, b in zip(one, hide(rows, seed=(5, 8)), strict=True):
        np.testing.assert_array_equal(a, b)
    for other in ((5, 9), (6, 8)):
        assert (one[2] != hide(rows, seed=other)[2]).numpy().any()


def test_the_loss_ignores_tokens_that_were_not_chosen(rows, normal):
    _, targets, weights = hide(rows)
    logits = normal(80, 50, 60)
    before = masked_cross_entropy(logits, targets, weights)
    ignored = (weights.numpy() == 0)[..., None]
    changed = logits + 9 * normal(80, 50, 60) * ignored
    after = masked_cross_entropy(changed, targets, weights)
    np.testing.assert_allclose(before, after, rtol=1e-6)


def test_only_the_chosen_are_kept_from_left_to_right():
    targets = np.array([[10, 11, 12, 13, 14], [20, 21, 22, 23, 24]])
    weights = np.array([[0, 1, 0, 0, 1], [0, 0, 0, 1, 0]], "float32")
    positions, kept, counts = chosen_only(targets, weights, count=2)
    assert positions[0].numpy().tolist() == [1, 4]
    assert kept[0].numpy().tolist() == [11, 14]
    assert counts.numpy().tolist() in ([[1, 1], [0, 1]], [[1, 1], [1, 0]])
    assert kept.numpy()[1][counts.numpy()[1] > 0] == 23


def test_a_row_of_padding_has_no_class():
    ids = np.array([[2, 7, 3], [0, 0, 0]])
    inputs, targets, weights = classification(tf.constant(ids), tf.constant([[4], [0]]), pad_id=0)
    assert weights.numpy().tolist() == [[1.0], [0.0]]
    assert targets.numpy().tolist() == [[4], [0]]
    np.testing.assert_array_equal(inputs, ids)
