import json
import os

import numpy as np
import pytest
import tensorflow as tf
from conftest import make_tiny_gpt
from safetensors.numpy import load_file, save_file

from minitransformer import GPT
from minitransformer.runs.given import checked, read_bytes, read_json, read_text
from minitransformer.runs.saving import assign_weights, named_weights, write_atomically


@pytest.fixture
def saved(tmp_path):
    model = make_tiny_gpt()
    model.save(tmp_path / "run")
    return model, tmp_path / "run"


def test_a_loaded_model_is_the_saved_one(saved):
    model, folder = saved
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "weights.safetensors"]
    loaded = GPT.load(folder)
    assert loaded.config == model.config
    ids = np.array([[1, 2, 3]])
    np.testing.assert_array_equal(loaded(ids), model(ids))
    assert list(named_weights(loaded)) == list(named_weights(model))


def test_every_weight_has_a_name_of_its_own():
    model = make_tiny_gpt()
    names = named_weights(model)
    assert len(names) == len(model.trainable_variables)
    assert "decoder/block_1/self_attention/query_dense/kernel" in names


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors"])
def test_a_missing_or_damaged_file_is_named(saved, name):
    _, folder = saved
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="damaged"):
        GPT.load(folder)
    (folder / name).unlink()
    with pytest.raises(ValueError, match=name):
        GPT.load(folder)


def test_wrong_weights_are_listed_and_nothing_is_changed():
    model = make_tiny_gpt()
    arrays = {n: v.numpy() + 1 for n, v in named_weights(model).items()}
    arrays["positions/table"] = np.zeros((2, 3))
    arrays["extra"] = arrays.pop("embedding/table")
    before = model.get_weights()
    with pytest.raises(ValueError, match="another model's") as error:
        assign_weights(model, arrays)
    for part in (
        "embedding/table is missing",
        "extra is unknown",
        "positions/table has shape (2, 3), needs (11, 12)",
    ):
        assert part in str(error.value)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_another_models_configuration_is_refused(saved):
    _, folder = saved
    (folder / "config.json").write_text(json.dumps({"colour": "red"}))
    with pytest.raises(ValueError, match="another kind of model"):
        GPT.load(folder)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, "old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def change_weights(folder, change, **metadata):
    path = folder / "weights.safetensors"
    arrays = load_file(path)
    save_file(arrays | change(arrays), path, **metadata)


def test_half_precision_in_a_file_becomes_float32_in_the_model(saved):
    model, folder = saved
    change_weights(folder, lambda arrays: {n: a.astype("float16") for n, a in arrays.items()})
    ids = np.array([[1, 2, 3]])
    loaded = GPT.load(folder)
    for old, new in zip(model.get_weights(), loaded.get_weights(), strict=True):
        assert new.dtype == "float32"
        np.testing.assert_array_equal(new, old.astype("float16").astype("float32"))
    assert loaded(ids).dtype == "float32"
    np.testing.assert_allclose(loaded(ids), model(ids), atol=0.02)


@pytest.mark.parametrize("kind", ["int8", "bool", "uint64", "complex64"])
def test_weights_of_another_type_are_named(saved, kind):
    change_weights(saved[1], lambda a: {"embedding/table": a["embedding/table"].astype(kind)})
    names = {"int8": "I8", "bool": "BOOL", "uint64": "U64", "complex64": "C64"}
    with pytest.raises(ValueError, match=f"holds {names[kind]}, expected BF16"):
        GPT.load(saved[1])


@pytest.mark.parametrize("kind", ["float16", "float64", "bfloat16"])
def test_other_floats_and_no_checksum_are_read(saved, kind):
    dtype = tf.as_dtype(kind).as_numpy_dtype
    change_weights(saved[1], lambda a: {name: x.astype(dtype) for name, x in a.items()})
    loaded = GPT.load(saved[1]).embedding.table
    np.testing.assert_allclose(loaded, saved[0].embedding.table, rtol=0.01)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_without_a_value_are_refused(saved, number):
    change_weights(saved[1], lambda a: {"embedding/table": a["embedding/table"] * number})
    with pytest.raises(ValueError, match="embedding/table holds NaN or infinite"):
        GPT.load(saved[1])


def test_a_flipped_bit_is_found(saved):
    path = saved[1] / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="checksum"):
        GPT.load(saved[1])


def test_many_differences_are_a_short_message(saved):
    change_weights(saved[1], lambda a: {f"{i}" * 99: np.zeros(3) for i in range(50)})
    with pytest.raises(ValueError, match="and 47 more") as refusal:
        GPT.load(saved[1])
    assert len(str(refusal.value)) < 400


