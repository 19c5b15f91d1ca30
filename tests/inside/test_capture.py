"""Names of sites, and interventions on them."""

import numpy as np
import pytest
import tensorflow as tf
from test_contract import (
    BATCH,
    D_FF,
    D_MODEL,
    HEADS,
    KEY,
    MAX_LEN,
    QUERY,
    VOCAB,
    floats,
    ids,
    lstm_seq2seq,
    transformer,
)

import minitransformer as mt


@pytest.fixture
def gpt():
    """A GPT with two blocks, whose weights are far from their first values."""
    sizes = {"d_model": D_MODEL, "num_heads": HEADS, "d_ff": D_FF, "num_layers": 2}
    return scattered(mt.GPT(mt.GPTConfig(vocab_size=VOCAB, max_len=MAX_LEN, **sizes)))


def scattered(model):
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign_add(0.2 * rng.normal(size=weight.shape))
    return model


def test_sites_are_listed_in_the_order_of_computation(gpt):
    names = mt.sites(gpt)
    assert names[0] == "embeddings"
    assert names[-2:] == ["hidden", "logits"]
    assert names.index("block0") + 1 == names.index("block1.self.queries")
    assert list(mt.capture(gpt, ids(KEY), ["logits", "block*"])) == [
        name for name in names if name.startswith("block") or name == "logits"
    ]


def test_a_star_stands_for_any_letters(gpt):
    found = mt.capture(gpt, ids(KEY), ["block*.self.weights"])
    assert list(found) == ["block0.self.weights", "block1.self.weights"]
    assert {tuple(array.shape) for array in found.values()} == {(BATCH, HEADS, KEY, KEY)}


def test_without_sublayers_a_block_passes_the_stream_on(gpt):
    edits = {"block1.self.output": tf.zeros_like, "block1.feed_forward.output": tf.zeros_like}
    found = mt.capture(gpt, ids(KEY), ["block0", "block1", "logits"], edits)
    np.testing.assert_array_equal(found["block0"], found["block1"])
    hidden = gpt.decoder.final_norm(found["block0"])
    np.testing.assert_allclose(found["logits"], gpt.embedding.logits(hidden), rtol=1e-5)


def test_a_patched_stream_carries_everything_of_the_other_run(gpt):
    one, other = ids(KEY), ids(KEY)[::-1]
    expected = mt.capture(gpt, other, ["block0", "logits"])
    patched = mt.capture(gpt, one, ["logits"], {"block0": expected["block0"]})
    np.testing.assert_array_equal(patched["logits"], expected["logits"])
    assert np.abs(gpt(one) - expected["logits"]).max() > 0.1


def test_replaced_weights_mix_the_values(gpt):
    uniform = np.full((BATCH, HEADS, KEY, KEY), 1 / KEY, "float32")
    names = ["block0.self.values", "block0.self.heads", "block0.self.weights"]
    found = mt.capture(gpt, ids(KEY), names, {"block0.self.weights": uniform})
    np.testing.assert_array_equal(found["block0.self.weights"], uniform)
    means = tf.reduce_mean(found["block0.self.values"], axis=2, keepdims=True)
    means = tf.broadcast_to(means, found["block0.self.heads"].shape)
    np.testing.assert_allclose(found["block0.self.heads"], means, rtol=1e-4, atol=1e-6)


def test_replaced_scores_are_masked(gpt):
    edits = {"block*.self.scores": tf.zeros_like}
    found = mt.capture(gpt, ids(KEY), ["block*.self.weights"], edits)
    expected = np.tril(np.ones((KEY, KEY))) / np.arange(1, KEY + 1)[:, None]
    for weights in found.values():
        np.testing.assert_allclose(weights, np.broadcast_to(expected, weights.shape), rtol=1e-6)


