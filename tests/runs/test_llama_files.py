import json
import re
from dataclasses import asdict

import numpy as np
import pytest
from conftest import exit_code, refuse
from safetensors.numpy import save_file
from small_llama import read_fixture, write_folder, write_llama2c

import minitransformer as mt
from minitransformer import Llama
from minitransformer.runs.saving import named_weights


def read_llama(path):
    """Return the sizes and the arrays of a published Llama."""
    model = Llama.from_pretrained(path)
    arrays = {name: weight.numpy() for name, weight in named_weights(model).items()}
    return asdict(model.config), arrays


def test_both_formats_give_the_same_arrays(tmp_path):
    """The rows of queries and keys are in another order in llama2.c."""
    sizes, arrays = read_llama(write_folder(tmp_path, rms_norm_eps=1e-5))
    other_sizes, others = read_llama(write_llama2c(tmp_path / "model.bin"))
    assert other_sizes == sizes
    assert others.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(others[name], array, err_msg=name)


def test_a_tied_model_needs_no_table_for_the_logits(tmp_path):
    sizes, arrays = read_llama(write_llama2c(tmp_path / "model.bin", tied=True))
    assert sizes["tied"]
    assert "logits_dense/kernel" not in arrays
    # Hugging Face's files may hold the same table a second time.
    sizes, again = read_llama(write_folder(tmp_path, tie_word_embeddings=True))
    assert again.keys() == arrays.keys()


def test_shards_half_precision_and_prefixes_are_read(tmp_path):
    _, tensors, expected = read_fixture()
    index = {"weight_map": {}}
    for number, names in enumerate((list(tensors)[:5], list(tensors)[5:])):
        file = f"model-{number}.safetensors"
        part = {f"_orig_mod.{name}": tensors[name].astype("float16") for name in names}
        part |= {f"model.layers.{number}.self_attn.rotary_emb.inv_freq": np.ones(2, "float32")}
        save_file(part, tmp_path / file)
        index["weight_map"] |= dict.fromkeys(part, file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "config.json").write_text(json.dumps(read_fixture()[0]))
    logits = Llama.from_pretrained(tmp_path)(expected["token_ids"])
    np.testing.assert_allclose(logits, expected["logits"], atol=0.02)
    assert np.abs(logits - expected["logits"]).max() > 1e-5  # really float16


def test_settings_of_newer_versions_are_read(tmp_path):
    rope = {"rope_theta": 10000.0, "rope_type": "default"}
    write_folder(tmp_path, rope_parameters=rope, rope_theta=None, bos_token_id=[2, 3])
    sizes, _ = read_llama(tmp_path)
    assert sizes["bos_id"] == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model_type": "mistral"}, "has model_type 'mistral', expected 'llama'"),
        ({"model_type": None}, "has model_type None"),
        ({"rope_theta": 500000.0}, "has rope_theta 500000.0, expected 10000"),
        ({"rope_scaling": {"factor": 8}}, "has rope_scaling {'factor': 8}"),
        ({"attention_bias": True}, "has attention_bias True"),
        ({"head_dim": 7}, "has head_dim 7, expected 4"),
        ({"vocab_size": "x"}, "gives vocab_size as 'x', expected a number above 0"),
        ({"num_attention_heads": 0}, "gives num_attention_heads as 0, expected a number above 0"),
        ({"num_hidden_layers": 10**9}, "far too few for the sizes in config.json"),
        ({"num_hidden_layers": 900}, "its 21 tensors are too few for 900 layers"),
        ({"vocab_size": 29}, r"embed_tokens.weight has shape \(23, 24\), needs \(29, 24\)"),
        ({"num_key_value_heads": 6}, r"k_proj.weight has shape \(12, 24\), needs \(24, 24"),
        ({"num_key_value_heads": 4}, "loaded: num_heads=6 is not divisible by num_kv_heads=4"),
        ({"num_key_value_heads": 0}, "loaded: num_kv_heads=0: give"),
        ({"num_key_value_heads": "x"}, "gives num_key_value_heads as 'x', expected a number"),
        ({"rms_norm_eps": None}, "gives rms_norm_eps as None, expected a number"),
        ({"tie_word_embeddings": 1}, "gives tie_word_embeddings as 1, expected true or false"),
        ({"bos_token_id": 23}, "loaded: bos_id=23: give an id of the vocabulary"),
        ({"hidden_size": None, "head_dim": 4}, "gives hidden_size as None"),
        ({"rope_parameters": {"rope_theta": 500000.0}}, "has rope_theta 500000.0"),
    ],
)
def test_settings_of_another_model_are_named(tmp_path, settings, message):
    write_folder(tmp_path, **settings)
    with pytest.raises(ValueError, match=message) as found:
        Llama.from_pretrained(tmp_path)
    assert len(str(found.value)) < 500


