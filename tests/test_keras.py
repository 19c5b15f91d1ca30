"""What users of Keras do with our layers and models works, and means what Keras means."""

import copy
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

import minitransformer as mt

# Keras' file of weights does not know NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")
BATCH, SEQ, D_MODEL, HEADS, D_FF, VOCAB, MAX_LEN = 4, 5, 12, 3, 20, 11, 8
BLOCK = {"d_model": D_MODEL, "num_heads": HEADS, "d_ff": D_FF, "norm_first": True}
SIZES = {
    "vocab_size": VOCAB,
    "max_len": MAX_LEN,
    "d_model": D_MODEL,
    "num_heads": HEADS,
    "num_layers": 1,
    "d_ff": D_FF,
}
SPECIAL = {"pad_id": 0, "bos_id": 1, "eos_id": 2}


def lstm():
    sizes = {"source_vocab_size": VOCAB, "target_vocab_size": VOCAB, "d_model": 6, "units": 7}
    return mt.LSTMSeq2Seq(mt.LSTMSeq2SeqConfig(**sizes, attention="general", **SPECIAL))


def bert():
    return mt.Bert(mt.BertConfig(**SIZES))


MODELS = {
    "GPT": (lambda: mt.GPT(mt.GPTConfig(**SIZES)), 1),
    "Transformer": (lambda: mt.Transformer(mt.TransformerConfig(**SIZES, **SPECIAL)), 2),
    "LSTMSeq2Seq": (lstm, 2),
    "Bert": (bert, 1),
    "BertClassifier": (lambda: mt.BertClassifier(bert(), num_classes=3), 1),
    "BertPretraining": (lambda: mt.BertPretraining(bert()), 3),
}
every_model = pytest.mark.parametrize("name", MODELS)


def slow(*names):
    """Leave cases that take seconds, and resemble the first one, to the gate."""
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.fixture
def ids(rng):
    return rng.integers(1, VOCAB, (BATCH, SEQ))


def outputs(model, inputs):
    return [x.numpy() for x in tf.nest.flatten(model(*inputs))]


@pytest.mark.parametrize("name", ["GPT", *slow(*[n for n in MODELS if n != "GPT"])])
def test_a_config_a_copy_and_a_keras_file_make_the_same_model(name, tmp_path):
    make, arity = MODELS[name]
    model, inputs = make(), [np.array([[1, 0, 1]])] * arity
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    loaded = type(model).from_config(model.get_config())
    loaded.load_weights(tmp_path / "m.weights.h5")
    others = [again, loaded, copy.deepcopy(model), keras.saving.load_model(tmp_path / "m.keras")]
    for other in others:
        assert type(other) is type(model)
        for one, two in zip(outputs(model, inputs), outputs(other, inputs), strict=True):
            np.testing.assert_array_equal(one, two)
    clone = keras.models.clone_model(model)
    assert [w.shape for w in clone.weights] == [w.shape for w in model.weights]


@pytest.mark.parametrize("name", ["GPT", *slow("Transformer", "LSTMSeq2Seq")])
def test_fit_takes_the_usual_callbacks(name, ids, tmp_path):
    make, arity = MODELS[name]
    model, x = make(), (ids if arity == 1 else (ids, ids))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # XLA, which is Keras' default, takes seconds: once is enough.
    model.compile("adam", loss, jit_compile="auto" if name == "GPT" else False)
    call = keras.callbacks
    model.fit(
        x,
        ids,
        batch_size=2,
        verbose=0,
        callbacks=[
            call.ModelCheckpoint(tmp_path / "best.keras"),
            call.ModelCheckpoint(tmp_path / "best.weights.h5", save_weights_only=True),
            call.EarlyStopping(monitor="loss"),
            call.BackupAndRestore(tmp_path / "backup"),
        ],
    )
    assert np.isfinite(model.evaluate(x, ids, verbose=0))
    best = keras.saving.load_model(tmp_path / "best.keras")
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(best.predict(x, verbose=0), expected, atol=1e-6)
    model.summary(print_fn=lambda line: None)


def test_a_folder_is_ours_and_a_keras_file_is_keras(tmp_path):
    model = MODELS["GPT"][0]()
    model.save(tmp_path / "folder")
    assert mt.GPT.load(tmp_path / "folder").config == model.config
    model.save(tmp_path / "m.keras", overwrite=True)
    assert (tmp_path / "m.keras").is_file()


