import numpy as np
import pytest

from minitransformer import banded_mask, causal_mask, padding_mask, widen_padding_mask


def test_true_means_may_attend_and_no_position_sees_a_later_one():
    mask = causal_mask(4).numpy()
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, np.tril(np.ones((4, 4), bool)))


def test_queries_are_the_last_positions_when_there_are_more_keys():
    expected = [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    np.testing.assert_array_equal(causal_mask(2, 5), np.array(expected, bool))


@pytest.mark.parametrize("start", [0, 1, 3])
def test_start_says_where_the_queries_stand(start):
    mask = causal_mask(2, 6, start=start).numpy()
    np.testing.assert_array_equal(mask.sum(axis=1), [start + 1, start + 2])


@pytest.mark.parametrize("width", [1, 3, 5, 9])
def test_a_band_is_the_position_itself_and_those_just_before_it(width):
    mask = banded_mask(5, width=width).numpy()
    expected = [[i - width < j <= i for j in range(5)] for i in range(5)]
    np.testing.assert_array_equal(mask, expected)
    assert (mask == causal_mask(5).numpy()).all() == (width >= 5)


@pytest.mark.parametrize("start", [None, 0, 3])
def test_a_band_begins_where_the_queries_stand(start):
    mask = banded_mask(2, 7, width=3, start=start).numpy()
    first = 5 if start is None else start  # the last positions by default
    keys = [np.flatnonzero(row).tolist() for row in mask]
    assert keys == [[j for j in range(7) if i - 3 < j <= i] for i in (first, first + 1)]


@pytest.mark.parametrize("width", [0, -1, 2.5, True, "3", None, float("nan")])
def test_a_band_without_a_width_is_refused(width):
    with pytest.raises((TypeError, ValueError), match=r"width=.*: give an integer of at least 1"):
        banded_mask(4, 5, width=width)


def test_padding_mask_is_true_for_real_tokens():
    ids = np.array([[5, 7, 9, 0], [0, 3, 9, 9]])
    mask = padding_mask(ids, pad_id=9).numpy()
    np.testing.assert_array_equal(mask, [[True, True, False, True], [True, True, False, False]])


def test_widened_padding_mask_hides_keys_and_not_queries():
    mask = np.array([[True, True, False]])
    wide = widen_padding_mask(mask)
    assert wide.shape == (1, 1, 1, 3)
    over_weights = np.broadcast_to(wide, (1, 2, 4, 3))
    assert not over_weights[..., 2].any()
    assert over_weights[..., :2].all()


def test_without_heads_and_without_a_mask():
    mask = np.array([[True, True, False]])
    wide = widen_padding_mask(mask, heads=False)
    np.testing.assert_array_equal(wide, [[[True, True, False]]])
    assert widen_padding_mask(None) is None


@pytest.mark.parametrize("n", [np.int64(2), np.int32(2), 2])
def test_numpys_numbers_are_sizes(n):
    np.testing.assert_array_equal(causal_mask(n, 4, start=np.int64(1)), causal_mask(2, 4, start=1))


@pytest.mark.parametrize("mask", [[True, False], [[[True]]], np.ones((2, 3))])
def test_a_padding_mask_of_another_shape_or_type_is_named(mask):
    with pytest.raises((TypeError, ValueError), match="padding_mask has"):
        widen_padding_mask(mask)
