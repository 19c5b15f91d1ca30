import numpy as np
import pytest

from minitransformer import all_pairs, random_pairs
from minitransformer.data.buckets import by_length, encode_pairs, fill


class Words:
    """A tokenizer that numbers words from 10, by their length."""

    pad_id, bos_id, eos_id = 0, 2, 3

    def encode(self, text):
        return [10 + len(word) for word in text.split()]


def encoded(count=40):
    rng = np.random.default_rng(5)
    return [
        ([*range(10, 10 + n), 3], [2, *range(30, 30 + m), 3])
        for n, m in rng.integers(1, 9, (count, 2))
    ]


def test_sentences_get_a_beginning_and_an_end():
    pairs = [("a bb", "ccc"), ("a a a a a", "b")]
    rows, skipped = encode_pairs(pairs, [Words()] * 2, max_len=5)
    assert rows == [([11, 12, 3], [2, 13, 3])]
    assert skipped == 1
    rows, skipped = encode_pairs(pairs, [Words()] * 2, max_len=6)
    assert len(rows) == 2
    assert skipped == 0


def test_padding_stands_behind_and_below():
    array = fill([[5, 6], [7]], 3, 9)
    np.testing.assert_array_equal(array, [[5, 6], [7, 9], [9, 9]])
    assert fill([[5]], 1, 0, length=4).tolist() == [[5, 0, 0, 0]]


def test_buckets_hold_every_pair_once_in_arrays_of_their_own_size():
    rows = encoded()
    buckets = by_length(rows, pad_id=0, count=3)
    assert [len(source) for source, _ in buckets] == [14, 14, 12]
    found = [
        (s[s != 0].tolist(), t[t != 0].tolist())
        for bucket in buckets
        for s, t in zip(*bucket, strict=True)
    ]
    assert sorted(found) == sorted(rows)
    widths = [target.shape[1] for _, target in buckets]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]


def test_a_batch_depends_on_seed_and_number_alone():
    buckets = by_length(encoded(), pad_id=0, count=3)
    options = {"batch_size": 4, "pad_id": 0, "run": 5}
    batches = list(random_pairs(buckets, seed=1, **options).take(20))
    later = next(iter(random_pairs(buckets, seed=1, first=13, **options)))
    for ours, theirs in zip(later[0], batches[13][0], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    other = next(iter(random_pairs(buckets, seed=2, first=13, **options)))
    shapes = other[1].shape == later[1].shape
    assert not shapes or not np.array_equal(other[1], later[1])
    for begin in range(0, 20, 5):  # so a compiled call gets one shape
        shapes = {b[1].shape for b in batches[begin : begin + 5]}
        assert len(shapes) == 1
    assert len({b[1].shape for b in batches}) > 1


def test_all_pairs_are_there_once_and_padding_weighs_nothing():
    rows = encoded()
    batches = all_pairs(by_length(rows, pad_id=0, count=3), batch_size=9, pad_id=0)
    counted = sum(float(np.sum(weights)) for *_, weights in batches)
    assert counted == sum(len(target) - 1 for _, target in rows)
    for (source, inputs), targets, weights in batches:
        assert source.shape[0] == inputs.shape[0] == 9
        np.testing.assert_array_equal(weights, targets != 0)


@pytest.mark.parametrize("count", [1, 40, 99])
def test_any_number_of_buckets_works(count):
    buckets = by_length(encoded(), pad_id=0, count=count)
    assert sum(len(source) for source, _ in buckets) == 40


def test_numbers_between_two_ids_are_not_cut_off():
    with pytest.raises(ValueError, match="token_ids"):
        fill([[0.7, 1.2], [3]], 2, 0)
