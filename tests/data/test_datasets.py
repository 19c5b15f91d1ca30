import itertools

import numpy as np
import pytest

from minitransformer import consecutive_windows, next_token, random_windows

IDS = np.arange(100, 200)


def first(dataset, count):
    return [[part.numpy() for part in batch] for batch in itertools.islice(dataset, count)]


def test_targets_are_the_inputs_one_position_later():
    inputs, targets, weights = next_token(np.array([[7, 8, 9, 5]]))
    np.testing.assert_array_equal(inputs, [[7, 8, 9]])
    np.testing.assert_array_equal(targets, [[8, 9, 5]])
    np.testing.assert_array_equal(weights, [[1, 1, 1]])


def test_random_windows_are_cut_from_the_text_everywhere():
    data = random_windows(IDS, seq_len=5, batch_size=30, seed=3)
    seen = set()
    for inputs, targets, weights in first(data, 40):
        assert inputs.shape == targets.shape == weights.shape == (30, 5)
        np.testing.assert_array_equal(targets, inputs + 1)
        np.testing.assert_array_equal(np.diff(inputs, axis=1), 1)
        seen |= set(inputs[:, 0]) | set(targets[:, -1])
    assert seen == set(range(100, 200))


def test_a_batch_depends_on_seed_and_number_alone():
    options = {"seq_len": 5, "batch_size": 4}
    whole = first(random_windows(IDS, seed=3, **options), 6)
    later = first(random_windows(IDS, seed=3, first=4, **options), 2)
    for a, b in zip(whole[4:], later, strict=True):
        np.testing.assert_array_equal(a, b)
    other = first(random_windows(IDS, seed=4, **options), 6)
    assert (whole[0][0] != other[0][0]).any()
    assert (whole[0][0] != whole[1][0]).any()


@pytest.mark.parametrize("tokens", [2, 5, 6, 7, 31, 61, 100])
def test_validation_asks_for_every_token_but_the_first_once(tokens):
    ids = IDS[:tokens]
    asked = []
    for inputs, targets, weights in consecutive_windows(ids, seq_len=5, batch_size=6):
        assert inputs.shape == (6, 5)
        real = weights.numpy() == 1
        assert set(np.unique(weights)) <= {0.0, 1.0}
        asked += targets.numpy()[real].tolist()
        np.testing.assert_array_equal(inputs[real] + 1, targets[real])
    assert asked == ids[1:].tolist()


def test_a_text_shorter_than_a_window_is_refused():
    options = {"seq_len": 5, "batch_size": 1}
    random_windows(IDS[:6], seed=0, **options)
    with pytest.raises(ValueError, match="one window"):
        random_windows(IDS[:5], seed=0, **options)
    with pytest.raises(ValueError, match="for validation"):
        consecutive_windows(IDS[:1], **options)


@pytest.mark.parametrize("windows", [random_windows, consecutive_windows])
@pytest.mark.parametrize("ids", [[0.7] * 20, [True] * 20, [[1, 2]] * 20, [-1] * 20, [2**32] * 20])
def test_what_is_no_row_of_ids_is_refused(windows, ids):
    options = {"seed": 0} if windows is random_windows else {}
    with pytest.raises(ValueError, match="token_ids"):
        windows(np.array(ids), seq_len=4, batch_size=2, **options)
