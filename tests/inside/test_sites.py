"""Every site shows what its function made, and nothing else changes."""

import functools
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf
from test_contract import BATCH, KEY, MODELS, QUERY, gpt, ids, lstm_seq2seq, plain, state

import minitransformer as mt
from minitransformer.inside.sites import open_sites

every_model = pytest.mark.parametrize("name", MODELS)


@functools.cache
def captured(name):
    """Make a model; return it, its inputs, and the arrays at all sites."""
    model, _ = plain(name)
    inputs = tuple(map(tf.constant, MODELS[name].inputs))
    return model, inputs, mt.capture(model, inputs, ["*"])


def near(one, other):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-6)


@every_model
def test_a_captured_call_computes_the_same_and_leaves_nothing_behind(name):
    model, inputs, _ = captured(name)
    attributes, weights = state(model)
    modules = {m: dict(vars(sys.modules[m])) for m in sys.modules if m.startswith("minitr")}
    expected = tf.nest.flatten(model(*inputs))[0]
    last = "hidden" if name == "Bert" else "logits"
    np.testing.assert_array_equal(mt.capture(model, inputs, [last])[last], expected)
    with pytest.raises(ZeroDivisionError):
        mt.capture(model, inputs, [last], edits={"*hidden": lambda x: 1 / 0})
    np.testing.assert_array_equal(tf.nest.flatten(model(*inputs))[0], expected)
    for layer in model._flatten_layers():
        assert not {"call", "attend", "read"} & vars(layer).keys(), layer.path
    after, weights_after = state(model)
    assert after.keys() == attributes.keys()
    assert all(after[key] is value or after[key] == value for key, value in attributes.items())
    for one, other in zip(weights, weights_after, strict=True):
        np.testing.assert_array_equal(one, other)
    for module, names in modules.items():
        assert vars(sys.modules[module]) == names


