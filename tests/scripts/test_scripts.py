"""The scripts as a user meets them: mistakes, and one small run."""

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT, exit_code, refuse

SMALL = [
    "--num-layers",
    "1",
    "--num-heads",
    "2",
    "--d-model",
    "16",
    "--max-len",
    "8",
    "--batch-size",
    "2",
    "--no-xla",
]


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "my text.txt"
    path.write_text("abcdefgh ijklmnop\n" * 60, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["train_gpt", "generate", "train_translation", "translate"])
def test_help_needs_no_tensorflow(name):
    code = (
        "import runpy, sys\n"
        "try:\n"
        "    runpy.run_path(sys.argv.pop(1), run_name='__main__')\n"
        "finally:\n"
        "    assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)\n"
    )
    path = ROOT / "scripts" / f"{name}.py"
    result = subprocess.run(
        [sys.executable, "-c", code, path, "--help"], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "--help" in result.stdout


@pytest.mark.parametrize(
    ("content", "flags", "message"),
    [
        (None, [], "does not exist"),
        ("", [], "is empty"),
        ("short", [], "one window"),
        ("abcdefg" * 4, [], "one window"),
        (b"\xff\xfd\x00abc", [], "not text"),
        ("abc " * 99, ["--d-model", "10", "--num-heads", "4"], "multiple of"),
        ("abc " * 99, ["--dropout-rate", "1.5"], "dropout-rate: found '1.5'"),
        ("abc " * 99, ["--max-len", "1"], "max_len=1"),
        ("abc " * 99, ["--tokenizer", "sentencepiece", "--vocab-size", "9"], "at least 320"),
        ("abc " * 99, ["--tokenizer", "bpe", "--vocab-size", "9"], "at least 257"),
    ],
)
def test_a_mistake_gets_one_sentence_and_leaves_nothing_behind(
    train_gpt, tmp_path, capfd, content, flags, message
):
    path, out = tmp_path / "text", tmp_path / "run"
    if content is not None:
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(data)
    argv = ["--text", str(path), "--out", str(out), "--steps", "1", *flags]
    refuse(train_gpt.main, argv, capfd, message)
    assert not out.exists()


def test_a_folder_as_text_and_resume_without_a_name(train_gpt, tmp_path, capfd):
    refuse(train_gpt.main, ["--text", str(tmp_path)], capfd, "folder")
    refuse(train_gpt.main, ["--resume"], capfd, "--out DIR")


@pytest.mark.parametrize(
    "flags",
    [
        ["--steps", "0"],
        ["--steps", "x"],
        ["--learning-rate", "0"],
        ["--seed", str(2**31)],
        ["--tokenizer", "words"],
        ["--seed", "-1"],
        ["--nonsense"],
    ],
)
def test_a_flag_that_makes_no_sense_exits_with_2(train_gpt, flags, capsys):
    with pytest.raises(SystemExit) as stop:
        train_gpt.main(flags)
    assert stop.value.code == 2
    assert re.fullmatch(r"error: .+; see --help\n", capsys.readouterr().err)


@pytest.mark.slow
def test_a_run_from_text_to_sample(train_gpt, generate_script, text_file, tmp_path, capfd):
    out = tmp_path / "my run"
    argv = [
        "--text",
        str(text_file),
        "--out",
        str(out),
        *SMALL,
        "--steps",
        "30",
        "--evaluate-every",
        "20",
        "--seed",
        "3",
    ]
    assert exit_code(train_gpt.main, argv) == 0
    told = capfd.readouterr().out
    for part in ("nats", "bits per character (zlib -9", "Next, try", "30/30"):
        assert part in told
    assert {p.name for p in out.iterdir()} >= {
        "settings.json",
        "config.json",
        "weights.safetensors",
        "log.csv",
        "characters.json",
        "loss.svg",
        "attention.svg",
        "sample.txt",
        "checkpoints",
    }
    settings = json.loads((out / "settings.json").read_text())
    assert settings["steps"] == 30
    assert settings["learning_rate"] == 2e-3
    with (out / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["step"] for r in rows] == ["10", "20", "30"]
    assert [bool(r["valid_loss"]) for r in rows] == [False, True, True]
    text = (out / "sample.txt").read_text()
    assert len(text) > 300

    # Only the text is on stdout, and a seed repeats it.
    run = ["--run", str(out), "--prompt", "abc", "--seed", "1"]
    outputs = []
    for more in (["--max-new-tokens", "20"],) * 2 + ([],):
        assert exit_code(generate_script.main, [*run, *more]) == 0
        outputs.append(capfd.readouterr().out)
    assert outputs[0] == outputs[1]
    assert outputs[0].startswith("abc")
    assert len(outputs[0]) == 3 + 20 + 1
    assert len(outputs[2]) == 3 + 300 + 1

    refuse(generate_script.main, [*run[:2], "--prompt", ""], capfd, "empty")
    refuse(generate_script.main, [*run[:2], "--prompt", "a안"], capfd, "'안'")
    refuse(generate_script.main, ["--run", str(tmp_path), "--prompt", "a"], capfd, "no saved model")

    # The run is there: not without being asked, and not as another one.
    refuse(train_gpt.main, argv, capfd, "--resume")
    resume = ["--out", str(out), "--resume"]
    refuse(train_gpt.main, [*resume, "--seed", "4"], capfd, "--seed 3")
    assert exit_code(train_gpt.main, resume) == 0
    assert "resuming    at step 30" in capfd.readouterr().out
    moved = text_file.rename(tmp_path / "moved.txt")
    assert exit_code(train_gpt.main, [*resume, "--text", str(moved)]) == 0
    (out / "log.csv").unlink()  # lost: measured again
    assert exit_code(train_gpt.main, resume) == 0  # it knows the new place
    moved.write_text("another text " * 99)
    refuse(train_gpt.main, resume, capfd, "has changed")


def test_a_published_gpt2_writes_until_its_text_ends(generate_script, tmp_path, capfd):
    from safetensors.numpy import save_file

    from minitransformer import GPT, GPTConfig
    from minitransformer.models.gpt import PUBLISHED
    from minitransformer.runs.pretrained import their_names
    from minitransformer.runs.saving import named_weights

    # Blocks add nothing. The first four positions ask for " the", later ones for the end.
    a, b = np.float32([[1, -1, 0, 0], [0, 0, 1, -1]])
    weights = named_weights(GPT(GPTConfig(50257, 9, d_model=4, num_heads=2, num_layers=1)))
    arrays = {name: 0 * weight.numpy() for name, weight in weights.items()}
    arrays["decoder/final_norm/gain"] += 1
    arrays["positions/table"] += [*[a] * 4, *[b] * 5]
    arrays["embedding/table"][[262, 50256]] = a / 9, b / 9
    names = their_names(weights, PUBLISHED)
    tensors = {n: np.concatenate([arrays[o] for o in ours], -1) for n, ours in names.items()}
    save_file(tensors, tmp_path / "model.safetensors")
    config = {"model_type": "gpt2", "n_embd": 4, "n_head": 2, "n_layer": 1, "n_positions": 9}
    (tmp_path / "config.json").write_text(json.dumps(config))
    fixture = ROOT / "tests" / "fixtures" / "gpt2_bpe.json"
    published = json.loads(fixture.read_text("utf-8"))
    (tmp_path / "vocab.json").write_text(json.dumps(published["encoder"]))
    (tmp_path / "merges.txt").write_text("\n".join(published["merges"]), "utf-8")

    argv = ["--run", str(tmp_path), "--temperature", "0", "--no-xla", "--prompt", "Hello world"]
    assert exit_code(generate_script.main, argv) == 0
    assert capfd.readouterr().out == "Hello world the the the\n"
    (tmp_path / "merges.txt").unlink()
    refuse(generate_script.main, argv, capfd, "no published GPT-2: merges.txt is not there")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    refuse(generate_script.main, argv, capfd, "model_type 'bert', expected 'gpt2'")


def test_a_disk_that_fills_up_ends_with_1_and_keeps_the_checkpoint(
    train_gpt, text_file, tmp_path, capfd, monkeypatch
):
    from minitransformer.learning import checkpoints

    real = checkpoints.write_atomically

    def full(path, data):
        if path.name == "step-00000500.safetensors":
            raise OSError(28, "No space left on device")
        real(path, data)

    monkeypatch.setattr(checkpoints, "write_atomically", full)
    out = tmp_path / "run"
    argv = ["--text", str(text_file), "--out", str(out), *SMALL, "--steps", "600"]
    assert exit_code(train_gpt.main, argv) == 1
    error = capfd.readouterr().err
    assert "No space left on device" in error
    assert "Traceback" not in error
    kept = [p.name for p in (out / "checkpoints").iterdir()]
    assert kept == ["step-00000250.safetensors"]


@pytest.mark.parametrize("kind", ["sentencepiece", pytest.param("bpe", marks=pytest.mark.slow)])
def test_pieces_train_and_write(train_gpt, generate_script, tmp_path, capfd, kind):
    path = tmp_path / "text"
    path.write_text("안녕하세요, 세계! The cat sat on the mat. 😀\n" * 99, encoding="utf-8")
    out = tmp_path / "run"
    argv = [
        "--text",
        str(path),
        "--out",
        str(out),
        *SMALL,
        "--steps",
        "2",
        "--tokenizer",
        kind,
        "--vocab-size",
        "400",
    ]
    assert exit_code(train_gpt.main, argv) == 0
    assert "learning the pieces" in capfd.readouterr().out
    run = ["--run", str(out), "--prompt", "세계 ☃", "--max-new-tokens", "9"]
    assert exit_code(generate_script.main, run) == 0
    assert "세계 ☃" in capfd.readouterr().out


@pytest.mark.skipif(os.name == "nt", reason="Windows signals differently")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("program", ["train_gpt", "generate", "start_workers", "book/export_gpt"])
def test_a_signal_ends_a_script_without_a_traceback(program, name, tmp_path, processes):
    number, missing = getattr(signal, name), str(tmp_path / "none")
    arguments = {
        "train_gpt": ["--out", missing],
        "generate": ["--run", missing, "--prompt", "a"],
        "start_workers": ["2", str(ROOT / "scripts" / "train_gpt.py"), "--out", missing],
        "book/export_gpt": ["--run", missing, "--out", missing],
    }
    for wait, times in ((0.15, 1), (0.3, 3), (1, 2)):
        process = subprocess.Popen(
            [sys.executable, ROOT / "scripts" / f"{program}.py", *arguments[program]],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        time.sleep(wait)
        for _ in range(times):
            process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 128 + number, errors
        assert "Traceback" not in errors
        with pytest.raises(ProcessLookupError):  # nothing is left of its session
            os.killpg(process.pid, 0)


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
@pytest.mark.slow
@pytest.mark.parametrize(
    "voice", ["| head -1", "| head -c 5", "| true", ">&-", "2>&-", ">&- 2>&-", "> /dev/full"]
)
def test_a_training_goes_on_without_a_voice(text_file, tmp_path, voice):
    out = tmp_path / "run"
    script = ROOT / "scripts" / "train_gpt.py"
    words = [sys.executable, script, "--text", text_file, "--out", out, "--steps", 3, *SMALL]
    line = f"set -o pipefail; {shlex.join(map(str, words))} {voice}"
    result = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    assert "ignored" not in result.stderr
    assert (out / "sample.txt").is_file()


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "script", "message"),
    [
        ("0", "train_gpt.py", "give 1 to 64"),
        ("100000", "train_gpt.py", "give 1 to 64"),
        ("two", "train_gpt.py", "give 1 to 64"),
        ("2", "missing.py", "there is no script"),
    ],
)
def test_workers_that_cannot_be_started_are_one_sentence(count, script, message):
    path = ROOT / "scripts"
    result = subprocess.run(
        [sys.executable, path / "start_workers.py", count, path / script],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "saved",
    [
        {"recipe": "fast"},
        {"recipe": "fast", "muon": True},
        {"recipe": "muon", "muon": True},
        {"recipe": "quick"},
        {"recipe": "nanogpt"},
        {"steps": 2000},
    ],
)
def test_a_resumed_run_keeps_its_recipe(train_gpt, tmp_path, saved):
    (tmp_path / "settings.json").write_text(json.dumps(saved))
    flags = {"out": str(tmp_path), "resume": True}
    defaults = train_gpt.defaults_for(flags)
    assert defaults["recipe"] == saved.get("recipe", "nanogpt")
    assert defaults["muon"] == saved.get("muon", False)
    defaults = train_gpt.defaults_for({**flags, "resume": False})
    assert defaults["recipe"] == "fast"
    assert defaults["muon"]


def test_what_a_memory_cannot_is_refused(train_gpt, text_file, tmp_path, capfd):
    argv = ["--text", str(text_file), "--out", str(tmp_path / "run"), "--bias"]
    refuse(train_gpt.main, argv, capfd, "give --recipe nanogpt with --bias")
