import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, make_tiny_gpt
from safetensors import safe_open
from safetensors.numpy import load_file

from minitransformer import GPT, GPTConfig, generate, load_tokenizer, masked_cross_entropy

FIXTURES = ROOT / "tests" / "fixtures"


def test_same_logits_as_hugging_face_gpt2():
    model = GPT.from_pretrained(FIXTURES / "gpt2")
    theirs = load_file(FIXTURES / "gpt2.safetensors")
    logits = model(theirs["token_ids"])
    np.testing.assert_allclose(logits, theirs["logits"], atol=1e-4)


def test_a_published_gpt2_continues_a_text_as_hugging_face_does():
    with safe_open(FIXTURES / "gpt2.safetensors", "numpy") as file:
        about, expected = file.metadata(), file.get_tensor("greedy")
    model, tokenizer = GPT.from_pretrained(FIXTURES / "gpt2"), load_tokenizer(FIXTURES / "gpt2")
    ids = tokenizer.encode(about["text"])
    assert ids == json.loads(about["ids"])
    assert tokenizer.eos_id == tokenizer.vocab_size - 1 == model.config.vocab_size - 1
    [found] = generate(
        model, [ids], max_new_tokens=len(expected) - len(ids), temperature=0, use_xla=False
    )
    np.testing.assert_array_equal(found, expected)
    assert tokenizer.decode(found).startswith(about["text"])


def test_changing_a_later_token_leaves_earlier_logits_unchanged(tiny_gpt, rng):
    ids = rng.integers(0, 23, (2, 9))
    before = tiny_gpt(ids).numpy()
    ids[1, 5] = (ids[1, 5] + 1) % 23
    after = tiny_gpt(ids).numpy()
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert np.abs(before - after)[1, 5:].max() > 1e-3


@pytest.mark.parametrize("vocab_size", [65, 300])
def test_the_first_loss_is_that_of_a_uniform_guess(rng, vocab_size):
    model = GPT(GPTConfig.nano(vocab_size))
    ids = rng.integers(0, vocab_size, (8, 65))
    loss, count = masked_cross_entropy(model(ids[:, :-1]), ids[:, 1:], np.ones((8, 64), "float32"))
    assert float(loss / count) == pytest.approx(math.log(vocab_size), abs=0.1)


def test_a_new_model_expects_the_token_it_has_just_read(rng):
    keras.utils.set_random_seed(1)
    model = GPT(GPTConfig.nano(97))
    ids = rng.integers(0, 97, (4, 64))
    logits = model(ids).numpy()
    own = np.take_along_axis(logits, ids[..., None], -1)[..., 0]
    assert own.mean() > 3 * logits.std()
    assert (logits.argmax(-1) == ids).mean() > 0.8


def test_residual_projections_start_smaller():
    model = GPT(GPTConfig(vocab_size=50, max_len=16, d_model=128, num_heads=4, num_layers=8))
    for weight in model.trainable_variables:
        values = weight.numpy()
        if values.ndim < 2:
            expected = 1.0 if weight.path.endswith("gain") else 0.0
            assert (values == expected).all()
            continue
        residual = weight.path.endswith(("output_dense/kernel", "contract_dense/kernel"))
        stddev = 0.02 / 4 if residual else 0.02
        assert values.std() == pytest.approx(stddev, rel=0.1), weight.path


def test_the_same_seed_gives_the_same_weights():
    models = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        models.append(GPT(GPTConfig.nano(7)).get_weights())
    for a, b, c in zip(*models, strict=True):
        np.testing.assert_array_equal(a, b)
        if a.ndim == 2:
            assert (a != c).any()


def test_nano_has_nanogpts_parameters():
    model = GPT(GPTConfig.nano(65))
    blocks = 4 * (12 * 128**2 + 2 * 128)
    assert model.count_params() == blocks + (65 + 64 + 1) * 128


def test_attention_maps_are_causal_and_sum_to_one(tiny_gpt):
    maps = tiny_gpt.attention_maps([[1, 2, 3, 4, 5], [5, 4, 3, 2, 1]])
    assert len(maps) == 2
    for weights in maps:
        assert weights.shape == (2, 3, 5, 5)
        np.testing.assert_allclose(np.sum(weights, axis=-1), 1, rtol=1e-5)
        assert (np.triu(weights, 1) == 0).all()


