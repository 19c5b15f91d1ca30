import math
import os
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from small_llama import read_fixture, write_folder

import minitransformer as mt
from minitransformer import Llama, LlamaConfig

DATA = Path(os.environ.get("STORIES260K", ROOT.parent / "shared" / "data" / "stories260K"))
stories = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not there")
SIZES = {
    "vocab_size": 23,
    "max_len": 11,
    "d_model": 24,
    "num_heads": 6,
    "num_kv_heads": 3,
    "num_layers": 2,
    "d_ff": 20,
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return Llama.from_pretrained(write_folder(tmp_path_factory.mktemp("llama")))


def test_same_logits_as_hugging_face_llama(tiny):
    _, _, expected = read_fixture()
    logits = tiny(expected["token_ids"])
    np.testing.assert_allclose(logits, expected["logits"], atol=1e-4)


@pytest.mark.parametrize("use_cache", [True, False])
def test_greedy_text_is_hugging_faces(tiny, use_cache):
    expected = read_fixture()[2]["greedy_ids"]
    options = {"temperature": 0, "use_cache": use_cache, "use_xla": False}
    ids = mt.generate(tiny, expected[:, :2], max_new_tokens=9, **options)
    np.testing.assert_array_equal(ids, expected)


@stories
@pytest.mark.parametrize("name", ["stories260K.bin", "hf"])
def test_a_trained_llama_gives_the_published_logits(name):
    model = Llama.from_pretrained(DATA / name)
    assert model.count_params() == 260_032
    expected = np.load(DATA / "reference.npz", allow_pickle=False)
    greedy = [model.config.bos_id, *expected["greedy_ids"][:63]]
    for ids, logits in ((greedy, "greedy_logits"), (expected["prompt_ids"], "prompt_logits")):
        np.testing.assert_allclose(model(np.array([ids]))[0], expected[logits], atol=1e-4)


@stories
@pytest.mark.filterwarnings("ignore:.*tok512.model is not exact")
def test_a_trained_llama_writes_the_published_text():
    model, tokenizer = Llama.from_pretrained(DATA / "stories260K.bin"), mt.load_tokenizer(DATA)
    prompt = [[model.config.bos_id]]
    ids = mt.generate(model, prompt, max_new_tokens=256, temperature=0, use_xla=False)
    expected = np.load(DATA / "reference.npz", allow_pickle=False)["greedy_ids"]
    np.testing.assert_array_equal(ids[0, 1:], expected)
    text = (DATA / "text.txt").read_text("utf-8")
    # SentencePiece writes a space before the first word.
    assert tokenizer.decode(ids[0]) == " " + text
    assert tokenizer.encode(text) == expected.tolist()


def test_changing_a_later_token_leaves_earlier_logits_unchanged(tiny, rng):
    ids = rng.integers(0, 23, (2, 9))
    before = tiny(ids).numpy()
    ids[1, 5] = (ids[1, 5] + 1) % 23
    after = tiny(ids).numpy()
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert np.abs(before - after)[1, 5:].max() > 1e-3


def test_a_cache_of_the_shared_heads_changes_nothing(tiny, rng):
    ids = rng.integers(0, 23, (2, 13))
    whole, cache = tiny(ids), tiny.start_cache(2)
    assert {part.shape for part in tf.nest.flatten(cache)} == {(2, 3, 13, 4)}
    for start, end in ((0, 5), (5, 6), (6, 13)):
        part, _, cache = tiny.forward(ids[:, start:end], cache, start)
        np.testing.assert_allclose(part, whole[:, start:end], atol=1e-4)


def test_it_has_five_parts_that_a_gpt_has_not():
    model = Llama(LlamaConfig(**SIZES))
    block = model.decoder.blocks[0]
    norms = block.attention_norm, block.feed_forward_norm, model.decoder.final_norm
    assert all(isinstance(norm, mt.RMSNorm) for norm in norms)
    assert isinstance(block.feed_forward, mt.GatedFeedForward)
    assert block.feed_forward.activation is keras.activations.silu
    assert block.self_attention.rotary
    assert block.self_attention.num_kv_heads == 3
    assert not [w.path for w in model.weights if "bias" in w.path]
    attention = 2 * 24 * 24 + 2 * 24 * 12
    block_size = attention + 3 * 24 * 20 + 2 * 24
    assert model.count_params() == 23 * 24 + 2 * block_size + 24


def test_untied_logits_have_a_table_of_their_own():
    model = Llama(LlamaConfig(**SIZES, tied=False))
    ids = np.array([[3, 1, 4]])
    before = model(ids).numpy()
    hidden = model.decoder(model.embedding(ids))[0]
    np.testing.assert_allclose(before, hidden @ model.logits_dense.kernel, atol=1e-6)
    model.logits_dense.kernel.assign(0 * model.logits_dense.kernel)
    np.testing.assert_array_equal(model(ids), np.zeros((1, 3, 23)))


def test_the_config_fills_in_what_the_paper_has():
    config = LlamaConfig(vocab_size=512, max_len=9, d_model=64, num_heads=8, num_layers=5)
    assert config.num_kv_heads == 8
    assert config.d_ff == 172  # as stories260K; ⅔ of 4 · 64 is 170.7


def test_the_first_loss_is_that_of_a_uniform_guess(rng):
    config = LlamaConfig(vocab_size=65, max_len=64, d_model=128, num_heads=4, num_layers=8)
    model = Llama(config)
    ids = rng.integers(0, 65, (8, 65))
    weights = np.ones((8, 64), "float32")
    loss, count = mt.masked_cross_entropy(model(ids[:, :-1]), ids[:, 1:], weights)
    assert float(loss / count) == pytest.approx(math.log(65), abs=0.1)
    for weight in model.weights:
        if len(weight.shape) == 2:
            ends = weight.path.endswith(("output_dense/kernel", "contract_dense/kernel"))
            stddev = 0.02 / 4 if ends else 0.02
            assert np.std(weight) == pytest.approx(stddev, rel=0.1), weight.path


def test_it_learns_in_the_same_loop():
    model = Llama(LlamaConfig(**SIZES))
    ids, losses = np.arange(400) % 7, []
    mt.train(
        model,
        mt.make_optimizer(model, learning_rate=1e-2),
        lambda first: mt.random_windows(ids, seq_len=10, batch_size=4, seed=1, first=first),
        steps=40,
        evaluate=lambda: 0.0,
        evaluate_every=40,
        use_xla=False,
        report=lambda row: losses.append(row.loss),
    )
    assert losses[0] > 1.5
    assert losses[-1] < 0.5
    options = {"max_new_tokens": 20, "temperature": 0, "use_xla": False}
    assert mt.generate(model, [[3, 4]], **options)[0].tolist() == [*(np.arange(3, 25) % 7)]


def test_a_sequence_beyond_max_len_is_refused(tiny):
    with pytest.raises(ValueError, match="14 tokens, but max_len=13"):
        tiny(np.zeros((1, 14), int))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d_model": 20}, "d_model=20 is not divisible by num_heads=6"),
        ({"num_kv_heads": 4}, "num_heads=6 is not divisible by num_kv_heads=4"),
        ({"num_kv_heads": 0}, "num_kv_heads=0"),
        ({"d_model": 18}, "head_dim=3 is odd"),
        ({"epsilon": -1.0}, "epsilon=-1.0"),
        ({"tied": 1}, "tied=1: give True or False"),
        ({"bos_id": 23}, "bos_id=23: give an id of the vocabulary, 0 to 22"),
    ],
)
def test_impossible_sizes_are_refused(change, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Llama(LlamaConfig(**{**SIZES, **change}))
