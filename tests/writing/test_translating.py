"""From sentences to sentences, and the two scripts, as a user meets them."""

import json
import re
import types

import numpy as np
import pytest
from conftest import exit_code, load_script, refuse

from minitransformer import SentencePieceTokenizer, translate
from minitransformer.writing.translating import SIDES, alignment

TEXT = "\n".join(f" {word} {n}" for n in range(60) for word in ("cat", "dog", "bird"))


@pytest.fixture(scope="module")
def tokenizer():
    return SentencePieceTokenizer.train(TEXT, vocab_size=320)


@pytest.fixture(scope="module")
def train_translation():
    return load_script("train_translation")


@pytest.fixture(scope="module")
def translate_script():
    return load_script("translate")


def test_units_is_the_width_of_the_lstms(train_translation, tokenizer):
    for units in (24, 256):
        settings = train_translation.DEFAULTS | {"model": "lstm", "units": units}
        config = train_translation.make_config([tokenizer, tokenizer], settings)
        assert (config.d_model, config.units) == (128, units)


class Upside:
    """Stands in for a model: writes the source's tokens, then the end."""

    class Config:
        vocab_size, pad_id, bos_id, eos_id, max_len = 10_000, 0, 2, 3, 40

    config = Config()

    def start(self, source_ids, max_len):
        return (source_ids,)

    def step(self, token_ids, state, position):
        import tensorflow as tf

        [source] = state
        here = tf.gather(source, tf.minimum(position, source.shape[1] - 1), axis=1)
        here = tf.where(here == 0, 3, here)
        return 50.0 * tf.one_hot(here, 400), state

    def attention_maps(self, source_ids, target_ids):
        import tensorflow as tf

        shape = np.shape(target_ids) + np.shape(source_ids)[1:]
        return tf.ones(shape) / shape[-1]


def test_sentences_keep_their_order_whatever_their_length(tokenizer, eagerly):
    sentences = ["cat 1 2 3", "dog", " bird 5 ", "cat 12 dog 7", "bird 9"]
    for batch_size in (2, 64):
        made = translate(
            Upside(), [tokenizer] * 2, sentences, max_len=40, batch_size=batch_size, beam_size=2
        )
        assert made == [sentence.strip() for sentence in sentences]


def test_a_long_sentence_is_cut(tokenizer, eagerly):
    with pytest.warns(UserWarning, match="1 of 2 sentences have more than 9 tokens"):
        [made, _] = translate(
            Upside(), [tokenizer] * 2, ["cat " * 30, "cat"], max_len=9, beam_size=1
        )
    assert "cat cat cat cat".startswith(made[:11])
    assert len(made) < 60


def test_an_alignment_names_its_pieces(tokenizer):
    weights, rows, columns = alignment(Upside(), [tokenizer] * 2, "cat 1", "dog 2", max_len=40)
    assert weights.shape == (len(rows), len(columns))
    assert "".join(columns).replace("␣", " ") == " cat 1end"
    assert rows[-1] == columns[-1] == "end"
    weights, *_ = alignment(Upside(), [tokenizer] * 2, "cat 1", "dog 2 " * 9, max_len=2)
    assert weights.shape == (2, 2)


def test_a_sentence_of_another_language_is_spelled_in_bytes(translate_script, tokenizer):
    spelled_in_bytes = translate_script.spelled_in_bytes
    assert spelled_in_bytes(tokenizer, "cat 12") < 0.2
    assert spelled_in_bytes(tokenizer, "고양이 열두 마리") > 0.7


TINY = [
    "--steps",
    "4",
    "--batch-size",
    "4",
    "--no-xla",
    "--evaluate-every",
    "10",
    "--vocab-size",
    "320",
    "--beam-size",
    "1",
    "--max-len",
    "16",
]