@every_model
@pytest.mark.parametrize("use_xla", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_compiled_code_captures_the_same(name, use_xla):
    model, inputs, arrays = captured(name)
    compiled = tf.function(lambda *given: mt.capture(model, given, ["*"]), jit_compile=use_xla)
    again = compiled(*inputs)
    assert again.keys() == arrays.keys()
    for site, array in arrays.items():
        near(again[site], array)


def test_the_default_gpts_graph_is_the_same_after_a_capture():
    model = gpt()

    def operations():
        graph = tf.function(model.call).get_concrete_function(ids(KEY)).graph
        return [(op.type, op.name) for op in graph.get_operations()]

    before = operations()
    mt.capture(model, ids(KEY), ["*"], edits={"block0": tf.zeros_like})
    assert operations() == before
    assert len(before) > 100


@every_model
def test_what_attention_shows_is_what_its_functions_make(name):
    model, _, arrays = captured(name)
    model = getattr(model, "bert", model)
    attentions = [site.removesuffix(".heads") for site in arrays if site.endswith(".heads")]
    assert len(attentions) == {"Transformer": 3}.get(name, 0 if "LSTM" in name else 1)
    for site in attentions:
        query, key, value, scores, weights, heads, output = (
            arrays[f"{site}.{part}"]
            for part in ("queries", "keys", "values", "scores", "weights", "heads", "output")
        )
        near(scores, query @ tf.linalg.matrix_transpose(key) / query.shape[-1] ** 0.5)
        near(heads, weights @ value)
        *_, stack, block, kind = ["", *site.split(".")]
        stack = getattr(model, stack or ("decoder" if hasattr(model, "decoder") else "encoder"))
        layer = getattr(stack.blocks[int(block[-1])], f"{kind}_attention")
        near(output, layer.output_dense(mt.merge_heads(heads)))


def test_the_weights_are_those_that_the_models_return():
    model, inputs, arrays = captured("GPT")
    near(arrays["block0.self.weights"], model.attention_maps(*inputs)[0])
    model, inputs, arrays = captured("Bert")
    near(arrays["block0.self.weights"], model.attention_maps(*inputs)[0])
    model, inputs, arrays = captured("Transformer")
    maps = [maps[0] for maps in model.attention_maps(*inputs)]
    for site, weights in zip(("encoder.block0.self", "decoder.block0.self"), maps, strict=False):
        near(arrays[f"{site}.weights"], weights)
    near(arrays["decoder.block0.cross.weights"], maps[2])
    for name in ("LSTMSeq2Seq", "LSTMSeq2Seq, the textbook's"):
        model, inputs, arrays = captured(name)
        near(arrays["decoder.weights"], model.attention_maps(*inputs))


def test_each_array_of_a_gpt_is_made_of_those_before_it():
    model, (token_ids,), arrays = captured("GPT")
    block = model.decoder.blocks[0]
    near(arrays["embeddings"], model.positions(model.embedding(token_ids)))
    attended, forward = (arrays[f"block0.{name}.output"] for name in ("self", "feed_forward"))
    middle = arrays["embeddings"] + attended
    normed = block.attention_norm(arrays["embeddings"])
    for part in ("query", "key", "value"):
        projected = getattr(block.self_attention, f"{part}_dense")(normed)
        site = "block0.self.queries" if part == "query" else f"block0.self.{part}s"
        near(arrays[site], mt.split_heads(projected, 3))
    layer = block.feed_forward
    hidden = layer.activation(layer.expand_dense(block.feed_forward_norm(middle)))
    near(arrays["block0.feed_forward.activations"], hidden)
    near(forward, layer.contract_dense(hidden))
    near(arrays["block0"], middle + forward)
    near(arrays["hidden"], model.decoder.final_norm(arrays["block0"]))
    near(arrays["logits"], model.embedding.logits(arrays["hidden"]))


def test_rotated_queries_are_shown():
    model, _, arrays = captured("GPT, rotary")
    block = model.decoder.blocks[0]
    projected = block.self_attention.query_dense(block.attention_norm(arrays["embeddings"]))
    near(arrays["block0.self.queries"], mt.rotate(mt.split_heads(projected, 3), 0))


@pytest.mark.parametrize("name", ["LSTMSeq2Seq", "LSTMSeq2Seq, the textbook's"])
def test_each_array_of_an_lstm_translator_is_made_of_those_before_it(name):
    model, (source, _), arrays = captured(name)
    memory, _, mask = model.encode(source)
    near(arrays["encoder.hidden"], memory)
    score = model.decoder.score
    near(arrays["decoder.keys"], score.keys(memory))
    near(arrays["decoder.scores"], score(arrays["decoder.queries"], arrays["decoder.keys"]))
    weights = mt.attention_weights(arrays["decoder.scores"], mask[:, None])
    near(arrays["decoder.weights"], weights)
    near(arrays["decoder.context"], weights @ memory)
    near(arrays["logits"], model.output_dense(arrays["decoder.hidden"]))
    assert arrays["decoder.queries"].shape[:2] == (BATCH, QUERY)


def test_another_thread_is_not_seen_and_sees_no_edit():
    model, (token_ids,), arrays = captured("GPT")
    seen, other = [], []

    def visit(site, array):
        seen.append(site)
        return tf.zeros_like(array) if site == "block0" else array

    with open_sites(model, visit):
        thread = threading.Thread(target=lambda: other.append(model(token_ids)))
        thread.start()
        thread.join()
        assert not seen
        edited = model(token_ids)
    near(other[0], arrays["logits"])
    assert len(seen) == len(set(seen)) == len(arrays)
    assert np.abs(edited - arrays["logits"]).max() > 0.01


def test_steps_of_unknown_number_are_refused():
    model = lstm_seq2seq(attention="dot", input_feeding=True)
    ids_of_any_length = tf.TensorSpec((BATCH, None), tf.int32)
    compiled = tf.function(
        lambda source, target: mt.capture(model, (source, target), ["logits"]),
        input_signature=[ids_of_any_length] * 2,
    )
    with pytest.raises(ValueError, match="target_ids of a fixed length"):
        compiled.get_concrete_function()
