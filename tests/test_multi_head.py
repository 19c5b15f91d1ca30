import keras
import numpy as np
import pytest
import tensorflow as tf

from minitransformer import MultiHeadAttention, causal_mask, merge_heads, split_heads
from minitransformer.multi_head import roll_cache, write_cache


def copy_weights(ours, theirs):
    """Copy our weights into Keras' layer, whose kernels are (width, heads, dim)."""
    heads, dim = ours.num_heads, ours.head_dim
    pairs = [
        (ours.query_dense, theirs._query_dense),
        (ours.key_dense, theirs._key_dense),
        (ours.value_dense, theirs._value_dense),
    ]
    for dense, einsum in pairs:
        kernel, bias = dense.get_weights()
        einsum.set_weights([kernel.reshape(-1, heads, dim), bias.reshape(heads, dim)])
    kernel, bias = ours.output_dense.get_weights()
    theirs._output_dense.set_weights([kernel.reshape(heads, dim, -1), bias])


def randomize(layer, rng):
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))


@pytest.mark.parametrize(
    ("d_model", "num_heads", "head_dim", "query_len", "key_len"),
    [(12, 4, None, 3, 5), (10, 3, 7, 3, 5), (3, 2, 2, 4, 5)],
)
@pytest.mark.parametrize("kind", ["self", "cross"])
def test_same_as_keras(normal, rng, d_model, num_heads, head_dim, query_len, key_len, kind):
    query = normal(2, query_len, d_model)
    key = value = query
    if kind == "cross":
        key, value = (normal(2, key_len, d_model) for _ in range(2))
    ours = MultiHeadAttention(d_model=d_model, num_heads=num_heads, head_dim=head_dim)
    theirs = keras.layers.MultiHeadAttention(
        num_heads=num_heads, key_dim=head_dim or d_model // num_heads
    )
    mask = rng.random((2, query_len, key.shape[1])) < 0.6
    mask[..., 0] = True
    ours(query=query, key=key, value=value)
    theirs(query, value, key)
    randomize(ours, rng)
    copy_weights(ours, theirs)
    output, weights = ours(query=query, key=key, value=value, attention_mask=mask[:, None])
    expected, expected_weights = theirs(
        query, value, key, attention_mask=mask, return_attention_scores=True
    )
    assert weights.shape == (2, num_heads, query_len, key.shape[1])
    np.testing.assert_allclose(output, expected, atol=1e-4)
    np.testing.assert_allclose(weights, expected_weights, atol=1e-5)


def test_heads_are_cut_from_neighbouring_features():
    x = np.arange(2 * 3 * 8).reshape(2, 3, 8)
    heads = split_heads(x, 4)
    assert heads.shape == (2, 4, 3, 2)
    np.testing.assert_array_equal(heads[1, 2, 0], x[1, 0, 4:6])
    np.testing.assert_array_equal(merge_heads(heads), x)


def test_each_head_attends_on_its_own(normal, rng):
    layer = MultiHeadAttention(d_model=12, num_heads=4)
    x = normal(2, 5, 12)
    _, weights = layer(query=x, key=x, value=x)
    kernel = layer.query_dense.kernel.numpy()
    kernel[:, 3:6] = rng.normal(size=(12, 3))  # head 1 alone
    layer.query_dense.kernel.assign(kernel)
    _, after = layer(query=x, key=x, value=x)
    changed = np.abs(weights - after).max(axis=(0, 2, 3)) > 1e-6
    np.testing.assert_array_equal(changed, [False, True, False, False])


def test_every_head_reads_the_whole_vector(normal):
    layer = MultiHeadAttention(d_model=12, num_heads=4)
    x = normal(2, 5, 12)
    _, before = layer(query=x, key=x, value=x)
    x[:, 0, 11] += 3  # the last feature alone, of one token
    _, after = layer(query=x, key=x, value=x)
    assert (np.abs(before - after).max(axis=(0, 2, 3)) > 1e-6).all()


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="multiple of 3"):
        MultiHeadAttention(d_model=10, num_heads=3)


def test_use_bias_false_leaves_only_kernels(normal):
    layer = MultiHeadAttention(d_model=12, num_heads=4, use_bias=False)
    layer(query=normal(1, 2, 12), key=normal(1, 2, 12), value=normal(1, 2, 12))
    assert [w.name for w in layer.weights] == ["kernel"] * 4


def test_dropout_rate_reaches_the_weights(normal):
    layer = MultiHeadAttention(d_model=12, num_heads=4, dropout_rate=0.5)
    x = normal(2, 5, 12)
    inference, _ = layer(query=x, key=x, value=x, training=False)
    again, _ = layer(query=x, key=x, value=x)
    training, _ = layer(query=x, key=x, value=x, training=True)
    np.testing.assert_array_equal(inference, again)
    assert np.abs(inference - training).max() > 1e-3


@pytest.mark.parametrize("start", [0, 2, 4])
def test_writing_into_a_cache_changes_its_slots_only(normal, start):
    cache, new = normal(2, 4, 7, 3), normal(2, 4, 2, 3)
    expected = cache.copy()
    expected[:, :, start : start + 2] = new
    for at in (start, tf.constant(start)):
        np.testing.assert_array_equal(write_cache(cache, new, at), expected)


def test_cached_pieces_give_the_same_as_the_whole(normal):
    layer = MultiHeadAttention(d_model=12, num_heads=4)
    x = normal(2, 5, 12)
    whole, _ = layer(query=x, key=x, value=x, attention_mask=causal_mask(5))
    cache = layer.empty_cache(2, 9)
    for i in range(5):
        new = layer.keys_and_values(x[:, i : i + 1], x[:, i : i + 1])
        cache = [write_cache(c, n, i) for c, n in zip(cache, new, strict=True)]
        mask = causal_mask(1, 9, start=i)
        one, weights = layer.attend(x[:, i : i + 1], *cache, mask)
        np.testing.assert_allclose(one[:, 0], whole[:, i], atol=1e-6)
        assert (weights.numpy()[..., i + 1 :] == 0).all()


