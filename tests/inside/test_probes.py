"""A probe reads what a line can read; neighbours and neurons are sorted."""

import numpy as np
import pytest
from test_contract import D_FF, KEY, gpt, ids

import minitransformer as mt


def test_a_probe_is_the_least_squares_solution(normal, rng):
    vectors, labels = normal(40, 7), rng.integers(0, 3, 40)
    with_bias = np.column_stack([vectors, np.ones(40)])
    expected, *_ = np.linalg.lstsq(with_bias, np.eye(3)[labels], rcond=None)
    np.testing.assert_allclose(mt.fit_probe(vectors, labels, ridge=0), expected, atol=1e-8)
    small = mt.fit_probe(vectors, labels, ridge=1e6)
    assert np.abs(small).max() < 1e-4


def test_a_probe_reads_new_vectors_and_needs_its_bias(normal):
    def examples(count):
        vectors = normal(count, 6) + 5  # far from the origin
        return vectors, (vectors[:, 2] > 5).astype(int)

    probe = mt.fit_probe(*examples(300))
    vectors, labels = examples(200)
    assert np.mean(mt.read_probe(probe, vectors) == labels) > 0.9
    assert (
        np.mean(mt.read_probe(probe * np.append(np.ones(6), 0)[:, None], vectors) == labels) < 0.7
    )


def test_one_label_per_vector(normal):
    with pytest.raises(ValueError, match=r"5 vectors and labels of shape \(4,\)"):
        mt.fit_probe(normal(5, 3), [0, 1, 0, 1])


def test_neighbours_have_the_largest_cosines():
    table = np.array([[1, 0], [0, 3], [5, 5], [-2, 0], [9, 1]])
    found = mt.neighbours(table, 0, 3)
    assert [row for row, _ in found] == [4, 2, 1]
    np.testing.assert_allclose([c for _, c in found], [9 / 82**0.5, 0.5**0.5, 0])


def test_the_strongest_activations_are_found_where_they_are():
    model, site = gpt(), "block0.feed_forward.activations"
    active = np.array(mt.capture(model, ids(KEY), [site])[site][..., D_FF - 3])
    found = mt.strongest(model, ids(KEY), site, D_FF - 3, count=4)
    assert [value for *_, value in found] == sorted(active.ravel(), reverse=True)[:4]
    assert all(active[row, position] == value for row, position, value in found)


def test_arguments_out_of_range_are_refused(normal):
    x = normal(6, 3)
    for labels in ([-1, 0, 1, -1, 0, 1], [0.5] * 6, [True] * 6):
        with pytest.raises(ValueError, match="labels"):
            mt.fit_probe(x, labels)
    with pytest.raises(ValueError, match="ridge"):
        mt.fit_probe(x, [0, 1] * 3, ridge=-1)
    with pytest.raises(ValueError, match="row"):
        mt.neighbours(x, -1)
    with pytest.raises(ValueError, match="count"):
        mt.neighbours(x, 1, -1)
