import keras
import numpy as np
import pytest
import tensorflow as tf

from minitransformer import LayerNorm, RMSNorm


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


def test_a_norm_keeps_the_direction_of_the_centred_vector(normal):
    x = 2 + normal(2, 3, 7)
    centred, y = x - x.mean(axis=-1, keepdims=True), LayerNorm()(x).numpy()

    def cosine(a):
        lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(y, axis=-1)
        return (a * y).sum(axis=-1) / lengths

    np.testing.assert_allclose(cosine(centred), 1, atol=1e-5)
    assert (cosine(x) < 0.9).all()


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


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_neither_overflows_nor_divides_by_zero(dtype):
    norm = LayerNorm(epsilon=1e-12, dtype=keras.DTypePolicy(f"mixed_{dtype}"))
    constant = norm(tf.fill((2, 4), tf.constant(3, dtype)))
    np.testing.assert_array_equal(tf.cast(constant, tf.float32), np.zeros((2, 4)))
    x = np.array([[0.0, 600, -600, 300], [60000, -60000, 1, 0]], "float32")
    y = tf.cast(norm(tf.cast(x, dtype)), tf.float32)
    np.testing.assert_allclose(y, LayerNorm()(x), rtol=0.02, atol=0.01)


def test_a_negative_epsilon_is_refused():
    with pytest.raises(ValueError, match="epsilon=-1"):
        LayerNorm(epsilon=-1)


@pytest.mark.parametrize("epsilon", [1e-3, 1e-5])
def test_rms_norm_is_the_same_as_keras(normal, epsilon):
    x = 0.1 * normal(2, 3, 7)
    ours, theirs = RMSNorm(epsilon=epsilon), keras.layers.RMSNormalization(epsilon=epsilon)
    ours(x), theirs(x)
    assert [w.name for w in ours.trainable_weights] == ["gain"]
    gain = [normal(7)]
    ours.set_weights(gain)
    theirs.set_weights(gain)
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)


def test_rms_norm_keeps_the_direction_and_layer_norm_the_centred_one(normal):
    x = 2 + normal(2, 3, 7)
    y = RMSNorm()(x).numpy()
    np.testing.assert_allclose((y**2).mean(axis=-1), 1, atol=1e-4)
    lengths = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
    np.testing.assert_allclose((x * y).sum(axis=-1) / lengths, 1, atol=1e-5)
    centred = x - x.mean(axis=-1, keepdims=True)
    np.testing.assert_allclose(RMSNorm()(centred), LayerNorm()(x), atol=1e-5)


def test_rms_norm_can_have_a_bias(normal):
    layer = RMSNorm(use_bias=True)
    x = normal(2, 3, 7)
    layer(x)
    layer.set_weights([np.ones(7), np.arange(7)])
    np.testing.assert_allclose(layer(x), RMSNorm()(x) + np.arange(7), atol=1e-6)


@pytest.mark.parametrize("norm", [LayerNorm, RMSNorm])
def test_whole_numbers_are_taken_as_floats(norm):
    x = np.array([[1, 2, 4]])
    np.testing.assert_array_equal(norm()(x), norm()(x.astype("float32")))
