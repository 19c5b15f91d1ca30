import keras
import numpy as np
import pytest

from minitransformer import masked_accuracy, masked_cross_entropy


def test_equals_a_calculation_by_hand():
    logits = np.log([[[0.5, 0.25, 0.25], [0.1, 0.1, 0.8], [0.2, 0.6, 0.2]]])
    targets, weights = np.array([[0, 2, 1]]), np.array([[1.0, 1.0, 0.0]])
    loss, count = masked_cross_entropy(logits, targets, weights)
    assert float(count) == 2
    np.testing.assert_allclose(loss, -np.log(0.5) - np.log(0.8), rtol=1e-6)


def test_more_padding_moves_nothing(normal, rng):
    logits, targets = normal(2, 3, 7), rng.integers(0, 7, (2, 3))
    weights = np.array([[1, 1, 0], [1, 1, 1]], "float32")
    before = masked_cross_entropy(logits, targets, weights)
    pad = [(0, 0), (0, 4)]
    after = masked_cross_entropy(
        np.concatenate([logits, 100 * normal(2, 4, 7)], axis=1),
        np.pad(targets, pad, constant_values=3),
        np.pad(weights, pad),
    )
    np.testing.assert_allclose(before, after, rtol=1e-6)


def test_same_as_keras_without_padding(normal, rng):
    logits, targets = normal(2, 3, 7), rng.integers(0, 7, (2, 3))
    loss, count = masked_cross_entropy(logits, targets, np.ones((2, 3)))
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(targets, logits)
    np.testing.assert_allclose(loss / count, expected, rtol=1e-6)


def test_label_smoothing_is_the_cross_entropy_with_a_soft_target(normal, rng):
    logits, targets = normal(2, 3, 7), rng.integers(0, 7, (2, 3))
    weights = np.array([[1, 1, 0], [1, 0, 0]])
    soft = 0.9 * np.eye(7)[targets] + 0.1 / 7
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = (-(soft * logs).sum(-1) * weights).sum()
    total, count = masked_cross_entropy(logits, targets, weights, 0.1)
    assert float(total) == pytest.approx(expected, rel=1e-5)
    assert float(count) == 3


def test_accuracy_and_loss_do_not_move_with_more_padding(normal, rng):
    logits, targets = normal(2, 3, 7), rng.integers(0, 7, (2, 3))
    targets[0, 0] = logits[0, 0].argmax()
    weights = np.array([[1, 1, 1], [1, 0, 0]])
    padded = [
        np.pad(array, ((0, 1), (0, 4), (0, 0))[: array.ndim])
        for array in (logits, targets, weights)
    ]
    for measure in (masked_accuracy, masked_cross_entropy):
        before = measure(logits, targets, weights)
        after = measure(*padded)
        np.testing.assert_allclose(before, after, rtol=1e-5)
    hits, count = masked_accuracy(logits, targets, weights)
    right = (logits.argmax(-1) == targets) * weights
    assert float(hits) == right.sum() >= 1
    assert float(count) == 4