@pytest.fixture
def pairs_file(tmp_path):
    path = tmp_path / "my pairs.tsv"
    words = ["rouge", "vert", "bleu", "gris", "rose"]
    lines = [
        f"{color} {n}\t{word} {n}"
        for n in range(12)
        for color, word in zip(["red", "green", "blue", "grey", "pink"], words, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", [[], ["--model", "lstm", "--per-side"], ["--model", "lstm", "--attention", "none"]]
)
def test_a_run_is_trained_kept_and_translates(
    train_translation, translate_script, pairs_file, tmp_path, capfd, model, monkeypatch, eagerly
):
    out = tmp_path / "run"
    argv = ["--pairs", str(pairs_file), "--out", str(out), *TINY, *model]
    assert exit_code(train_translation.main, argv) == 0
    printed = capfd.readouterr().out
    assert "exact match: " in printed
    files = {path.name for path in out.iterdir()}
    assert {
        "config.json",
        "weights.safetensors",
        "log.csv",
        "settings.json",
        "translations.tsv",
        "loss.svg",
        *SIDES,
    } <= files
    assert ("alignment.svg" in files) == ("none" not in model)
    settings = json.loads((out / "settings.json").read_text())
    assert settings["steps"] == 4
    rows = (out / "translations.tsv").read_text("utf-8").splitlines()
    assert len(rows) == 3
    assert all(row.count("\t") == 2 for row in rows)

    monkeypatch.chdir(tmp_path)
    assert exit_code(translate_script.main, ["--run", str(out), "red 3"]) == 0
    result = capfd.readouterr()
    assert len(result.out.splitlines()) == 1
    assert (tmp_path / "alignment.svg").exists() == ("none" not in model)
    if "none" not in model:  # nothing is overwritten unasked
        assert translate_script.main(["--run", str(out), rows[0].split("\t")[-1]]) == 0
        said = capfd.readouterr().err
        assert (tmp_path / "alignment-2.svg").exists()
        assert "translates into" in said  # it is no English
    # The same folder is not used twice, and a finished run is not trained on.
    refuse(train_translation.main, argv, capfd, "holds a run already")
    assert exit_code(train_translation.main, [*argv, "--resume"]) == 0


@pytest.mark.slow
def test_another_vocabulary_is_refused(
    train_translation, translate_script, pairs_file, tmp_path, capfd, monkeypatch, eagerly
):
    monkeypatch.chdir(tmp_path)  # pictures are drawn there
    out = tmp_path / "run"
    argv = ["--pairs", str(pairs_file), "--out", str(out), *TINY]
    assert exit_code(train_translation.main, argv) == 0
    capfd.readouterr()
    other = SentencePieceTokenizer.train(TEXT * 3, vocab_size=321)
    assert other.vocab_size != SentencePieceTokenizer.load(out / SIDES[0]).vocab_size
    other.save(out / SIDES[0])
    refuse(translate_script.main, ["--run", str(out), "red"], capfd, "another run's")
    refuse(train_translation.main, [*argv, "--resume"], capfd, "another run's")
    # The size may be the same, and the pieces others.
    model = (out / SIDES[1]).read_bytes()
    (out / SIDES[0]).write_bytes(model)
    assert exit_code(translate_script.main, ["--run", str(out), "red"]) == 0
    settings = json.loads((out / "settings.json").read_text())
    settings["vocabulary_sha256"] = "0" * 64
    (out / "settings.json").write_text(json.dumps(settings))
    capfd.readouterr()
    refuse(translate_script.main, ["--run", str(out), "red"], capfd, "another run's")
    refuse(translate_script.main, ["--run", str(tmp_path), "red"], capfd, "holds no translator")
    refuse(translate_script.main, ["--run", str(out), " "], capfd, "is empty")


@pytest.mark.parametrize(
    ("text", "flags", "message"),
    [
        (None, [], "does not exist"),
        ("a\tb\nc d\n", [], "line 2"),
        ("a\tb\nc\td\n", [], "2 different sentences"),
        ("a b c\td\n" * 3 + "b\te\nc\tf\n", ["--max-len", "1"], "larger --max-len"),
        ("a\tb\nc\td\ne\tf\n", ["--per-side"], "--per-side"),
        ("a\tb\nc\td\ne\tf\n", ["--vocab-size", "9"], "at least 320"),
        ("a\tb\nc\td\ne\tf\n", ["--dropout-rate", "2"], "dropout-rate"),
        (None, ["--pairs", "jupyterlab:a.b"], "no language pack a.b"),
        (None, ["--pairs", "jupyterlab:zz-ZZ"], "no language pack zz-ZZ"),
    ],
)
def test_a_mistake_gets_one_sentence_and_leaves_nothing_behind(
    train_translation, tmp_path, capfd, text, flags, message
):
    path, out = tmp_path / "pairs.tsv", tmp_path / "run"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    argv = ["--pairs", str(path), "--out", str(out), *flags]
    refuse(train_translation.main, argv, capfd, message)
    assert not out.exists()


def test_swapped_columns_are_refused(train_translation, pairs_file, tmp_path, capfd):
    swapped = tmp_path / "swapped.tsv"
    swapped.write_text("rouge 3\tred 3\nvert 1\tgreen 1\n", encoding="utf-8")
    argv = ["--pairs", str(pairs_file), "--test", str(swapped), "--out", str(tmp_path / "run")]
    refuse(train_translation.main, argv, capfd, "other way round")


def test_long_pairs_are_counted_and_said_once(train_translation, pairs_file, capfd):
    pairs = [("rouge " * 20, "red"), ("vert", "green " * 20), ("a " * 30, "b"), ("bleu", "blue")]
    tokenizer = SentencePieceTokenizer.train(TEXT * 3, vocab_size=321)
    parts = [pairs, pairs[3:], pairs[:1]]
    train, valid = train_translation.encode(parts, [tokenizer] * 2, 16)
    assert (len(train), len(valid)) == (1, 1)
    [said] = capfd.readouterr().out.splitlines()
    assert said.startswith("too long")
    assert "exceed 16 tokens" in said
    numbers = re.findall(r"(\d+) (?:training|validation|test) ", said)
    assert list(map(int, numbers)) == [3, 0, 1]


@pytest.mark.parametrize(
    "flags",
    [
        ["--evaluate-every", "15"],
        ["--steps", "0"],
        ["--model", "gru"],
        ["--attention", "flash"],
        ["--label-smoothing", "1"],
    ],
)
def test_a_flag_that_makes_no_sense_exits_with_2(train_translation, flags):
    with pytest.raises(SystemExit) as stopped:
        train_translation.main(flags)
    assert stopped.value.code == 2


def test_a_string_is_no_list_of_sentences(tokenizer):
    with pytest.raises(TypeError, match=r"sentences is one string: put it in a list, \['cat'\]"):
        translate(Upside(), [tokenizer] * 2, "cat", max_len=9)


@pytest.mark.parametrize("name", ["generate", "translate", "search_docs"])
def test_a_terminal_gets_no_escape_sequence_of_a_model(name, monkeypatch, capfd):
    script, hostile = load_script(name), "\x1b[2J\x9b31m\r안\ud800\n"
    if name == "generate":
        monkeypatch.setattr(script, "text", lambda flags: iter([hostile]))
        assert exit_code(script.main, ["--prompt", "x"]) == 0
    elif name == "translate":
        model = types.SimpleNamespace(config=types.SimpleNamespace(attention="none"))
        monkeypatch.setattr(script, "load", lambda folder: (model, [None] * 2, 9))
        monkeypatch.setattr(script, "spelled_in_bytes", lambda *_: 0.0)
        monkeypatch.setattr(script.mt, "translate", lambda *_, **__: [hostile], raising=False)
        assert exit_code(script.main, ["--run", "here", "x"]) == 0
    else:
        script.show(lambda question: [(0.5, hostile, hostile)], "x")
    shown = capfd.readouterr().out
    assert r"\x1b[2J\x9b31m\r안" in shown
    assert "\x1b" not in shown
    assert "\r" not in shown
