import json
import re

import pytest
from conftest import exit_code, load_script, refuse

from minitransformer import BertClassifier, BertPretraining, Run

TOPICS = [
    ("animals", "the cat sleeps", "the dog barks", "a cow eats grass"),
    ("numbers", "two and two", "three is odd", "five is more than four"),
    ("colours", "red is warm", "blue is cold", "green leaves are new"),
]


@pytest.fixture(scope="module")
def train_bert():
    script = load_script("train_bert")
    script.VALID = 2
    return script


@pytest.fixture(scope="module")
def finetune_bert():
    return load_script("finetune_bert")


@pytest.fixture(scope="module")
def search_docs():
    return load_script("search_docs")


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(
        "\n\n".join(
            "\n".join(f"{line} {i}." for line in lines) for i in range(20) for _, *lines in TOPICS
        ),
        encoding="utf-8",
    )
    return path


def test_the_text_is_split_between_documents(train_bert):
    text = "\n\n".join(f"document {i}\nmore" for i in range(20))
    train, valid = train_bert.split(text)
    assert train + "\n\n" + valid == text
    assert len(valid) >= 0.1 * len(text)
    assert valid.count("document") in (2, 3)
    train, valid = train_bert.split("a\n \nb\n\nc\n\n" + 99 * "d")
    assert train.split() == ["a", "b"]
    assert valid.split() == ["c", 99 * "d"]


TINY = [
    "--steps",
    "4",
    "--evaluate-every",
    "2",
    "--vocab-size",
    "120",
    "--max-len",
    "16",
    "--batch-size",
    "3",
]


@pytest.mark.slow
def test_a_bert_is_pretrained_and_resumed(train_bert, text, tmp_path, capfd, eagerly):
    out = tmp_path / "run"
    argv = ["--text", str(text), "--out", str(out), *TINY]
    assert exit_code(train_bert.main, argv) == 0
    said = capfd.readouterr().out
    assert re.search(r"words +\d+\.\d% of the hidden ones", said)
    assert re.search(r"sentences +\d+\.\d% of the pairs", said)
    files = {path.name for path in out.iterdir()}
    assert {
        "config.json",
        "weights.safetensors",
        "vocab.txt",
        "log.csv",
        "settings.json",
        "loss.svg",
    } <= files
    BertPretraining.load(out)
    refuse(train_bert.main, argv, capfd, "holds a run already")
    assert exit_code(train_bert.main, ["--out", str(out), "--resume"]) == 0


@pytest.mark.parametrize(
    ("content", "flags", "message"),
    [
        (None, [], "does not exist"),
        ("one document. Only one.", [], "four documents"),
        ("a. B\n\nc. D\n\ne. F\n\ngg\n", ["--vocab-size", "30"], "two documents"),
        ("a b. c\n\nd e. f\n\n" * 30, ["--vocab-size", "3"], "too small"),
        (None, ["--resume"], "which run to resume"),
    ],
)
def test_a_mistake_in_pretraining_gets_one_sentence(
    train_bert, tmp_path, capfd, content, flags, message
):
    path, out = tmp_path / "text.txt", tmp_path / "run"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    argv = ["--text", str(path), *flags]
    if "--resume" not in flags:
        argv += ["--out", str(out)]
    refuse(train_bert.main, argv, capfd, message)
    assert not out.exists()


@pytest.fixture
def task(tmp_path):
    path = tmp_path / "task.tsv"
    path.write_text(
        "".join(
            f"{line} {i}\t{topic}\n" for i in range(8) for topic, *lines in TOPICS for line in lines
        ),
        encoding="utf-8",
    )
    return path


@pytest.fixture
def bert(published):
    """A folder with a published BERT that has a real vocabulary."""
    folder, _ = published
    pieces = "[PAD] [UNK] [CLS] [SEP] [MASK] the a is cat dog cow two three "
    pieces += "five red blue green sleeps barks odd"
    pieces = [*pieces.split(), "warm", "cold", "new"]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    return folder


FEW = ["--epochs", "1", "--seeds", "1", "--batch-size", "8"]


@pytest.mark.slow
def test_three_ways_are_compared_and_resumed(
    finetune_bert, bert, task, tmp_path, capfd, eagerly, monkeypatch
):
    out = tmp_path / "out"
    argv = ["--task", str(task), "--bert", str(bert), "--out", str(out), *FEW]
    monkeypatch.setattr(finetune_bert, "train_once", stop_at(finetune_bert, 2))
    assert exit_code(finetune_bert.main, [*argv, "--resume"]) == 130
    said = capfd.readouterr()
    assert "nothing to resume" in said.out
    assert "--resume" in said.err
    first = json.loads((out / "results.json").read_text())
    assert list(first) == ["from scratch"]
    monkeypatch.undo()
    assert exit_code(finetune_bert.main, ["--out", str(out), "--resume"]) == 0
    said = capfd.readouterr().out
    results = json.loads((out / "results.json").read_text())
    assert results.keys() == finetune_bert.WAYS.keys()
    assert results["from scratch"] == first["from scratch"]
    for way, runs in results.items():
        accuracy = runs["0"]["accuracy"]
        assert 0 <= accuracy <= 1
        assert re.search(rf"{way} +{100 * accuracy:.1f}%", said)
    assert (out / "accuracy.svg").is_file()
    with task.open("a", encoding="utf-8") as file:
        file.write("one more\tanimals\n")
    refuse(finetune_bert.main, ["--out", str(out), "--resume"], capfd, "has changed since")
    model = BertClassifier.load(out)
    labels = json.loads((out / "labels.json").read_text())
    assert labels == ["animals", "colours", "numbers"]
    assert model.class_dense.units == 3
    refuse(finetune_bert.main, argv, capfd, "holds a run already")