def test_what_a_configuration_may_leave_out(tmp_path):
    config = json.loads((write_folder(tmp_path) / "config.json").read_text())
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config | {"bos_token_id": None, "head_dim": None}))
    assert read_llama(tmp_path)[0]["bos_id"] is None
    del config["bos_token_id"]
    path.write_text(json.dumps(config))
    assert read_llama(tmp_path)[0]["bos_id"] == 1
    del config["model_type"]
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match="has model_type None, expected 'llama'"):
        read_llama(tmp_path)


def test_missing_and_unknown_tensors_are_named(tmp_path):
    write_folder(tmp_path, drop=["model.norm.weight"])
    with pytest.raises(ValueError, match=r": norm.weight is missing"):
        read_llama(tmp_path)
    write_folder(tmp_path, {"model.norm.bias": np.ones(24, "float32")})
    with pytest.raises(ValueError, match=r": norm.bias is unknown"):
        read_llama(tmp_path)
    write_folder(tmp_path, {"model.norm.weight": np.full(24, np.nan, "float32")})
    with pytest.raises(ValueError, match="final_norm/gain holds NaN"):
        Llama.from_pretrained(tmp_path)


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"config.json is not there. Give a folder"):
        read_llama(tmp_path)
    write_folder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"model.safetensors is not there"):
        read_llama(tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    for content in ({"weight_map": {"a": "../a"}}, {"weight_map": 3}, {"weight_map": {}}, {}):
        index.write_text(json.dumps(content))
        with pytest.raises(ValueError, match="it names no shards"):
            read_llama(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="is damaged"):
        read_llama(tmp_path)


def test_damaged_files_of_llama2c_are_named(tmp_path):
    path = write_llama2c(tmp_path / "model.bin")
    data = path.read_bytes()
    for wrong in (data[:-4], data + b"\0\0\0\0"):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match=f"has {len(wrong):,} bytes, expected {len(data):,}"):
            read_llama(path)
    version_1 = np.array([0x616B3432, 1, 24, 20, 2, 6, 3, 23], "<i4").tobytes()
    zeros, negative = bytes(28), np.array([24, 20, -2, 6, 3, 23, 13], "<i4").tobytes()
    for wrong in (version_1, zeros, negative, b"", b"abc", data[:12]):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match=r"not in llama2.c's first format"):
            read_llama(path)
    with pytest.raises(ValueError, match=r"nowhere.bin does not exist"):
        read_llama(tmp_path / "nowhere.bin")


@pytest.fixture
def with_tokenizer(tmp_path):
    """A published folder, and a tokenizer that needs at most 23 ids."""
    write_folder(tmp_path)
    mt.CharTokenizer.train("abcdefghij klmnop").save(tmp_path / "characters.json")
    return tmp_path


def test_generate_reads_a_published_llama(with_tokenizer, generate_script, capfd):
    flags = ["--prompt", "abad", "--max-new-tokens", "5", "--temperature", "0", "--no-xla"]
    assert exit_code(generate_script.main, ["--run", str(with_tokenizer), *flags]) == 0
    folder = capfd.readouterr().out
    assert re.fullmatch(r"abad.{0,5}\n", folder)
    own = with_tokenizer / "own"
    Llama.from_pretrained(with_tokenizer).save(own)
    mt.load_tokenizer(with_tokenizer).save(own / "characters.json")
    assert exit_code(generate_script.main, ["--run", str(own), *flags]) == 0
    assert capfd.readouterr().out == folder


def test_generate_stops_where_a_llama_begins_another_text(
    with_tokenizer, generate_script, capfd, monkeypatch
):
    asked = {}

    def stream(model, prompts, **options):
        asked.update(options, prompt=prompts[0])
        yield np.array([[*prompts[0], asked["stop_id"]]])

    monkeypatch.setattr(mt, "stream", stream)
    flags = ["--run", str(with_tokenizer), "--prompt", "abad"]
    assert exit_code(generate_script.main, flags) == 0
    bos_id = Llama.from_pretrained(with_tokenizer).config.bos_id
    assert asked["stop_id"] == asked["prompt"][0] == bos_id
    assert capfd.readouterr().out == "abad\n"


def test_generate_refuses_a_tokenizer_of_another_size(with_tokenizer, generate_script, capfd):
    text = "abcdefghijklmnopqrstuvwxyz"
    mt.CharTokenizer.train(text).save(with_tokenizer / "characters.json")
    flags = ["--run", str(with_tokenizer), "--prompt", "a"]
    message = "The tokenizer has 27 tokens, but the model 23"
    refuse(generate_script.main, flags, capfd, message)


def test_a_published_folder_may_hold_one_sentencepiece_model(tmp_path):
    text = "once upon a time there was a little test of a tokenizer\n" * 9
    tokenizer = mt.SentencePieceTokenizer.train(text, vocab_size=320)
    tokenizer.save(tmp_path / "tok320.model")
    assert mt.load_tokenizer(tmp_path).encode(text) == tokenizer.encode(text)
    tokenizer.save(tmp_path / "other.model")
    with pytest.raises(ValueError, match="has no tokenizer"):
        mt.load_tokenizer(tmp_path)