def test_gradients_flow_through_a_replaced_site(gpt):
    stream = tf.Variable(floats(BATCH, KEY, D_MODEL))
    with tf.GradientTape(persistent=True) as tape:
        found = mt.capture(gpt, ids(KEY), ["logits", "block1"], {"block0": stream})
        loss = tf.reduce_sum(found["logits"] ** 2)
        mask = mt.causal_mask(KEY)[None]
        by_hand, *_ = gpt.decoder.blocks[1](stream, attention_mask=mask)
        logits = gpt.embedding.logits(gpt.decoder.final_norm(by_hand))
        same = tf.reduce_sum(logits**2)
    gradient = tape.gradient(loss, stream)
    assert np.abs(gradient).max() > 0.1
    np.testing.assert_allclose(gradient, tape.gradient(same, stream), rtol=1e-4, atol=1e-4)
    # Also to an array that was only captured.
    assert np.abs(tape.gradient(loss, found["block1"])).max() > 0.1


def test_compiled_edits_compute_the_same(gpt):
    edits = {"block0.self.heads": lambda x: x * np.array([1, 0, 1])[:, None, None]}

    def without_a_head(token_ids):
        return mt.capture(gpt, token_ids, ["logits"], edits)["logits"]

    expected = without_a_head(ids(KEY))
    np.testing.assert_allclose(
        tf.function(without_a_head)(ids(KEY)), expected, rtol=1e-5, atol=2e-6
    )
    assert np.abs(gpt(ids(KEY)) - expected).max() > 0.01


def test_the_encoder_reaches_the_logits_through_cross_attention_only():
    model = scattered(transformer())
    source, target = ids(KEY), ids(QUERY)
    zeros = {"decoder.block*.cross.output": tf.zeros_like}
    one = mt.capture(model, (source, target), ["logits"], zeros)["logits"]
    # The padding stays where it is.
    other = mt.capture(model, (source % 7 + (source > 0), target), ["logits"], zeros)["logits"]
    np.testing.assert_array_equal(one, other)
    assert np.abs(model(source, target) - one).max() > 0.1


@pytest.mark.parametrize("input_feeding", [True, False])
def test_an_array_for_all_steps_is_given_to_each_step(input_feeding):
    options = {"attention": "additive", "input_feeding": input_feeding}
    model = scattered(lstm_seq2seq(**options))
    inputs, others = (ids(KEY), ids(QUERY)), (ids(KEY)[::-1], ids(QUERY))
    context = mt.capture(model, others, ["decoder.context"])["decoder.context"]
    names = ["decoder.context", "decoder.weights", "logits"]
    patched = mt.capture(model, inputs, names, {"decoder.context": context})
    np.testing.assert_array_equal(patched["decoder.context"], context)
    assert np.abs(model(*inputs) - patched["logits"]).max() > 1e-3
    # One weight of 1 per step: the context is that position's vector.
    onehot = np.eye(KEY, dtype="float32")[[[4, 3, 2, 1, 0], [0, 1, 2, 3, 4]]]
    names = ["encoder.hidden", "decoder.context"]
    found = mt.capture(model, inputs, names, {"decoder.weights": onehot})
    np.testing.assert_allclose(found["decoder.context"], onehot @ found["encoder.hidden"])


def test_wrong_names_get_the_nearest_right_one(gpt):
    for wrong, right in (
        ("block0.self.weight", "block0.self.weights"),
        ("block7.self.scores", "block[01].self.scores"),
        ("logit", "logits"),
    ):
        with pytest.raises(ValueError, match=f"no site '{wrong}'.*mean '{right}'"):
            mt.capture(gpt, ids(KEY), [wrong])
        with pytest.raises(ValueError, match=f"no site '{wrong}'.*mean '{right}'"):
            mt.capture(gpt, ids(KEY), [], edits={wrong: tf.zeros_like})
    with pytest.raises(TypeError, match="one string: put it in a list"):
        mt.capture(gpt, ids(KEY), "logits")


def test_an_edit_must_keep_the_shape(gpt):
    with pytest.raises(ValueError, match=r"block0.self.heads has shape \(2, 7\), expected"):
        mt.capture(gpt, ids(KEY), [], {"block0.self.heads": lambda x: x[:, 0, :, 0]})


def test_what_is_no_model_is_refused(gpt):
    with pytest.raises(TypeError, match="give a model of this package"):
        mt.capture(tf.function(gpt), ids(KEY), ["logits"])
    with pytest.raises(TypeError, match="give a model of this package"):
        mt.sites(gpt.decoder)