def test_rotary_attention_knows_distances_not_places(rng):
    layer = MultiHeadAttention(d_model=12, num_heads=3, rotary=True)
    x = tf.constant(rng.normal(size=(2, 5, 12)), tf.float32)
    at_0, weights = layer(query=x, key=x, value=x)
    places = [
        layer.attend(x, *layer.keys_and_values(x, x, start), start=start)[0] for start in (0, 40)
    ]
    np.testing.assert_allclose(places[0], at_0, atol=1e-6)
    np.testing.assert_allclose(places[1], at_0, atol=1e-4)
    # At other distances the output differs.
    shifted, _ = layer.attend(x, *layer.keys_and_values(x, x, 3), start=0)
    assert np.abs(shifted - at_0).max() > 1e-3
    assert weights.shape == (2, 3, 5, 5)


@pytest.mark.parametrize("use_xla", [None, False, True])
def test_a_full_cache_raises_or_gives_nan(use_xla):
    cache, new = tf.zeros((2, 3, 7, 4)), tf.ones((2, 3, 2, 4))
    if use_xla is None:
        for start in (6, tf.constant(6), -1):
            with pytest.raises(ValueError, match="max_len=7"):
                write_cache(cache, new, start)
        return
    write = tf.function(write_cache, jit_compile=use_xla)
    assert np.isnan(write(cache, new, tf.constant(6))).any()
    np.testing.assert_array_equal(write(cache, new, tf.constant(5)), write_cache(cache, new, 5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_heads": 0}, "num_heads=0"),
        ({"rotary": True, "d_model": 15}, "head_dim=5 is odd"),
        ({"rotary": True, "head_dim": 3}, "head_dim=3 is odd"),
    ],
)
def test_impossible_sizes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        MultiHeadAttention(**{"d_model": 12, "num_heads": 3} | change)


def test_numpys_numbers_are_sizes(normal):
    x = normal(2, 3, 12)
    layer = MultiHeadAttention(d_model=np.int64(12), num_heads=np.int64(3))
    assert layer(x, x, x)[0].shape == (2, 3, 12)


def test_a_rolling_cache_keeps_the_newest_in_order(normal):
    cache, new = normal(2, 4, 3, 7), normal(2, 4, 5, 7)
    joined, rolled = roll_cache(tf.constant(cache), tf.constant(new))
    expected = np.concatenate([cache, new], axis=2)
    np.testing.assert_array_equal(joined, expected)
    np.testing.assert_array_equal(rolled, new[:, :, 2:])
    for length in (0, 1, 4):
        _, rolled = roll_cache(tf.constant(cache), tf.constant(new), length)
        np.testing.assert_array_equal(rolled, expected[:, :, length : length + 3])


@pytest.mark.parametrize("num_kv_heads", [1, 2, 3, 6])
def test_shared_keys_are_the_same_as_keras(normal, rng, num_kv_heads):
    query, key = normal(2, 3, 10), normal(2, 5, 10)
    sizes = {"num_query_heads": 6, "num_key_value_heads": num_kv_heads, "head_dim": 7}
    theirs = keras.layers.GroupQueryAttention(**sizes)
    ours = MultiHeadAttention(d_model=10, num_heads=6, head_dim=7, num_kv_heads=num_kv_heads)
    ours(query, key, key), theirs(query, key, key)
    randomize(ours, rng)
    layers = [ours.query_dense, ours.key_dense, ours.value_dense, ours.output_dense]
    weights = [weight for dense in layers for weight in dense.get_weights()]
    shapes = [weight.shape for weight in theirs.weights]
    theirs.set_weights([w.reshape(s) for w, s in zip(weights, shapes, strict=True)])
    mask = rng.random((2, 1, 3, 5)) < 0.6
    mask[..., 0] = True
    output, scores = ours(query, key, key, attention_mask=mask)
    expected, expected_scores = theirs(
        query, key, key, attention_mask=mask[:, 0], return_attention_scores=True
    )
    np.testing.assert_allclose(output, expected, atol=1e-4)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-5)


def test_a_head_of_keys_serves_neighbouring_heads_of_queries(normal):
    layer = MultiHeadAttention(d_model=12, num_heads=6, num_kv_heads=3)
    x = normal(2, 5, 12)
    before = layer(x, x, x)[1].numpy()
    kernel = layer.key_dense.kernel.numpy()
    assert kernel.shape == (12, 6)
    kernel[:, 2:4] += 1  # the second of three heads
    layer.key_dense.kernel.assign(kernel)
    changed = (before != layer(x, x, x)[1].numpy()).any(axis=(0, 2, 3))
    np.testing.assert_array_equal(changed, [False, False, True, True, False, False])


def test_the_cache_holds_shared_heads_once():
    layer = MultiHeadAttention(d_model=12, num_heads=6, num_kv_heads=3)
    keys, values = layer.empty_cache(2, 5)
    assert keys.shape == values.shape == (2, 3, 5, 2)


def test_key_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="num_heads=6 is not divisible by num_kv_heads=4"):
        MultiHeadAttention(d_model=12, num_heads=6, num_kv_heads=4)
    with pytest.raises(ValueError, match="num_kv_heads=0"):
        MultiHeadAttention(d_model=12, num_heads=6, num_kv_heads=0)