def stop_at(script, number):
    """Press Ctrl-C at a script's training of that number."""
    real, calls = script.train_once, []

    def train_once(*arguments):
        calls.append(1)
        if len(calls) == number:
            raise KeyboardInterrupt
        return real(*arguments)

    return train_once


@pytest.mark.slow
def test_frozen_weights_stay_and_fine_tuned_ones_move(
    finetune_bert, bert, task, tmp_path, eagerly, capfd
):
    from minitransformer import Bert

    flags = {
        "task": str(task),
        "bert": str(bert),
        "out": str(tmp_path / "o"),
        "resume": False,
        "overwrite": False,
        "epochs": 1,
        "batch_size": 16,
    }
    settings = {"xla": False, "seed": 0, "max_len": 16, "valid": None}
    run = Run(flags, finetune_bert.DEFAULTS | settings)
    session = finetune_bert.read_task(run.settings)
    finetune_bert.claim(run, session)
    before = session.bert.get_weights()
    made = []

    class Spy(Bert):
        def __init__(self, config):
            super().__init__(config)
            made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minitransformer.Bert", Spy)
        for way in finetune_bert.WAYS:
            finetune_bert.train_once(run, session, way, 0)
    scratch, frozen, tuned = (bert.get_weights() for bert in made[:3])
    table = 0
    assert abs(scratch[table] - before[table]).max() > 0.1
    for ours, theirs in zip(frozen, before, strict=True):
        assert (ours == theirs).all()
    assert 0 < abs(tuned[table] - before[table]).max() < 0.1


@pytest.mark.parametrize(
    ("content", "flags", "message"),
    [
        (None, [], "does not exist"),
        ("a\tx\nb\n", [], "line 2"),
        ("a\tx\nb\tx\nc\ty\n", [], "'y' occurs once"),
        ("a\tx\nb\tx\n", [], "All sentences have the label"),
        ("a\tx\nb\tx\n" + "c\ty\n" * 2, [], "'y' occurs once"),
        ("a\tx\nb\tx\nc\ty\nd\ty\n", ["--max-len", "2"], "need 3"),
        ("a\tx\nb\tx\nc\ty\nd\ty\n", ["--bert", "nowhere"], "is not there"),
    ],
)
def test_a_mistake_in_fine_tuning_gets_one_sentence(
    finetune_bert, bert, tmp_path, capfd, content, flags, message
):
    path, out = tmp_path / "mine.tsv", tmp_path / "out"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    argv = ["--task", str(path), "--bert", str(bert), "--out", str(out)]
    refuse(finetune_bert.main, [*argv, *flags], capfd, message)
    assert not out.exists()


@pytest.mark.slow
def test_a_vocabulary_of_another_size_is_refused(
    finetune_bert, train_bert, text, task, tmp_path, capfd, eagerly
):
    run = tmp_path / "run"
    assert exit_code(train_bert.main, ["--text", str(text), "--out", str(run), *TINY]) == 0
    vocabulary = run / "vocab.txt"
    vocabulary.write_text(vocabulary.read_text() + "more\n")
    capfd.readouterr()
    argv = ["--task", str(task), "--bert", str(run)]
    refuse(finetune_bert.main, argv, capfd, "do not belong")


@pytest.mark.minilm
def test_the_documentation_is_searched_by_meaning(search_docs, tmp_path, capfd, monkeypatch):
    passages = [
        ("io.readline", "Read and return one line from the stream."),
        ("math.sqrt", "Return the square root of a number."),
        ("random.shuffle", "Put the items of a list in random order."),
    ]
    monkeypatch.setattr(search_docs, "library_passages", lambda: passages)
    argv = ["how do I read a file line by line", "--cache", str(tmp_path), "--count", "2"]
    assert exit_code(search_docs.main, argv) == 0
    first = capfd.readouterr()
    assert first.out.split()[1] == "io.readline"
    assert len(first.out.splitlines()) == 4
    assert "reading 3 passages, this once" in first.err
    [index] = tmp_path.glob("docs-index-*.safetensors")
    assert exit_code(search_docs.main, argv) == 0
    again = capfd.readouterr()
    assert again.out == first.out
    assert "this once" not in again.err
    index.write_bytes(b"cut short")
    assert exit_code(search_docs.main, argv) == 0
    assert "is damaged: it is made again" in capfd.readouterr().err
    assert exit_code(search_docs.main, [" "]) == 2
    assert "is empty" in capfd.readouterr().err


@pytest.mark.slow
def test_built_in_functions_are_among_the_passages(search_docs):
    passages = search_docs.library_passages()
    names = {name for name, _ in passages}
    assert {"open", "str.split", "dict.get", "json.decoder"} <= names
    assert all(passage.strip() for _, passage in passages)
    assert len({passage for _, passage in passages}) == len(passages)
    assert "math.isqrt" in names
    assert "help" not in names  # not every session has it


def test_a_folder_without_a_bert_is_named(search_docs, tmp_path, capfd):
    assert exit_code(search_docs.main, ["why", "--bert", str(tmp_path)]) == 2
    assert "config.json is not there" in capfd.readouterr().err
