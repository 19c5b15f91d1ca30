"""Scores of heads whose habits are known."""

import numpy as np
import pytest

from minitransformer import entropy, head_scores
from minitransformer.inside.heads import habits

IDS = np.array([[7, 8, 9, 7, 8, 8], [1, 2, 3, 4, 2, 1]])  # (batch, seq)


def test_entropy_is_the_logarithm_of_how_many_keys_share_the_weight():
    weights = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4])
    np.testing.assert_allclose(entropy(weights), [0, np.log(2), np.log(4)])
    np.testing.assert_allclose(entropy([0.7, 0.3]), -0.7 * np.log(0.7) - 0.3 * np.log(0.3))


def test_the_keys_of_each_kind_are_those_of_a_loop():
    marked = habits(IDS)
    for batch, ids in enumerate(IDS):
        for query in range(6):
            for key in range(6):
                at = (batch, query, key)
                assert marked["previous"][at] == (key == query - 1)
                assert marked["next"][at] == (key == query + 1)
                assert marked["first"][at] == (key == 0 < query)
                assert marked["duplicate"][at] == (key < query and ids[key] == ids[query])
                follows = 0 < key < query and ids[key - 1] == ids[query]
                assert marked["induction"][at] == follows


def test_a_head_with_one_habit_has_one_score_of_1():
    marked = habits(IDS)
    heads = np.zeros((2, 5, 6, 6))
    for head, kind in enumerate(marked):
        rows = marked[kind].any(-1, keepdims=True)
        heads[:, head] = marked[kind] / np.maximum(marked[kind].sum(-1, keepdims=True), 1)
        heads[:, head, :, 5] += ~rows[..., 0]  # what has no such key looks elsewhere
    scores = head_scores(heads, IDS)
    assert list(scores) == ["previous", "next", "first", "duplicate", "induction"]
    for head, kind in enumerate(scores):
        assert scores[kind].shape == (5,)
        np.testing.assert_allclose(scores[kind][head], 1)
    assert scores["previous"][2] == pytest.approx(1 / 5)  # key 0 is previous for query 1


def test_without_such_a_key_there_is_no_score():
    scores = head_scores(np.full((1, 2, 3, 3), 1 / 3), [[4, 5, 6]])
    assert np.isnan(scores["duplicate"]).all()
    assert np.isnan(scores["induction"]).all()
    np.testing.assert_allclose(scores["previous"], 1 / 3)


@pytest.mark.parametrize("shape", [(2, 4, 5, 5), (2, 4, 6, 5), (6, 6)])
def test_weights_of_other_tokens_are_refused(shape):
    with pytest.raises(ValueError, match="and the token ids that the model read"):
        head_scores(np.zeros(shape), IDS)
