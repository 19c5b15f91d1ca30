"""Parts of questions have different sizes and fresh values."""

import numpy as np

from minitransformer.coursework import questions as q


def test_each_row_of_a_mask_shows_a_key_and_hides_one():
    rng = np.random.default_rng(1)
    for shape in ((1, 2), (5, 1, 3), (20, 4)):
        mask = q.some_keys(rng, *shape)
        assert mask.shape == shape
        assert mask.any(axis=-1).all()
        assert not mask.all(axis=-1).any()


def test_sizes_all_differ_and_are_plain_numbers():
    for seed in range(20):
        sizes = q.sizes(np.random.default_rng(seed), 3, 3, 6)
        assert sorted(sizes) == [3, 4, 5]
        assert {type(size) for size in sizes} == {int}


def test_a_question_has_plain_numbers_and_arrays_as_they_are():
    array = np.arange(3)
    args = q.question("f", n=np.int64(3), x=np.float32(0.5), array=array).args
    assert (type(args["n"]), type(args["x"])) == (int, float)
    assert args["array"] is array


def test_a_changed_question_leaves_the_first_one_alone():
    call = q.question("f", n=1, weights={"w": np.ones(2)})
    assert q.changed(call, n=2).args["n"] == 2
    zeros = q.with_zeros(call, "w").args["weights"]["w"]
    assert (call.args["n"], zeros.sum()) == (1, 0)
    assert call.args["weights"]["w"].sum() == 2
