import numpy as np
import tensorflow as tf

from minitransformer import TokenEmbedding


def test_ids_find_their_rows():
    layer = TokenEmbedding(vocab_size=11, d_model=6)
    ids = np.array([[3, 0, 10], [1, 1, 2]])
    vectors = layer(ids)
    assert vectors.shape == (2, 3, 6)
    np.testing.assert_array_equal(vectors, layer.table.numpy()[ids])


def test_logits_are_dot_products_with_the_same_table(normal):
    layer = TokenEmbedding(vocab_size=11, d_model=6)
    layer(np.array([[0]]))
    hidden = normal(2, 3, 6)
    np.testing.assert_allclose(layer.logits(hidden), hidden @ layer.table.numpy().T, atol=1e-7)
    assert len(layer.trainable_weights) == 1


def test_the_gradient_comes_from_both_ends():
    layer = TokenEmbedding(vocab_size=5, d_model=3)
    ids = np.array([[1, 2]])
    layer(ids)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer.logits(layer(ids))[..., 4])
    gradient = tf.convert_to_tensor(tape.gradient(loss, layer.table.value))
    table = layer.table.numpy()
    expected = np.zeros((5, 3))
    expected[[1, 2]] += table[4]  # through the look-up
    expected[4] += table[1] + table[2]  # through the logits
    np.testing.assert_allclose(gradient, expected, atol=1e-6)
