import keras
import numpy as np
import pytest
import tensorflow as tf

from minitransformer import attention_weights, scaled_dot_product_attention

BATCH, HEADS, QUERY, KEY, HEAD_DIM, VALUE_DIM = 2, 4, 3, 5, 7, 6


@pytest.fixture
def qkv(normal):
    return (
        normal(BATCH, HEADS, QUERY, HEAD_DIM),
        normal(BATCH, HEADS, KEY, HEAD_DIM),
        normal(BATCH, HEADS, KEY, VALUE_DIM),
    )


@pytest.fixture
def mask(rng):
    mask = rng.random((BATCH, 1, QUERY, KEY)) < 0.6
    mask[..., 0] = True
    return mask


def test_one_query_and_three_keys_match_a_calculation_by_hand():
    # Scores 2, 0, 0 over √4: weights e : 1 : 1.
    query = np.array([[2.0, 0, 0, 0]], "float32")
    key = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], "float32")
    value = np.array([[1.0], [2.0], [3.0]], "float32")
    output, weights = scaled_dot_product_attention(query, key, value)
    total = np.e + 2
    np.testing.assert_allclose(weights, [[np.e / total, 1 / total, 1 / total]], rtol=1e-6)
    np.testing.assert_allclose(output, [[(np.e + 5) / total]], rtol=1e-6)


def test_rows_sum_to_one_over_the_keys(qkv):
    output, weights = scaled_dot_product_attention(*qkv)
    assert weights.shape == (BATCH, HEADS, QUERY, KEY)
    assert output.shape == (BATCH, HEADS, QUERY, VALUE_DIM)
    np.testing.assert_allclose(np.sum(weights, axis=-1), 1, rtol=1e-6)


def test_masked_keys_weigh_zero_and_the_rest_sums_to_one(qkv, mask):
    _, weights = scaled_dot_product_attention(*qkv, mask)
    hidden = np.broadcast_to(~mask, weights.shape)
    assert (weights.numpy()[hidden] == 0).all()
    np.testing.assert_allclose(np.sum(weights, axis=-1), 1, rtol=1e-6)


def test_a_masked_key_and_value_change_nothing(qkv, mask):
    query, key, value = qkv
    mask = mask & (np.arange(KEY) != 2)
    before, _ = scaled_dot_product_attention(query, key, value, mask)
    key[:, :, 2], value[:, :, 2] = 100.0, -100.0
    after, _ = scaled_dot_product_attention(query, key, value, mask)
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_query_that_may_see_nothing_reads_zeros_without_nan(qkv, dtype):
    query, key, value = (tf.cast(x, dtype) for x in qkv)
    mask = np.ones((QUERY, KEY), bool)
    mask[1] = False
    with tf.GradientTape() as tape:
        tape.watch(query)
        output, weights = scaled_dot_product_attention(query, key, value, mask)
    gradient = tape.gradient(output, query)
    assert (tf.cast(weights[:, :, 1], "float32").numpy() == 0).all()
    assert (tf.cast(output[:, :, 1], "float32").numpy() == 0).all()
    assert np.isfinite(tf.cast(gradient, "float32")).all()


def test_same_as_keras_attention(normal, rng):
    query, key = normal(2, 3, 7), normal(2, 5, 7)
    value = normal(2, 5, 7)
    mask = rng.random((2, 5)) < 0.6
    mask[:, 0] = True
    layer = keras.layers.Attention(score_mode="dot")
    expected, expected_weights = layer(
        [query * 7**-0.5, value, key], mask=[None, mask], return_attention_scores=True
    )
    output, weights = scaled_dot_product_attention(query, key, value, mask[:, None, :])
    np.testing.assert_allclose(output, expected, atol=1e-6)
    np.testing.assert_allclose(weights, expected_weights, atol=1e-6)


