import numpy as np
import tensorflow as tf

from minitransformer import next_token


def test_next_token_asks_for_each_token_but_the_first(rng):
    token_ids = rng.integers(0, 50, (2, 3, 8))
    inputs, targets, weights = next_token(tf.constant(token_ids))
    assert np.array_equal(inputs, token_ids[..., :7])
    assert np.array_equal(targets, token_ids[..., 1:])
    assert np.array_equal(weights, np.ones((2, 3, 7)))