@pytest.mark.parametrize("dtype", [None, "int32", "int64"])
@every_model
def test_models_are_parts_of_functional_models(name, ids, dtype):
    make, arity = MODELS[name]
    model, inputs = make(), [keras.Input((None,), dtype=dtype) for _ in range(arity)]
    ids = ids % 2 if arity == 3 else ids  # segments and positions as well
    functional = keras.Model(inputs, model(*inputs))
    found = tf.nest.flatten(functional([ids] * arity))
    for one, two in zip(found, outputs(model, [ids] * arity), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


LAYERS = {
    "MultiHeadAttention": lambda **o: mt.MultiHeadAttention(d_model=D_MODEL, num_heads=HEADS, **o),
    "FeedForward": lambda **o: mt.FeedForward(d_model=D_MODEL, d_ff=D_FF, activation="gelu", **o),
    "LayerNorm": lambda **o: mt.LayerNorm(**o),
    "EncoderBlock": lambda **o: mt.EncoderBlock(**BLOCK, **o),
    "DecoderBlock": lambda **o: mt.DecoderBlock(cross_attention=False, **BLOCK, **o),
    "Encoder": lambda **o: mt.Encoder(num_layers=1, **BLOCK, **o),
    "Decoder": lambda **o: mt.Decoder(num_layers=1, cross_attention=True, **BLOCK, **o),
    "LearnedPositions": lambda **o: mt.LearnedPositions(max_len=MAX_LEN, d_model=D_MODEL, **o),
}
# How many times a layer takes x.
TIMES = {"MultiHeadAttention": 3}
every_layer = pytest.mark.parametrize("name", LAYERS)


def call(name, layer, x):
    if name == "Decoder":
        return layer(x, memory=x)
    return layer(*[x] * TIMES.get(name, 1))


@every_layer
def test_functional_models_of_layers_can_be_saved(name, normal, tmp_path):
    inputs = keras.Input((None, D_MODEL))
    result = call(name, LAYERS[name](), inputs)
    model = keras.Model(inputs, result[0] if isinstance(result, tuple) else result)
    model.save(tmp_path / "m.keras")
    x = normal(BATCH, SEQ, D_MODEL)
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again(x), model(x))
    assert keras.models.clone_model(model).count_params() == model.count_params()


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16", "float64"])
@every_layer
def test_a_dtype_reaches_all_parts_of_a_layer(name, normal, dtype):
    layer = LAYERS[name](dtype=dtype)
    result = call(name, layer, normal(BATCH, SEQ, D_MODEL))
    result = result[0] if isinstance(result, tuple) else result
    assert result.dtype == keras.DTypePolicy(dtype).compute_dtype
    assert {part.dtype_policy.name for part in layer._flatten_layers()} == {dtype}


def test_keras_fills_in_no_mask_of_ours(ids):
    embedding = keras.layers.Embedding(VOCAB, D_MODEL, mask_zero=True)
    x = embedding(ids * (np.arange(SEQ) < 3))
    block = mt.DecoderBlock(cross_attention=True, **BLOCK)
    with pytest.warns(UserWarning, match="does not support masking"):
        _, (_, cross), _ = block(x, memory=x)
    assert (cross.numpy() > 0).all()  # Keras says that it hides nothing
    for name in ("EncoderBlock", "DecoderBlock", "MultiHeadAttention", "Encoder", "Decoder"):
        code = getattr(mt, name).call.__code__
        names = code.co_varnames[: code.co_argcount]
        assert not [n for n in names if n.endswith("_mask") and n[:-5] in names], name


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_float_ids_are_not_rounded_to_halves(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = mt.GPT(mt.GPTConfig(**SIZES | {"vocab_size": 4000}))
    finally:
        keras.config.set_dtype_policy("float32")
    ids = np.array([[257, 3999, 2049]])
    np.testing.assert_array_equal(model(ids.astype("float32")), model(ids))


@every_model
def test_ids_outside_the_vocabulary_are_named(name):
    make, arity = MODELS[name]
    model = make()
    for wrong in (VOCAB, -1, 1.5):
        with pytest.raises(ValueError, match=f"token id {wrong}.* is not in 0 to"):
            model(*[np.array([[1, wrong]])] * arity)
    if name == "GPT":
        with pytest.raises(TypeError, match="give integers"):
            model(np.array([["a"]]))


@pytest.mark.slow
def test_inputs_can_be_a_dictionary_of_names(ids):
    model = MODELS["Transformer"][0]()
    names = {"source_ids": ids, "target_ids": ids[:, 1:]}
    np.testing.assert_array_equal(model(names), model(ids, ids[:, 1:]))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(True), jit_compile=False)
    assert np.isfinite(model.fit(names, ids[:, 1:], verbose=0).history["loss"]).all()


def test_weights_have_the_order_in_which_older_checkpoints_number_them():
    expected = json.loads((ROOT / "tests/fixtures/weight_order.json").read_text("utf-8"))
    for name, paths in expected.items():
        model = MODELS[name][0]()
        found = [weight.path.partition("/")[2] for weight in model.trainable_variables]
        assert found == paths, name


def test_lists_are_ids_as_well():
    gpt, transformer = MODELS["GPT"][0](), MODELS["Transformer"][0]()
    assert gpt([[1, 2], [3, 4]]).shape == (2, 2, VOCAB)
    assert transformer([[1, 2]], [[3, 4, 5]]).shape == (1, 3, VOCAB)
    with pytest.raises(ValueError, match=r"expected \(batch, seq\)"):
        gpt([1, 2])


def run_python(code, **environment):
    command = [sys.executable, "-c", code]
    env = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


@pytest.mark.slow
def test_another_backend_is_replaced_or_named(tmp_path):
    (tmp_path / "keras.json").write_text('{"floatx": "float64", "backend": "torch"}')
    code = (
        "import minitransformer as mt\n"
        f"model = mt.GPT(mt.GPTConfig(**{SIZES}))\n"
        "print(model([[1, 2]]).dtype.name)\n"
    )
    done = run_python(code, KERAS_BACKEND="jax", KERAS_HOME=str(tmp_path))
    assert done.stdout == "float64\n", done.stderr
    code = (
        "import sys, types, minitransformer\n"
        "sys.modules['keras'] = keras = types.ModuleType('keras')\n"
        "keras.config = types.SimpleNamespace(backend=lambda: 'jax')\n"
        "minitransformer.GPT\n"
    )
    done = run_python(code)
    assert "ImportError: Keras computes with jax already: import minitransformer" in done.stderr