CONFIGS = {
    "nested deeply": (b"[" * 10**5, "is damaged"),
    "a list": (b"[]", "expected a dict"),
    "too little, in UTF-16": ('{"vocab_size": 5}'.encode("utf-16"), "another kind of model"),
    "UTF-16 without a mark": ('{"vocab_size": 5}'.encode("utf-16-le"), "has NUL characters"),
    "a number of 5,000 digits": (b"1" * 5000, "is damaged"),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_other_configurations_are_refused_in_a_sentence(saved, kind):
    data, message = CONFIGS[kind]
    (saved[1] / "config.json").write_bytes(data)
    with pytest.raises(ValueError, match=message) as refusal:
        GPT.load(saved[1])
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("d_model", 3 * 10**9, "far too few for the sizes"),
        ("max_len", 10**8, "far too few for the sizes"),
        ("num_layers", 10**6, "far too few for the sizes"),
        ("vocab_size", "23", "vocab_size='23': give an integer"),
        ("num_heads", 0, "num_heads=0"),
        ("dropout_rate", float("nan"), "dropout_rate=nan"),
    ],
)
def test_sizes_that_do_not_fit_the_weights_cost_nothing(saved, name, value, message):
    path = saved[1] / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(ValueError, match=message):
        GPT.load(saved[1])


def test_an_editors_mark_and_line_ends_do_not_matter(saved):
    path = saved[1] / "config.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert GPT.load(saved[1]).config == saved[0].config


def test_a_huge_file_in_place_of_weights_is_not_read(saved):
    path = saved[1] / "weights.safetensors"
    size = 6 * 10**9
    header = json.dumps({"x": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}})
    for head in (b"", len(header).to_bytes(8, "little") + header.encode()):
        path.write_bytes(head)
        with path.open("r+b") as file:
            file.truncate(len(head) + size)  # of holes: it takes no place
        with pytest.raises(ValueError, match=r"is damaged|holds U8"):
            GPT.load(saved[1])


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors"])
def test_a_pipe_or_a_device_in_place_of_a_file_is_not_waited_for(saved, name):
    path = saved[1] / name
    for replace in (
        lambda: os.mkfifo(path),
        lambda: path.symlink_to(path.name),
        lambda: path.symlink_to("/dev/zero"),
        path.mkdir,
    ):
        path.unlink()
        replace()
        with pytest.raises(ValueError, match=name):
            GPT.load(saved[1])
        for read in (read_bytes, read_text, read_json):
            with pytest.raises(ValueError, match=name):
                read(path)
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
            path.touch()


def test_what_cannot_be_saved_leaves_nothing(tmp_path):
    model = make_tiny_gpt()
    object.__setattr__(model.config, "vocab_size", {23})  # JSON has no sets
    with pytest.raises(TypeError, match="not JSON serializable"):
        model.save(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_text_is_utf_8_with_any_line_ends(tmp_path):
    path = tmp_path / "text"
    path.write_bytes("\ufeffä\r\nb\rc\n".encode())
    assert read_text(path) == "ä\nb\nc\n"
    with pytest.raises(ValueError, match="at most 5 are read"):
        read_text(path, 5)
    path.write_bytes(b"\xe4")
    with pytest.raises(ValueError, match=r"not UTF-8 \(byte 0, which is \'ä\'"):
        read_text(path)


@pytest.mark.parametrize(
    ("kind", "given", "taken"),
    [
        (int, np.int64(3), 3),
        (int, np.array(3), 3),
        (float, np.float32(0.5), 0.5),
        (float, 2, 2.0),
        (bool, np.True_, True),
        (str, np.str_("x"), "x"),
    ],
)
def test_numpys_values_become_pythons(kind, given, taken):
    value = checked(kind, "it", given, lambda _: True, "anything")
    assert value == taken
    assert type(value) is kind


@pytest.mark.parametrize(
    ("kind", "given"),
    [(int, 2.0), (int, True), (int, "2"), (int, None), (int, [2]), (float, "2"), (bool, 1)],
)
def test_other_kinds_are_refused_by_name(kind, given):
    with pytest.raises(TypeError, match=r"^it=.*: give that"):
        checked(kind, "it", given, lambda _: True, "that")


def test_a_model_that_must_stay_is_not_replaced(saved):
    model, folder = saved
    before = (folder / "weights.safetensors").read_bytes()
    with pytest.raises(ValueError, match="holds a model"):
        make_tiny_gpt(seed=1).save(folder, overwrite=False)
    with pytest.raises(TypeError, match="zipped= is for Keras"):
        model.save(folder, zipped=True)
    assert (folder / "weights.safetensors").read_bytes() == before
