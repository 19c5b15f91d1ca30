"""A training that is killed and resumed ends where it would have ended."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT
from safetensors.numpy import load_file

pytestmark = pytest.mark.slow
STEPS = 1500


def command(text, out, *more):
    return [
        sys.executable,
        str(ROOT / "scripts" / "train_gpt.py"),
        "--text",
        str(text),
        "--out",
        str(out),
        "--steps",
        str(STEPS),
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
        "--dropout-rate",
        "0.1",
        "--evaluate-every",
        "500",
        *more,
    ]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text"
    rng = np.random.default_rng(0)
    path.write_text("".join(rng.choice(list("abcdef \n"), 4000)))
    return path


def rows(out):
    return [line.split(",")[:5] for line in (out / "log.csv").read_text().splitlines()]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_at_any_moment_it_ends_with_the_same_weights(text, tmp_path, processes):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    subprocess.run(command(text, whole), check=True)
    kills = 0
    # While TensorFlow loads, before the first checkpoint, and after some.
    for step in (None, 20, 300, 900):
        process = subprocess.Popen(command(text, parts, "--resume"), start_new_session=True)
        processes.append(process)
        deadline = time.monotonic() + 120
        if step is None:
            time.sleep(1.5)
        while step and time.monotonic() < deadline:
            log = parts / "log.csv"
            lines = log.read_text().splitlines() if log.exists() else []
            if len(lines) > 1 and int(lines[-1].split(",")[0] or 0) >= step:
                break
            time.sleep(0.01)
        process.kill()
        kills += process.wait() == -signal.SIGKILL
    assert kills == 4
    subprocess.run(command(text, parts, "--resume"), check=True)
    expected = load_file(whole / "weights.safetensors")
    weights = load_file(parts / "weights.safetensors")
    assert weights.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(weights[name], expected[name])
    assert rows(parts) == rows(whole)
    for name in ("sample.txt", "loss.svg"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="Windows signals differently")
def test_ctrl_c_saves_says_how_to_go_on_and_exits_with_130(text, tmp_path, processes):
    out = tmp_path / "my run"
    process = subprocess.Popen(
        command(text, out, "--steps", "100000"),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    processes.append(process)
    while not (out / "log.csv").exists() or len(rows(out)) < 3:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert f"--out '{out}' --resume" in errors
    assert "Traceback" not in errors
    step = int(rows(out)[-1][0])
    saved = [p.name for p in (out / "checkpoints").iterdir()]
    assert f"step-{step:08d}.safetensors" in saved
    assert json.loads((out / "settings.json").read_text())["steps"] == 100_000
