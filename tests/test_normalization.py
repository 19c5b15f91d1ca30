import keras
import numpy as np
import pytest

from minitransformer import LayerNorm


def test_every_token_has_mean_0_and_variance_1(normal):
    y = LayerNorm()(5 + 3 * normal(2, 3, 64)).numpy()
    np.testing.assert_allclose(y.mean(axis=-1), 0, atol=1e-5)
    np.testing.assert_allclose(y.var(axis=-1), 1, atol=1e-4)


@pytest.mark.parametrize("epsilon", [1e-3, 1e-5, 1e-12])
def test_same_as_keras(normal, epsilon):
    x = 0.1 * normal(2, 3, 7)
    ours = LayerNorm(epsilon=epsilon)
    theirs = keras.layers.LayerNormalization(epsilon=epsilon)
    ours(x), theirs(x)
    weights = [normal(7), normal(7)]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)


def test_no_token_changes_another(normal):
    layer = LayerNorm()
    x = normal(2, 3, 7)
    before = layer(x).numpy()
    x[1, 2, 0] = 1
    changed = (before != layer(x).numpy()).any(axis=-1)
    np.testing.assert_array_equal(np.argwhere(changed), [[1, 2]])


def test_use_bias_false_learns_a_gain_only(normal):
    layer = LayerNorm(use_bias=False)
    layer(normal(2, 3, 7))
    assert [w.name for w in layer.trainable_weights] == ["gain"]
