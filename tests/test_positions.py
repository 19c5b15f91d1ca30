import numpy as np
import pytest

from minitransformer import (
    LearnedPositions,
    SinusoidalPositions,
    sinusoidal_positions,
)


def test_sine_and_cosine_alternate_as_in_the_paper():
    table = sinusoidal_positions(9, 6)
    for pos in range(9):
        for i in range(3):
            angle = pos / 10000 ** (2 * i / 6)
            assert table[pos, 2 * i] == pytest.approx(
                np.sin(angle), abs=1e-6
            )
            assert table[pos, 2 * i + 1] == pytest.approx(
                np.cos(angle), abs=1e-6
            )


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
