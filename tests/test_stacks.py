import numpy as np
import pytest
import tensorflow as tf

from minitransformer import Decoder, Encoder, RMSNorm

SIZES = {"num_layers": 3, "d_model": 12, "num_heads": 4, "d_ff": 20}


@pytest.mark.parametrize("norm_first", [True, False])
def test_padding_never_changes_real_tokens(normal, norm_first):
    encoder = Encoder(norm_first=norm_first, **SIZES)
    x = normal(2, 5, 12)
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
    before, weights = encoder(x, padding_mask=mask)
    assert len(weights) == 3
    x[0, 3:] = 7
    after, _ = encoder(x, padding_mask=mask)
    np.testing.assert_array_equal(before[0, :3], after[0, :3])
    short, _ = encoder(x[:1, :3])
    np.testing.assert_allclose(before[:1, :3], short, atol=1e-5)


def test_without_positions_order_means_nothing(normal, rng):
    encoder = Encoder(norm_first=False, **SIZES)
    x, order = normal(2, 5, 12), rng.permutation(5)
    plain, _ = encoder(x)
    reordered, _ = encoder(x[:, order])
    np.testing.assert_allclose(plain.numpy()[:, order], reordered, atol=1e-5)


@pytest.mark.parametrize("norm_first", [True, False])
def test_no_token_sees_a_later_one(normal, norm_first):
    decoder = Decoder(norm_first=norm_first, cross_attention=False, **SIZES)
    x = normal(2, 5, 12)
    before = decoder(x)[0].numpy()
    x[1, 3, 0] += 1
    after = decoder(x)[0].numpy()
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert (np.abs(before - after)[1, 3:].max(axis=-1) > 1e-4).all()


def test_padding_of_the_source_never_changes_the_target(normal):
    decoder = Decoder(norm_first=False, cross_attention=True, **SIZES)
    x, memory = normal(2, 3, 12), normal(2, 5, 12)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]], bool)
    before, weights, _ = decoder(x, memory=memory, memory_padding_mask=mask)
    own, cross = weights[-1]
    assert own.shape == (2, 4, 3, 3)
    assert cross.shape == (2, 4, 3, 5)
    memory[1, 2:] = 7
    after, _, _ = decoder(x, memory=memory, memory_padding_mask=mask)
    np.testing.assert_array_equal(before, after)
    memory[1, 1] = 7
    seen, _, _ = decoder(x, memory=memory, memory_padding_mask=mask)
    assert np.abs(before - seen)[1].max() > 1e-4


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("cross_attention", [True, False])
def test_cached_equals_uncached(normal, norm_first, cross_attention):
    decoder = Decoder(norm_first=norm_first, cross_attention=cross_attention, **SIZES)
    x = normal(2, 5, 12)
    source = {}
    memory = mask = None
    if cross_attention:
        memory, mask = normal(2, 7, 12), np.arange(7) < [[7], [4]]
        source = {"memory": memory}
    whole, _, _ = decoder(x, memory_padding_mask=mask, **source)
    cache = decoder.start_cache(2, 8, memory)
    pieces = []
    for start, stop in ((0, 2), (2, 3), (3, 5)):
        piece, _, cache = decoder(
            x[:, start:stop], memory_padding_mask=mask, cache=cache, start=start
        )
        pieces.append(piece)
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, atol=1e-5)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("band", [1, 3])
def test_a_rolling_cache_equals_the_masked_form(normal, band, jit):
    sizes = SIZES | {"num_heads": 2}  # an even head_dim, for rotary
    decoder = Decoder(norm_first=True, cross_attention=False, rotary=True, band=band, **sizes)
    assert [block.band for block in decoder.blocks] == [None, band, None]
    x = normal(2, 11, 12)
    whole, weights, _ = decoder(x)
    for i, (own, _) in enumerate(weights):
        reach = (own.numpy() > 0).sum(-1).max()
        assert reach == (band if i % 2 else 11)
    call = tf.function(
        lambda piece, cache, start: decoder(piece, cache=cache, start=start),
        jit_compile=jit,
        autograph=False,
    )
    cache = decoder.start_cache(2, 11)
    slots = [entry["self"][0].shape[2] for entry in cache]
    assert slots == [11, band - 1, 11]
    pieces = []
    for start, stop in ((0, 1), (1, 6), (6, 7), (7, 8), (8, 9), (9, 10), (10, 11)):
        piece, _, cache = call(tf.constant(x[:, start:stop]), cache, tf.constant(start))
        pieces.append(piece)
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, atol=1e-5)
    assert [entry["self"][1].shape[2] for entry in cache] == slots


def test_what_follows_the_text_is_not_remembered(normal):
    decoder = Decoder(norm_first=True, cross_attention=False, band=3, **SIZES)
    x = normal(2, 7, 12)
    whole, _, _ = decoder(x)
    for length in (0, 1, 4):  # the rest of the first call is padding
        padded = np.concatenate([x[:, :length], normal(2, 6 - length, 12)], axis=1)
        cache = decoder.start_cache(2, 7)
        _, _, cache = decoder(padded, cache=cache, start=0, length=length)
        after, _, _ = decoder(x[:, length:], cache=cache, start=length)
        np.testing.assert_allclose(after, whole[:, length:], atol=1e-5)


@pytest.mark.parametrize("band", [0, 2.5])
def test_a_band_of_no_width_is_refused(band):
    with pytest.raises((TypeError, ValueError), match=f"band={band}"):
        Decoder(norm_first=True, cross_attention=False, band=band, **SIZES)


def test_only_a_pre_norm_stack_ends_with_a_norm(normal):
    for norm_first in (True, False):
        encoder = Encoder(norm_first=norm_first, use_bias=False, **SIZES)
        encoder(normal(1, 2, 12))
        names = [w.path for w in encoder.weights if "final_norm" in w.path]
        assert len(names) == (1 if norm_first else 0)


@pytest.mark.parametrize("norm", [None, RMSNorm])
def test_the_last_norm_is_made_like_those_of_the_blocks(normal, norm):
    encoder = Encoder(norm_first=True, norm=norm, epsilon=0.1, dtype="mixed_bfloat16", **SIZES)
    encoder(normal(1, 2, 12))
    first, last = encoder.blocks[0].attention_norm, encoder.final_norm
    assert type(first) is type(last)
    assert len(first.weights) == len(last.weights) == 2
    assert (last.epsilon, last.dtype_policy.name) == (0.1, "mixed_bfloat16")


@pytest.mark.parametrize("start", [3, np.int64(3), tf.constant(3)])
def test_a_start_without_a_cache_is_refused(normal, start):
    decoder = Decoder(cross_attention=False, norm_first=True, **SIZES)
    with pytest.raises(ValueError, match="start=3 without a cache"):
        decoder(normal(2, 4, SIZES["d_model"]), start=start)


def test_a_stack_without_blocks_is_refused():
    with pytest.raises(ValueError, match="num_layers=0"):
        Encoder(norm_first=True, **SIZES | {"num_layers": 0})