def test_a_sequence_beyond_max_len_is_refused(tiny_gpt):
    assert tiny_gpt(np.zeros((1, 11), int)).shape == (1, 11, 23)
    with pytest.raises(ValueError, match="12 tokens, but max_len=11"):
        tiny_gpt(np.zeros((1, 12), int))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d_model": 10}, "d_model=10 is not divisible by num_heads=3"),
        ({"num_layers": 0}, "num_layers=0"),
        ({"vocab_size": -1}, "vocab_size=-1"),
        ({"max_len": 1}, "max_len=1"),
        ({"dropout_rate": 1.0}, "dropout_rate=1.0"),
        ({"dropout_rate": float("nan")}, "dropout_rate=nan"),
        ({"num_layers": float("nan")}, "num_layers=nan"),
        ({"num_layers": 2.5}, "num_layers=2.5"),
        ({"num_layers": True}, "num_layers=True"),
        ({"d_model": "12"}, "d_model='12'"),
        ({"d_model": None}, "d_model=None"),
        ({"d_ff": "x"}, "d_ff='x'"),
        ({"use_bias": 1}, "use_bias=1: give True or False"),
        ({"activation": None}, "activation=None"),
        ({"band": 0}, "band=0: give an integer of at least 1"),
        ({"band": 2.5}, "band=2.5: give an integer of at least 1"),
        ({"band": 11}, "band=11 hides nothing in max_len=11"),
        ({"band": 3, "num_layers": 1}, "band=3 with num_layers=1"),
    ],
)
def test_impossible_sizes_are_refused(change, message):
    with pytest.raises((TypeError, ValueError), match=message):
        GPTConfig(**{**SIZES, **change})


SIZES = {"vocab_size": 23, "max_len": 11, "d_model": 12, "num_heads": 3, "num_layers": 2}


def test_numpys_numbers_are_sizes_and_can_be_saved(tmp_path):
    numpys = {name: np.int64(size) for name, size in SIZES.items()}
    switches = {"dropout_rate": np.float32(0.5), "use_bias": np.False_}
    config = GPTConfig(**numpys, **switches)
    assert config == GPTConfig(**SIZES, dropout_rate=0.5, use_bias=False)
    GPT(config).save(tmp_path)
    assert GPT.load(tmp_path).config == config


@pytest.mark.parametrize(
    "change", [{"d_model": 3 * 10**9}, {"vocab_size": 10**12}, {"num_layers": 10**8}]
)
def test_a_model_beyond_memory_is_refused_before_it_is_made(change):
    with pytest.raises(ValueError, match=r"needs at least .* GiB"):
        GPT(GPTConfig(**SIZES | change))


@pytest.mark.parametrize("config", [SIZES, None, "gpt"])
def test_a_configuration_of_another_class_is_named(config):
    with pytest.raises(TypeError, match="give a GPTConfig"):
        GPT(config)


@pytest.mark.parametrize("rotary", [False, True])
def test_a_full_cache_is_never_read_past_its_end(rotary):
    model = GPT(GPTConfig(**SIZES, rotary=rotary))
    token, cache = np.array([[1]]), model.start_cache(1)
    with pytest.raises(ValueError, match="max_len=11"):
        model.forward(token, cache, 11)
    with pytest.raises(ValueError, match="start=3 without a cache"):
        model.forward(token, start=3)

    @tf.function(jit_compile=True, autograph=False)
    def compiled(start):  # in a loop XLA does not know the value
        step = lambda place, _: (place + 1, model.forward(token, cache, place)[0])  # noqa: E731
        first = start, tf.zeros((1, 1, 23))
        return tf.while_loop(lambda place, _: place <= start, step, first)[1]

    assert np.isnan(compiled(tf.constant(11))).all()
    expected = model.forward(token, cache, np.int64(10))[0]
    np.testing.assert_allclose(compiled(tf.constant(10)), expected, atol=1e-5)


def test_dropout_is_for_training_only():
    model = make_tiny_gpt(dropout_rate=0.5)
    ids = np.array([[1, 2, 3]])
    np.testing.assert_array_equal(model(ids), model(ids, training=False))
    assert np.abs(model(ids) - model(ids, training=True)).max() > 1e-2
    start = model.dropout(np.ones((50, 3, 12), "float32"), training=True)
    assert np.mean(start == 0) == pytest.approx(0.5, abs=0.1)
    rates = [
        layer.rate for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dropout)
    ]
    assert rates == [0.5] * (1 + 2 * 2)


def test_compiled_equals_eager(tiny_gpt):
    ids = tf.constant([[1, 2, 3, 4]])
    for jit in (False, True):
        compiled = tf.function(lambda x: tiny_gpt(x), jit_compile=jit)
        np.testing.assert_allclose(compiled(ids), tiny_gpt(ids), atol=1e-4)


def test_a_rotary_gpt_has_no_table_and_a_cache_that_changes_nothing():
    model = make_tiny_gpt(rotary=True, activation="squared_relu")
    assert model.positions is None
    ids = np.array([[3, 1, 4, 1, 5, 9, 2], [6, 5, 3, 5, 8, 9, 7]])
    whole, cache = model(ids), model.start_cache(2)
    for start, end in ((0, 3), (3, 4), (4, 7)):
        part, _, cache = model.forward(ids[:, start:end], cache, start)
        np.testing.assert_allclose(part, whole[:, start:end], atol=1e-4)
    # It hears the order of what came before, though nothing is added.
    other = model(ids[:, [1, 0, 2, 3, 4, 5, 6]])
    assert np.abs(other[:, -1] - whole[:, -1]).max() > 1e-3


def test_squared_relu_is_what_it_says():
    model = make_tiny_gpt(activation="squared_relu")
    f = model.decoder.blocks[0].feed_forward.activation
    np.testing.assert_array_equal(f(tf.constant([-2.0, 0, 3])), [0, 0, 9])


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="gelu, squared_relu"):
        make_tiny_gpt(activation="sigmoid")
