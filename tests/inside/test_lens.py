"""The lens ends in the model's own logits, and the parts sum to them."""

import numpy as np
import pytest
import tensorflow as tf
from test_contract import (
    D_FF,
    D_MODEL,
    HEADS,
    KEY,
    MAX_LEN,
    QUERY,
    VOCAB,
    bert,
    ids,
    llama,
    lstm_seq2seq,
    transformer,
)

import minitransformer as mt


def gpt(**options):
    sizes = {"d_model": D_MODEL, "num_heads": HEADS, "d_ff": D_FF, "num_layers": 2}
    model = mt.GPT(mt.GPTConfig(vocab_size=VOCAB, max_len=MAX_LEN, **sizes, **options))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign_add(0.3 * rng.normal(size=weight.shape))
    return model


def test_the_last_lens_is_the_models_own_logits_and_the_first_has_no_context():
    model = gpt(rotary=True)
    lens = mt.logit_lens(model, ids(KEY))
    assert list(lens) == ["embeddings", "block0", "block1"]
    np.testing.assert_allclose(lens["block1"], model(ids(KEY)), rtol=1e-5, atol=1e-5)
    alone = mt.logit_lens(model, ids(KEY)[:, 3:4])["embeddings"]
    np.testing.assert_allclose(lens["embeddings"][:, 3:4], alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("use_bias", [True, False])
def test_what_the_parts_add_is_the_logit(use_bias):
    model, token_ids = gpt(use_bias=use_bias), ids(KEY)
    targets = token_ids[:, ::-1] % VOCAB
    parts = mt.attribution(model, token_ids, targets)
    assert len(parts) == 2 + 2 * (HEADS + 2)
    expected = tf.gather(model(token_ids), targets, batch_dims=2)
    np.testing.assert_allclose(sum(parts.values()), expected, rtol=1e-4, atol=1e-4)
    assert np.any(parts["block1.bias"]) == use_bias


def test_a_head_adds_what_its_logit_loses_without_it():
    model, token_ids, targets = gpt(), ids(KEY), ids(KEY)
    parts = mt.attribution(model, token_ids, targets)
    # The last block's feed-forward layer and the norm's scale stay: so at
    # the site "block1", one head is subtracted by hand.
    found = mt.capture(model, token_ids, ["block1.self.heads", "block1"])
    dense = model.decoder.blocks[1].self_attention.output_dense
    head = np.array(found["block1.self.heads"])
    head[:, [0, 2]] = 0
    vector = mt.merge_heads(tf.constant(head)) @ dense.kernel
    norm, x = model.decoder.final_norm, found["block1"]
    deviation = np.sqrt(np.var(x, -1, keepdims=True) + norm.epsilon)
    centred = vector - np.mean(vector, -1, keepdims=True)
    logits = model.embedding.logits(centred / deviation * norm.gain)
    expected = tf.gather(logits, targets, batch_dims=2)
    np.testing.assert_allclose(parts["block1.head1"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm_first", [False, True])
def test_the_last_lens_of_a_translator_is_its_own_logits(norm_first):
    model, inputs = transformer(norm_first=norm_first), (ids(KEY), ids(QUERY))
    for weight in model.weights:  # a norm with a gain of its own is seen
        weight.assign_add(0.3 * np.random.default_rng(0).normal(size=weight.shape))
    lens = mt.logit_lens(model, inputs)
    assert list(lens) == ["decoder.embeddings", "decoder.block0"]
    np.testing.assert_allclose(lens["decoder.block0"], model(*inputs), rtol=1e-5, atol=1e-5)
    x = model.embed(inputs[1])
    x = model.decoder.final_norm(x) if norm_first else x
    expected = model.embedding.logits(x)
    np.testing.assert_allclose(lens["decoder.embeddings"], expected, rtol=1e-5, atol=1e-5)


def test_other_models_are_refused():
    for model in (bert(), llama(), lstm_seq2seq(attention="dot")):
        with pytest.raises(TypeError, match="give a GPT or a Transformer"):
            mt.logit_lens(model, ids(KEY))
    for model in (bert(), llama(), transformer(), transformer(norm_first=True)):
        with pytest.raises(TypeError, match=rf"{type(model).__name__}, .* give a GPT\."):
            mt.attribution(model, ids(KEY), ids(KEY))
