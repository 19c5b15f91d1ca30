import numpy as np
import pytest
import tensorflow as tf

from minitransformer import LearnedPositions, SinusoidalPositions, rotate, sinusoidal_positions


def test_sine_and_cosine_alternate_as_in_the_paper():
    table = sinusoidal_positions(9, 6)
    for pos in range(9):
        for i in range(3):
            angle = pos / 10000 ** (2 * i / 6)
            assert table[pos, 2 * i] == pytest.approx(np.sin(angle), abs=1e-6)
            assert table[pos, 2 * i + 1] == pytest.approx(np.cos(angle), abs=1e-6)


def test_the_dot_product_depends_on_the_distance_alone():
    table = sinusoidal_positions(40, 16)
    products = table @ table.T
    for distance in (0, 1, 7):
        diagonal = np.diagonal(products, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-5)


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match="use 8"):
        sinusoidal_positions(5, 7)


@pytest.mark.parametrize("kind", [SinusoidalPositions, LearnedPositions])
def test_a_later_start_adds_the_rows_from_there(normal, kind):
    layer = kind(max_len=9, d_model=6)
    x = normal(2, 3, 6)
    layer(x)
    table = np.asarray(layer.table)
    np.testing.assert_allclose(layer(x), x + table[:3], rtol=1e-6)
    np.testing.assert_allclose(layer(x, start=4), x + table[4:7], rtol=1e-6)


def test_only_learned_positions_have_weights(normal):
    x = normal(2, 3, 6)
    for kind, count in ((SinusoidalPositions, 0), (LearnedPositions, 1)):
        layer = kind(max_len=9, d_model=6)
        layer(x)
        assert len(layer.trainable_weights) == count


def vectors(*shape, seed=1):
    values = np.random.default_rng(seed).normal(size=shape)
    return tf.constant(values, tf.float32)


def test_a_rotation_is_that_of_the_equation_and_keeps_lengths():
    x = vectors(2, 3, 5, 8)
    turned = rotate(x, start=7).numpy()
    theta = (7 + 4) / 10000 ** (2 * 3 / 8)  # the last position and pair
    a, b = x[1, 2, 4, 3], x[1, 2, 4, 7]
    expected = [a * np.cos(theta) - b * np.sin(theta), a * np.sin(theta) + b * np.cos(theta)]
    np.testing.assert_allclose(turned[1, 2, 4, [3, 7]], expected, rtol=1e-5)
    np.testing.assert_allclose(
        np.linalg.norm(turned, axis=-1), np.linalg.norm(x, axis=-1), rtol=1e-5
    )
    np.testing.assert_array_equal(rotate(x)[:, :, 0], x[:, :, 0])


def test_turned_vectors_know_their_distance_only():
    query, key = vectors(1, 1, 1, 6), vectors(1, 1, 1, 6, seed=2)

    def score(p, q):
        turned = rotate(query, start=p) * rotate(key, start=q)
        return float(tf.reduce_sum(turned))

    assert score(9, 4) == pytest.approx(score(105, 100), rel=1e-3)
    assert abs(score(9, 4) - score(9, 5)) > 1e-3


def test_rotation_needs_pairs():
    with pytest.raises(ValueError, match="head_dim=7 is odd"):
        rotate(vectors(1, 2, 3, 7))


@pytest.mark.parametrize("start", [6, -1])
def test_positions_beyond_the_table_raise_or_are_nan(normal, start):
    layer, x = SinusoidalPositions(max_len=7, d_model=12), normal(2, 2, 12)
    with pytest.raises(ValueError, match="max_len=7"):
        layer(x, start=start)
    with pytest.raises(ValueError, match="max_len=7"):
        layer(x, start=tf.constant(start))

    @tf.function(jit_compile=True, autograph=False)
    def compiled(start):  # in a loop XLA does not know the value
        step = lambda place, _: (place + 1, layer(x, start=place))  # noqa: E731
        return tf.while_loop(lambda place, _: place <= start, step, (start, x))[1]

    assert np.isnan(compiled(tf.constant(start))).all()
    np.testing.assert_allclose(compiled(tf.constant(5)), layer(x, start=5), atol=1e-6)


def test_whole_numbers_are_rotated_as_floats():
    x = np.arange(12).reshape(1, 3, 4)
    np.testing.assert_array_equal(rotate(x), rotate(x.astype("float32")))
