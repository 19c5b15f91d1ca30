"""What every layer and every model keeps, checked by one harness.

A case says how to make a layer, what to call it with and which shapes come
out. Five tests go through all cases: the compiled forms compute what the
plain one does, half precision costs no more than its rounding, shapes and
types are those promised, saved weights give the same outputs, and a call
leaves nothing behind.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

import minitransformer as mt
from minitransformer.runs.saving import assign_weights, named_weights

# All differ, so that no transposition passes.
BATCH, QUERY, KEY, HEADS, HEAD_DIM, D_FF = 2, 5, 7, 3, 4, 20
D_MODEL, UNITS, VOCAB, MAX_LEN, SEGMENTS = 12, 11, 23, 13, 2
START = 6  # of a call with a cache


class Case(NamedTuple):
    """A layer's promise: `call(make(), *inputs)` has these shapes."""

    make: Callable[[], Any]
    inputs: list[np.ndarray]
    shapes: list[tuple[int, ...]]  # in the order of tf.nest.flatten
    call: Callable = lambda layer, *inputs: layer(*inputs)


def floats(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("f4")


def ids(seq_len):
    """Token ids whose second row ends in padding, which is 0."""
    result = np.random.default_rng(seq_len).integers(1, VOCAB, (BATCH, seq_len))
    result[1, -2:] = 0
    return result


QUERIES, KEYS = floats(BATCH, QUERY, D_MODEL), floats(BATCH, KEY, D_MODEL)
HEAD_QUERIES = floats(BATCH, HEADS, QUERY, HEAD_DIM)
HEAD_KEYS = floats(BATCH, HEADS, KEY, HEAD_DIM)
VALUES = floats(BATCH, HEADS, KEY, HEAD_DIM + 5)
REAL = ids(KEY) != 0  # (batch, key)
MAY_ATTEND = np.random.default_rng(1).random((BATCH, 1, QUERY, KEY)) < 0.6
MAY_ATTEND[0, 0, 2] = False  # a query that may see nothing
X, MEMORY = QUERIES, KEYS
STATE = [floats(BATCH, UNITS), floats(BATCH, UNITS + 1)[:, 1:]]
SOURCE = floats(BATCH, KEY, UNITS)  # what an LSTM wrote

TO_KEYS = (BATCH, HEADS, QUERY, KEY)
TO_ITSELF = (BATCH, HEADS, QUERY, QUERY)
TO_CACHE = (BATCH, HEADS, QUERY, MAX_LEN)
OUT = (BATCH, QUERY, D_MODEL)


def cached(seq_len):
    """Shapes of the keys and the values of one attention."""
    return [(BATCH, HEADS, seq_len, HEAD_DIM)] * 2


BLOCK = {"d_model": D_MODEL, "num_heads": HEADS, "d_ff": D_FF, "name": "it"}


def decode(decoder, x, memory=None, real=None):
    return decoder(x, memory=memory, memory_padding_mask=real)


def decode_with_cache(decoder, x, memory=None, real=None):
    if not decoder.built:
        decoder.build(x.shape)
    cache = decoder.start_cache(BATCH, MAX_LEN, memory)
    return decoder(x, memory_padding_mask=real, cache=cache, start=START)


def score_keys(score, query, memory):
    return score(query, score.keys(memory))


def write(decoder, inputs, source, real, h, c):
    state, read = decoder.start((h, c)), decoder.read(source, real)
    return decoder(inputs, state, read)


def bert():
    config = mt.BertConfig(
        vocab_size=VOCAB,
        max_len=MAX_LEN,
        d_model=D_MODEL,
        num_heads=HEADS,
        num_layers=1,
        d_ff=D_FF,
        num_segments=SEGMENTS,
    )
    return mt.Bert(config)


def gpt(**options):
    config = mt.GPTConfig(
        vocab_size=VOCAB,
        max_len=MAX_LEN,
        d_model=D_MODEL,
        num_heads=HEADS,
        num_layers=1,
        d_ff=D_FF,
        **options,
    )
    return mt.GPT(config)


def llama(**options):
    config = mt.LlamaConfig(
        vocab_size=VOCAB,
        max_len=MAX_LEN,
        d_model=D_MODEL,
        num_heads=HEADS,
        num_kv_heads=1,
        num_layers=1,
        d_ff=D_FF,
        **options,
    )
    return mt.Llama(config)


def ngram_gpt():
    config = mt.NGramGPTConfig(
        vocab_size=VOCAB,
        max_len=MAX_LEN,
        d_model=D_MODEL,
        num_heads=HEADS,
        num_layers=1,
        longest=4,
        rows=31,
    )
    return mt.NGramGPT(config)


def transformer(**options):
    config = mt.TransformerConfig(
        vocab_size=VOCAB,
        max_len=MAX_LEN,
        d_model=D_MODEL,
        num_heads=HEADS,
        num_layers=1,
        d_ff=D_FF,
        pad_id=0,
        bos_id=2,
        eos_id=3,
        **options,
    )
    return mt.Transformer(config)


def lstm_seq2seq(**options):
    config = mt.LSTMSeq2SeqConfig(
        source_vocab_size=VOCAB,
        target_vocab_size=VOCAB + 6,
        d_model=D_MODEL,
        units=UNITS,
        pad_id=0,
        bos_id=2,
        eos_id=3,
        **options,
    )
    return mt.LSTMSeq2Seq(config)


CASES = {
    "attention_weights": Case(
        lambda: mt.attention_weights, [floats(*TO_KEYS), MAY_ATTEND], [TO_KEYS]
    ),
    "scaled_dot_product_attention": Case(
        lambda: mt.scaled_dot_product_attention,
        [HEAD_QUERIES, HEAD_KEYS, VALUES, MAY_ATTEND],
        [(BATCH, HEADS, QUERY, HEAD_DIM + 5), TO_KEYS],
    ),
    "rotate": Case(
        lambda: mt.rotate,
        [HEAD_QUERIES],
        [HEAD_QUERIES.shape],
        lambda rotate, x: rotate(x, start=500),
    ),
    "MultiHeadAttention": Case(
        lambda: mt.MultiHeadAttention(d_model=D_MODEL, num_heads=HEADS, rotary=True, name="it"),
        [QUERIES, KEYS, KEYS, MAY_ATTEND],
        [OUT, TO_KEYS],
    ),
    "MultiHeadAttention with shared keys": Case(
        lambda: mt.MultiHeadAttention(d_model=D_MODEL, num_heads=HEADS, num_kv_heads=1, name="it"),
        [QUERIES, KEYS, KEYS, MAY_ATTEND],
        [OUT, TO_KEYS],
    ),
    "SinusoidalPositions": Case(
        lambda: mt.SinusoidalPositions(max_len=MAX_LEN, d_model=D_MODEL),
        [X],
        [OUT],
        lambda layer, x: layer(x, start=START),
    ),
    "LearnedPositions": Case(
        lambda: mt.LearnedPositions(max_len=MAX_LEN, d_model=D_MODEL, name="it"),
        [X],
        [OUT],
        lambda layer, x: layer(x, start=START),
    ),
    "TokenEmbedding": Case(
        lambda: mt.TokenEmbedding(vocab_size=VOCAB, d_model=D_MODEL, name="it"),
        [ids(QUERY), KEYS],
        [OUT, (BATCH, KEY, VOCAB)],
        lambda layer, ids, hidden: (layer(ids), layer.logits(hidden)),
    ),
    "LayerNorm": Case(lambda: mt.LayerNorm(name="it"), [X], [OUT]),
    "RMSNorm": Case(lambda: mt.RMSNorm(name="it"), [X], [OUT]),
    "GatedFeedForward": Case(
        lambda: mt.GatedFeedForward(d_model=D_MODEL, d_ff=D_FF, name="it"), [X], [OUT]
    ),
    "FeedForward": Case(lambda: mt.FeedForward(d_model=D_MODEL, d_ff=D_FF, name="it"), [X], [OUT]),
    "EncoderBlock": Case(
        lambda: mt.EncoderBlock(norm_first=False, **BLOCK),
        [KEYS, REAL[:, None, None]],
        [KEYS.shape, (BATCH, HEADS, KEY, KEY)],
    ),
    "DecoderBlock": Case(
        lambda: mt.DecoderBlock(norm_first=True, cross_attention=False, **BLOCK),
        [X, MAY_ATTEND[..., :QUERY]],
        [OUT, TO_ITSELF, *cached(QUERY)],
    ),
    "DecoderBlock with cross-attention": Case(
        lambda: mt.DecoderBlock(norm_first=False, cross_attention=True, **BLOCK),
        [X, MAY_ATTEND[..., :QUERY], MEMORY, REAL[:, None, None]],
        [OUT, TO_ITSELF, TO_KEYS, *cached(KEY), *cached(QUERY)],
    ),
    "Encoder": Case(
        lambda: mt.Encoder(num_layers=2, norm_first=True, **BLOCK),
        [KEYS, REAL],
        [KEYS.shape, *[(BATCH, HEADS, KEY, KEY)] * 2],
    ),
    "Decoder": Case(
        lambda: mt.Decoder(num_layers=1, norm_first=True, cross_attention=False, **BLOCK),
        [X],
        [OUT, TO_CACHE, *cached(MAX_LEN)],
        decode_with_cache,
    ),
    "Decoder with a band": Case(
        lambda: mt.Decoder(num_layers=2, band=4, norm_first=True, cross_attention=False, **BLOCK),
        [X],
        [OUT, TO_CACHE, (BATCH, HEADS, QUERY, 3 + QUERY), *cached(MAX_LEN), *cached(3)],
        decode_with_cache,
    ),
    "Decoder with cross-attention": Case(
        lambda: mt.Decoder(num_layers=1, norm_first=False, cross_attention=True, **BLOCK),
        [X, MEMORY, REAL],
        [OUT, TO_ITSELF, TO_KEYS, *cached(KEY), *cached(QUERY)],
        decode,
    ),
    "Decoder with cross-attention and cache": Case(
        lambda: mt.Decoder(num_layers=1, norm_first=True, cross_attention=True, **BLOCK),
        [X, MEMORY, REAL],
        [OUT, TO_CACHE, TO_KEYS, *cached(KEY), *cached(MAX_LEN)],
        decode_with_cache,
    ),
    "DotScore": Case(mt.DotScore, [QUERIES, KEYS], [(BATCH, QUERY, KEY)], score_keys),
    "ScaledDotScore": Case(mt.ScaledDotScore, [QUERIES, KEYS], [(BATCH, QUERY, KEY)], score_keys),
    "GeneralScore": Case(
        lambda: mt.GeneralScore(units=D_MODEL, name="it"),
        [QUERIES, SOURCE],
        [(BATCH, QUERY, KEY)],
        score_keys,
    ),
    "AdditiveScore": Case(
        lambda: mt.AdditiveScore(units=D_FF, name="it"),
        [QUERIES, SOURCE],
        [(BATCH, QUERY, KEY)],
        score_keys,
    ),
    "attend": Case(
        lambda: mt.AdditiveScore(units=D_FF, name="it"),
        [QUERIES, SOURCE, REAL],
        [(BATCH, QUERY, UNITS), (BATCH, QUERY, KEY)],
        lambda score, query, source, real: mt.attend(
            score, query, score.keys(source), source, real
        ),
    ),
    "PlainDecoder": Case(
        lambda: mt.PlainDecoder(units=UNITS, name="it"),
        [X, SOURCE, REAL, *STATE],
        [(BATCH, QUERY, UNITS), *[(BATCH, UNITS)] * 2],
        write,
    ),
    "TextbookDecoder": Case(
        lambda: mt.TextbookDecoder(
            units=UNITS, score=mt.GeneralScore(units=D_MODEL, name="score"), name="it"
        ),
        [X, SOURCE, REAL, *STATE],
        [(BATCH, QUERY, UNITS), (BATCH, QUERY, KEY), *[(BATCH, UNITS)] * 2],
        write,
    ),
    "InputFeedingDecoder": Case(
        lambda: mt.InputFeedingDecoder(
            units=UNITS, score=mt.GeneralScore(units=UNITS, name="score"), name="it"
        ),
        [X, SOURCE, REAL, *STATE],
        [(BATCH, QUERY, UNITS), (BATCH, QUERY, KEY), *[(BATCH, UNITS)] * 3],
        write,
    ),
}
MODELS = {
    "GPT": Case(gpt, [ids(KEY)], [(BATCH, KEY, VOCAB)]),
    "GPT, rotary": Case(
        lambda: gpt(rotary=True, use_bias=False, activation="squared_relu"),
        [ids(KEY)],
        [(BATCH, KEY, VOCAB)],
    ),
    "NGramGPT": Case(ngram_gpt, [ids(KEY)], [(BATCH, KEY, VOCAB)]),
    "Llama": Case(llama, [ids(KEY)], [(BATCH, KEY, VOCAB)]),
    "Llama, untied": Case(lambda: llama(tied=False), [ids(KEY)], [(BATCH, KEY, VOCAB)]),
    "Bert": Case(bert, [ids(KEY), ids(KEY) % SEGMENTS], [KEYS.shape, (BATCH, D_MODEL)]),
    "BertPretraining": Case(
        lambda: mt.BertPretraining(bert()),
        [ids(KEY), ids(KEY) % SEGMENTS, np.array([[1, 2, 4], [0, 3, 1]])],
        [(BATCH, 3, VOCAB), (BATCH, 1, 2)],
    ),
    "BertClassifier": Case(
        lambda: mt.BertClassifier(bert(), num_classes=4), [ids(KEY)], [(BATCH, 1, 4)]
    ),
    "Transformer": Case(transformer, [ids(KEY), ids(QUERY)], [(BATCH, QUERY, VOCAB)]),
    "LSTMSeq2Seq": Case(
        lambda: lstm_seq2seq(attention="general"),
        [ids(KEY), ids(QUERY)],
        [(BATCH, QUERY, VOCAB + 6)],
    ),
    "LSTMSeq2Seq, the textbook's": Case(
        lambda: lstm_seq2seq(attention="additive", input_feeding=False),
        [ids(KEY), ids(QUERY)],
        [(BATCH, QUERY, VOCAB + 6)],
    ),
}
CASES |= MODELS
every_case = pytest.mark.parametrize("name", CASES)
every_layer = pytest.mark.parametrize(
    "name",
    [
        name
        for name in CASES
        if name not in ("attention_weights", "rotate") and name != "scaled_dot_product_attention"
    ],
)


def tensors(case, dtype="float32"):
    """Make tensors of the inputs; floats get the given type."""
    return [tf.cast(x, dtype if x.dtype.kind == "f" else x.dtype) for x in case.inputs]


def outputs(case, layer, dtype="float32", wrap=lambda f: f):
    """Call a layer; list its outputs as tensors."""
    call = wrap(lambda *inputs: case.call(layer, *inputs))
    parts = tf.nest.flatten(call(*tensors(case, dtype)))
    return [part for part in parts if part is not None]


def make(case, policy="float32"):
    """Make a layer with weights that are far from their first values."""
    keras.utils.set_random_seed(0)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        layer = case.make()
        if isinstance(layer, keras.layers.Layer):
            outputs(case, layer, layer.compute_dtype)  # makes the weights
            rng = np.random.default_rng(0)
            for weight in layer.weights:
                weight.assign_add(0.2 * rng.normal(size=weight.shape))
    finally:
        keras.config.set_dtype_policy(before)
    return layer


@functools.cache
def plain(name):
    """Make a case's layer and its outputs, once for all tests."""
    layer = make(CASES[name])
    return layer, outputs(CASES[name], layer)


@pytest.mark.parametrize(("dtype", "rounding"), [("bfloat16", 2**-8), ("float16", 2**-11)])
def test_sums_statistics_and_angles_are_float32(dtype, rounding):
    def both(layer, x):
        """Give a layer the same numbers in half precision and in float32."""
        x = tf.cast(x, dtype)
        exact = layer(tf.cast(x, tf.float32))
        assert layer(x).dtype == dtype
        return tf.cast(layer(x), tf.float32).numpy(), exact.numpy()

    # Rounded once, at the end. Tiny weights have fewer digits in float16.
    half, exact = both(mt.attention_weights, floats(3, 4000))
    large = exact > 1e-4
    np.testing.assert_allclose(half[large], exact[large], rtol=1.01 * rounding)
    # Some processors round once in either case, so its type is checked too.
    traced = tf.function(mt.attention_weights).get_concrete_function(tf.TensorSpec([3, 5], dtype))
    softmax = [op for op in traced.graph.get_operations() if op.type == "Softmax"]
    assert [op.inputs[0].dtype for op in softmax] == [tf.float32]
    # Float16 cannot hold the square of 300.
    policy = keras.DTypePolicy(f"mixed_{dtype}")
    for kind in (mt.LayerNorm, mt.RMSNorm):
        norms = {dtype: kind(dtype=policy), "float32": kind()}
        half, exact = both(lambda x, norms=norms: norms[x.dtype.name](x), 300 + floats(3, D_FF))
        np.testing.assert_allclose(half, exact, rtol=2 * rounding, atol=1e-4)
    # Nor can either hold an angle of 9,000, but it can hold its sine.
    half, exact = both(lambda x: mt.rotate(x, start=9001), floats(1, 1, 4, HEAD_DIM))
    np.testing.assert_allclose(half, exact, atol=6 * rounding)


@every_case
def test_shapes_and_types_are_those_promised(name):
    _, parts = plain(name)
    assert [tuple(part.shape) for part in parts] == CASES[name].shapes
    assert all(part.dtype == tf.float32 for part in parts)


def state(layer):
    """List attributes and weights of a layer and of the layers in it."""
    if not isinstance(layer, keras.layers.Layer):
        return {}, []
    attributes = {
        (part.path, name): value
        for part in layer._flatten_layers()
        for name, value in vars(part).items()
    }
    return attributes, [weight.numpy() for weight in layer.variables]


@every_case
@pytest.mark.parametrize("use_xla", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_compiled_it_computes_the_same_and_leaves_nothing_behind(name, use_xla):
    layer, expected = plain(name)
    attributes, weights = state(layer)
    compiled = functools.partial(tf.function, jit_compile=use_xla, autograph=False)
    parts = outputs(CASES[name], layer, wrap=compiled)
    for part, same in zip(parts, expected, strict=True):
        assert part.dtype == same.dtype
        np.testing.assert_allclose(part, same, rtol=1e-5, atol=2e-6)
    after, weights_after = state(layer)
    assert after.keys() == attributes.keys()
    for key, value in after.items():
        assert value is attributes[key] or value == attributes[key], key
        assert not isinstance(value, tf.Tensor), key
    for one, other in zip(weights, weights_after, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("dtype", "rounding"), [("bfloat16", 2**-8), ("float16", 2**-11)])
@every_case
def test_half_precision_costs_no_more_than_its_rounding(name, dtype, rounding):
    layer = make(CASES[name], f"mixed_{dtype}")
    if isinstance(layer, keras.layers.Layer):
        assert all(weight.dtype == "float32" for weight in layer.weights)
    parts = outputs(CASES[name], layer, dtype)
    for part, exact in zip(parts, plain(name)[1], strict=True):
        assert part.dtype == dtype
        error = np.abs(tf.cast(part, tf.float32) - exact)
        # Where errors add up, they are of the size of the largest value.
        scale = max(1.0, np.abs(exact).max())
        assert np.isfinite(error).all()
        assert error.max() <= 16 * rounding * scale


@every_layer
def test_saved_weights_give_the_same_outputs(name, tmp_path):
    layer, expected = plain(name)
    if name in MODELS:
        layer.save(tmp_path)
        again = type(layer).load(tmp_path)
    else:
        path = tmp_path / "weights.safetensors"
        weights = named_weights(layer)
        save_file({key: w.numpy() for key, w in weights.items()}, path)
        again = CASES[name].make()
        outputs(CASES[name], again)  # makes the weights
        assign_weights(again, load_file(path))
    parts = outputs(CASES[name], again)
    for part, same in zip(parts, expected, strict=True):
        np.testing.assert_array_equal(part, same)
