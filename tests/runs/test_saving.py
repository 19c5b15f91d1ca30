import json

import numpy as np
import pytest
from conftest import make_tiny_gpt

from minitransformer import GPT
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
