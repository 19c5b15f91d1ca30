import numpy as np
import tensorflow as tf

from minitransformer import FeedForward, GatedFeedForward


def test_two_matrices_and_a_relu_between(normal):
    layer = FeedForward(d_model=6, d_ff=10)
    x = normal(2, 3, 6)
    layer(x)
    w1, b1, w2, b2 = (normal(*w.shape) for w in layer.weights)
    layer.set_weights([w1, b1, w2, b2])
    expected = np.maximum(x @ w1 + b1, 0) @ w2 + b2
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


def test_the_activation_given_is_used(normal):
    x = normal(2, 3, 6)
    layer = FeedForward(d_model=6, d_ff=10, activation=tf.zeros_like)
    np.testing.assert_array_equal(layer(x), np.zeros((2, 3, 6)))


def test_no_position_sees_another(normal):
    layer = FeedForward(d_model=6, d_ff=10)
    x = normal(2, 3, 6)
    before = layer(x).numpy()
    x[1, 2] += 1
    changed = (before != layer(x).numpy()).any(axis=-1)
    np.testing.assert_array_equal(np.argwhere(changed), [[1, 2]])


def test_use_bias_false_leaves_two_kernels(normal):
    layer = FeedForward(d_model=6, d_ff=10, use_bias=False)
    layer(normal(2, 3, 6))
    assert [tuple(w.shape) for w in layer.weights] == [(6, 10), (10, 6)]


def test_the_gate_multiplies_the_expanded_vector(normal):
    layer = GatedFeedForward(d_model=6, d_ff=10)
    x = normal(2, 3, 6)
    layer(x)
    weights = {w.path: normal(*w.shape) for w in layer.weights}
    for weight in layer.weights:
        weight.assign(weights[weight.path])
    w1, b1, w2, b2, w_gate, b_gate = weights.values()
    gate = x @ w_gate + b_gate
    expected = (gate / (1 + np.exp(-gate)) * (x @ w1 + b1)) @ w2 + b2
    np.testing.assert_allclose(layer(x), expected, atol=1e-4)


def test_a_closed_gate_leaves_the_last_bias_only(normal):
    layer = GatedFeedForward(d_model=6, d_ff=10, activation="relu")
    x = normal(2, 3, 6)
    layer(x)
    layer.gate_dense.bias.assign(np.full(10, -1000))
    layer.contract_dense.bias.assign(np.arange(6))
    np.testing.assert_array_equal(layer(x), np.broadcast_to(np.arange(6), (2, 3, 6)))


def test_use_bias_false_leaves_three_kernels(normal):
    layer = GatedFeedForward(d_model=6, d_ff=10, use_bias=False)
    layer(normal(2, 3, 6))
    assert [tuple(w.shape) for w in layer.weights] == [(6, 10), (10, 6), (6, 10)]