def test_reordering_keys_with_their_values_changes_nothing(qkv, rng):
    query, key, value = qkv
    order = rng.permutation(KEY)
    before, _ = scaled_dot_product_attention(query, key, value)
    after, _ = scaled_dot_product_attention(query, key[:, :, order], value[:, :, order])
    np.testing.assert_allclose(before, after, atol=1e-6)


def test_large_scores_do_not_overflow():
    weights = attention_weights(np.array([[1e4, 1e4 - 1, -1e4]], "float32"))
    np.testing.assert_allclose(weights, [[np.e / (1 + np.e), 1 / (1 + np.e), 0]], rtol=1e-6)


def test_dropout_changes_the_output_and_not_the_returned_weights(qkv):
    plain, weights = scaled_dot_product_attention(*qkv)
    doubled, same = scaled_dot_product_attention(*qkv, dropout=lambda w: 2 * w)
    np.testing.assert_allclose(doubled, 2 * plain, rtol=1e-6)
    np.testing.assert_array_equal(weights, same)


def seen(mask, batch=2, heads=4, query=3, key=5):
    """List which keys have weight, for scores `(batch, heads, query, key)`."""
    return attention_weights(np.zeros((batch, heads, query, key), "float32"), mask).numpy() > 0


def test_a_mask_for_each_sentence_is_shared_by_the_heads(rng):
    # As many heads as sentences: the axes could be mistaken for each other.
    mask = rng.random((4, 3, 5)) < 0.6
    np.testing.assert_array_equal(seen(mask, batch=4), np.repeat(mask[:, None], 4, axis=1))
    theirs = keras.layers.MultiHeadAttention(4, 7)
    x, y = np.zeros((4, 3, 7), "float32"), np.zeros((4, 5, 7), "float32")
    _, weights = theirs(x, y, attention_mask=mask, return_attention_scores=True)
    some = mask.any(axis=-1)[:, None, :, None]  # Keras spreads a row with nothing
    np.testing.assert_array_equal((weights.numpy() > 0) & some, seen(mask, batch=4))


def test_two_axes_are_queries_or_sentences_or_refused(rng):
    per_query, per_sentence = rng.random((3, 5)) < 0.6, rng.random((2, 5)) < 0.6
    np.testing.assert_array_equal(seen(per_query), np.broadcast_to(per_query, (2, 4, 3, 5)))
    expected = np.broadcast_to(per_sentence[:, None, None], (2, 4, 3, 5))
    np.testing.assert_array_equal(seen(per_sentence), expected)
    with pytest.raises(ValueError, match=r"mask\[None\] for the first"):
        seen(per_query, batch=3)
    np.testing.assert_array_equal(seen(per_query[None], batch=3)[1, 2], per_query)
    np.testing.assert_array_equal(seen(per_query[:, None], batch=3)[:, 2, 1], per_query)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_integers_0_and_1_are_a_mask(rng, dtype):
    mask = rng.random((2, 1, 3, 5)) < 0.6
    np.testing.assert_array_equal(seen(mask.astype(dtype)), seen(mask))


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (np.ones((2, 1, 3, 5)), TypeError, "dtype float64, expected bool"),
        (np.array([[0, -10000, 0, 0, 0]]), TypeError, "give mask == 0"),
        (np.array(["x"]), TypeError, "dtype string"),
        (np.ones((4, 3, 5), bool), ValueError, r"\(4, 3, 5\) does not fit scores \(2, 4, 3, 5\)"),
        (np.ones((5, 3), bool), ValueError, "does not fit"),
        (np.ones((3, 6), bool), ValueError, "does not fit"),
        (np.ones((1, 2, 4, 3, 5), bool), ValueError, "does not fit"),
    ],
)
def test_other_masks_are_refused(mask, error, message):
    with pytest.raises(error, match=message) as refusal:
        seen(mask)
    assert len(str(refusal.value)) < 300


def test_scores_that_are_whole_numbers_have_weights_that_sum_to_1():
    weights = attention_weights(np.array([[1, 2]]))
    np.testing.assert_allclose(weights, [[0.2689, 0.7311]], atol=1e-4)
