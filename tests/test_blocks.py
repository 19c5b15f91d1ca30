import numpy as np
import pytest

from minitransformer import DecoderBlock, EncoderBlock, causal_mask

SIZES = {"d_model": 12, "num_heads": 4, "d_ff": 20}


def randomize(layer, rng):
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))


@pytest.mark.parametrize("norm_first", [True, False])
def test_encoder_block_is_its_equation(normal, rng, norm_first):
    block = EncoderBlock(norm_first=norm_first, **SIZES)
    x = normal(2, 5, 12)
    block(x)
    randomize(block, rng)

    def attend(h):
        return block.self_attention(query=h, key=h, value=h)[0]

    norm1, norm2 = block.attention_norm, block.feed_forward_norm
    if norm_first:
        h = x + attend(norm1(x))
        expected = h + block.feed_forward(norm2(h))
    else:
        h = norm1(x + attend(x))
        expected = norm2(h + block.feed_forward(h))
    output, weights = block(x)
    np.testing.assert_allclose(output, expected, atol=1e-4)
    assert weights.shape == (2, 4, 5, 5)


@pytest.mark.parametrize("norm_first", [True, False])
def test_decoder_block_is_its_equation(normal, rng, norm_first):
    block = DecoderBlock(norm_first=norm_first, cross_attention=True, **SIZES)
    x, memory = normal(2, 3, 12), normal(2, 5, 12)
    memory_mask = rng.random((2, 1, 1, 5)) < 0.6
    memory_mask[..., 0] = True
    mask = causal_mask(3)
    block(x, memory=memory)
    randomize(block, rng)

    def look_back(h):
        return block.self_attention(query=h, key=h, value=h, attention_mask=mask)[0]

    def look_at_source(h):
        return block.cross_attention(query=h, key=memory, value=memory, attention_mask=memory_mask)[
            0
        ]

    steps = [
        (block.attention_norm, look_back),
        (block.cross_attention_norm, look_at_source),
        (block.feed_forward_norm, block.feed_forward),
    ]
    expected = x
    for norm, sublayer in steps:
        if norm_first:
            expected = expected + sublayer(norm(expected))
        else:
            expected = norm(expected + sublayer(expected))
    output, (own, cross), _ = block(
        x, attention_mask=mask, memory=memory, memory_attention_mask=memory_mask
    )
    np.testing.assert_allclose(output, expected, atol=1e-4)
    assert own.shape == (2, 4, 3, 3)
    assert cross.shape == (2, 4, 3, 5)
    hidden = np.broadcast_to(~memory_mask, cross.shape)
    assert (cross.numpy()[hidden] == 0).all()


def test_without_cross_attention_there_are_no_weights_for_it(normal):
    block = DecoderBlock(norm_first=True, cross_attention=False, **SIZES)
    _, (_, cross), cache = block(normal(2, 3, 12))
    assert cross == ()
    assert list(cache) == ["self"]
    assert not [w.path for w in block.weights if "cross" in w.path]


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_dropout_rate_reaches_sublayers_and_weights(normal, kind):
    options = {"norm_first": True, "dropout_rate": 0.25, "attention_dropout_rate": 0.5, **SIZES}
    if kind == "encoder":
        block = EncoderBlock(**options)
    else:
        block = DecoderBlock(cross_attention=True, **options)
        assert block.cross_attention.dropout.rate == 0.5
    assert block.dropout.rate == 0.25
    assert block.self_attention.dropout.rate == 0.5


@pytest.mark.parametrize("kind", [EncoderBlock, DecoderBlock])
def test_a_block_drops_nothing_of_the_stream_it_received(normal, kind):
    options = {"cross_attention": False} if kind is DecoderBlock else {}
    block = kind(norm_first=True, dropout_rate=0.9, **options, **SIZES)
    x = normal(2, 3, 12)
    block(x)
    for dense in (block.self_attention.output_dense, block.feed_forward.contract_dense):
        dense.kernel.assign(0 * dense.kernel)
    np.testing.assert_array_equal(block(x, training=True)[0], x)


def test_epsilon_and_biases_reach_the_parts(normal):
    block = EncoderBlock(norm_first=False, epsilon=1e-12, use_bias=False, **SIZES)
    block(normal(2, 3, 12))
    assert block.attention_norm.epsilon == 1e-12
    assert not [w.path for w in block.weights if w.path.endswith("bias")]
