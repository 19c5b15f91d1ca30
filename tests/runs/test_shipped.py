"""The trained models that come with the package."""

import hashlib
import json
import types

import numpy as np
import pytest
from conftest import exit_code, load_script, refuse
from safetensors import safe_open

import minitransformer as mt
from minitransformer.data.next_sentence import encode_documents
from minitransformer.runs import shipped
from minitransformer.runs.shipped import NAMES, named_folder, shipped_folder
from scripts.evidence import shipped as evidence

TRANSLATORS = "transformer", "lstm"
FIELDS = """
command seed steps text text_sha256 date machine cores seconds minitransformer tensorflow keras
python training_loss validation parameters float32 float16 bounds weights_sha256
""".split()  # noqa: SIM905


def provenance(name):
    return json.loads((shipped_folder(name) / "provenance.json").read_text("utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_model_is_small_and_says_how_it_was_made(name):
    folder, made = shipped_folder(name), provenance(name)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 2_000_000
    assert [field for field in FIELDS if made.get(field) in (None, "", [])] == []
    recipe = evidence.RECIPES[name]
    assert made["command"].split()[1:] == [f"scripts/{recipe.script}", *recipe.flags]
    weights = folder / "weights.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == made["weights_sha256"]
    with safe_open(weights, "numpy") as file:
        arrays = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
    assert {array.get_dtype() for array in arrays.values()} == {"F16"}
    assert sum(np.prod(array.get_shape()) for array in arrays.values()) == made["parameters"]
    for what, bound in made["bounds"].items():
        trained, rounded = (made[kind].get(what, 0) for kind in ("float32", "float16"))
        assert abs(trained - rounded) <= bound <= 0.002


def test_the_gpt_writes_what_the_seed_says(generate_script, capfd):
    flags = ["--run", "shipped", "--prompt", "Return the ", "--max-new-tokens", "12", "--no-xla"]
    assert exit_code(generate_script.main, flags) == 0
    text = capfd.readouterr().out
    assert text.startswith("Return the ")
    assert len(text) == 11 + 12 + 1


@pytest.mark.parametrize("run", ["shipped", "shipped-lstm"])
def test_a_translator_translates_a_date(run, tmp_path, capfd):
    picture = tmp_path / "alignment.svg"
    flags = ["le 1er mars 2026", "--run", run, "--picture", str(picture)]
    assert exit_code(load_script("translate").main, flags) == 0
    assert capfd.readouterr().out == "2026-03-01\n"
    assert picture.read_text().startswith("<svg")


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSLATORS)
def test_the_measured_quality_is_reproduced(name):
    """By a hundred dates that the translator never learned from."""
    folder, made = shipped_folder(name), provenance(name)
    settings = json.loads((folder / "settings.json").read_text())
    run = types.SimpleNamespace(settings=settings, folder=folder, resumes=True)
    found = evidence.measure_translator(run, count=100)
    assert found["exact_match"] >= 0.99
    assert made["float16"]["exact_match"] >= 0.99
    assert found["valid_loss"] == pytest.approx(made["float16"]["valid_loss"], abs=1e-4)


@pytest.mark.parametrize("share", [0.08, pytest.param(1.0, marks=pytest.mark.slow)])
def test_the_measured_quality_of_the_gpt_is_reproduced(share):
    """By some of the text, or all; every version of Python has a text of its own."""
    model = mt.GPT.load(shipped_folder("gpt"))
    text, made = mt.python_docs(), provenance("gpt")
    part = text[int(0.9 * len(text)) :]
    ids = mt.load_tokenizer(shipped_folder("gpt")).encode(part[: int(share * len(part))])
    windows = mt.consecutive_windows(ids, seq_len=model.config.max_len, batch_size=32)
    loss = mt.compile_evaluation(model, use_xla=False)(windows)
    known = hashlib.sha256(text.encode()).hexdigest() == made["text_sha256"]
    near = 1e-3 if known and share == 1 else 0.25
    assert loss == pytest.approx(made["float16"]["valid_loss"], abs=near)


@pytest.mark.slow
def test_the_measured_quality_of_the_bert_is_reproduced():
    """By a quarter of its validation batches."""
    folder, made, script = shipped_folder("bert"), provenance("bert"), load_script("train_bert")
    settings = json.loads((folder / "settings.json").read_text())
    tokenizer = mt.WordPieceTokenizer.load(folder / "vocab.txt")
    documents = encode_documents(script.split(mt.python_docs())[1], tokenizer)
    batches = script.draw(documents, tokenizer, settings | {"batch_size": 32}).take(10)
    corpus = types.SimpleNamespace(valid_batches=list(batches), train=documents)
    found = script.accuracies(corpus, mt.BertPretraining.load(folder))
    assert found["words"] == pytest.approx(made["float16"]["words"], abs=0.06)
    assert found["words"] > 3 * found["most_frequent_word"]


def test_a_shipped_bert_is_one_to_fine_tune():
    bert, tokenizer = load_script("finetune_bert").load_bert(shipped_folder("bert"))
    assert tokenizer.vocab_size == bert.config.vocab_size


@pytest.mark.parametrize(
    ("script", "run"), [("generate", "shipped-bert"), ("translate", "shipped-gpt")]
)
def test_a_shipped_model_of_another_kind_is_refused(script, run, capfd):
    flags = {"generate": ["--prompt", "a"], "translate": ["a"]}[script]
    main = load_script(script).main
    refuse(main, [*flags, "--run", run], capfd, f"{run} does not fit here: give shipped-")


def test_a_shipped_model_of_another_kind_is_refused_as_a_bert(tmp_path, capfd):
    flags = ["--bert", "shipped-lstm", "--out", str(tmp_path / "run")]
    refuse(load_script("finetune_bert").main, flags, capfd, "give shipped-bert, or ./shipped-lstm")
    assert not (tmp_path / "run").exists()


def test_a_folder_of_the_same_name_can_be_given():
    assert str(named_folder("./shipped", "gpt")) != str(shipped_folder("gpt"))
    assert named_folder("runs/shipped", "gpt").parts == ("runs", "shipped")
    assert named_folder("shipped", "lstm", "gpt") == shipped_folder("lstm")


def test_a_missing_model_is_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="called 'gpt2': choose one of gpt, bert"):
        shipped_folder("gpt2")
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path)
    with pytest.raises(ValueError, match=r"gpt is missing: install minitransformer again"):
        shipped_folder("gpt")
