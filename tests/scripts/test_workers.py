"""Several workers make the run of one, and resume it exactly."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT

from minitransformer.runs.logs import read_log
from scripts.start_workers import environments, start

pytestmark = pytest.mark.slow
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
SCRIPT = str(ROOT / "scripts" / "train_gpt.py")


def flags(text, out, steps):
    return [
        "--recipe",
        "nanogpt",
        "--text",
        str(text),
        "--steps",
        str(steps),
        "--d-model",
        "24",
        "--num-heads",
        "3",
        "--num-layers",
        "1",
        "--max-len",
        "16",
        "--batch-size",
        "6",
        "--evaluate-every",
        "5",
        "--seed",
        "3",
        "--learning-rate",
        "0.05",
        "--out",
        str(out),
    ]


def end(workers):
    """Wait for the workers; return their exit codes and what they wrote."""
    ends = [worker.communicate(timeout=200) for worker in workers]
    return [w.returncode for w in workers], ["".join(e) for e in ends]


@pytest.fixture
def two_workers(processes):
    """Function that starts two workers, which end with the test."""

    def start_two(script, arguments):
        workers = start(2, script, arguments, **PIPES, start_new_session=True)
        processes.extend(workers)
        return workers

    return start_two


def test_two_workers_make_the_run_of_one_and_resume_it_exactly(tmp_path, two_workers):
    text = tmp_path / "text.txt"
    text.write_text("a quick brown fox jumps over the lazy dog. " * 60)
    one, two, cut = tmp_path / "one", tmp_path / "two", tmp_path / "cut"
    code = subprocess.run([sys.executable, SCRIPT, *flags(text, one, 600)], **PIPES)
    assert code.returncode == 0, code.stderr
    codes, wrote = end(two_workers(SCRIPT, flags(text, two, 600)))
    assert codes == [0, 0], wrote
    assert "the chief shows progress" in wrote[1]
    assert "validation" not in wrote[1]  # only the chief reports …

    first, both = read_log(one)[:10], read_log(two)[:10]  # of 5 steps
    for column in ("loss", "valid_loss", "grad_norm"):
        np.testing.assert_allclose(
            [getattr(row, column) for row in both],
            [getattr(row, column) for row in first],
            rtol=1e-4,
        )
    # … and the clipping, by both workers' norm, had something to do.
    assert max(row.grad_norm for row in both) > 1

    workers = two_workers(SCRIPT, flags(text, cut, 600))
    while not list(cut.glob("checkpoints/step-*")):
        assert workers[0].poll() is None, end(workers)
        time.sleep(0.02)
    workers[1].send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
    codes, wrote = end(workers)
    assert codes[0] == 1
    assert "Another worker stopped" in wrote[0]
    assert "--resume" in wrote[0]
    assert "Traceback" not in wrote[0]
    resumed = [*flags(text, cut, 600), "--resume"]
    codes, wrote = end(two_workers(SCRIPT, resumed))
    assert codes == [0, 0], wrote
    assert "resuming" in wrote[0]
    for name in ("weights.safetensors", "sample.txt"):
        assert (cut / name).read_bytes() == (two / name).read_bytes()


def test_only_the_chief_writes_and_all_must_agree(tmp_path, processes):
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be, that is the question. " * 40)
    chief, other = tmp_path / "chief", tmp_path / "other"
    for seeds, expected in ((("3", "3"), [0, 0]), (("3", "4"), [2, 2])):
        workers = [
            subprocess.Popen(
                [
                    sys.executable,
                    SCRIPT,
                    *flags(text, out, 5),
                    "--seed",
                    seed,
                    "--overwrite",
                    "--strategy",
                    "multiworker",
                ],
                env=environment,
                start_new_session=True,
                **PIPES,
            )
            for out, seed, environment in zip((chief, other), seeds, environments(2), strict=True)
        ]
        processes.extend(workers)
        codes, wrote = end(workers)
        assert codes == expected, wrote
        assert not other.exists()
    assert all("different settings" in part for part in wrote)


def test_two_workers_translate_as_one(tmp_path, two_workers):
    script = str(ROOT / "scripts" / "train_translation.py")
    words = ["red", "green", "blue", "grey", "pink", "white"]
    lines = [f"{word} {n}\t{n} {word[::-1]}" for n in range(20) for word in words]
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("\n".join(lines), encoding="utf-8")

    def flags(out):
        return [
            "--pairs",
            str(pairs),
            "--steps",
            "20",
            "--batch-size",
            "6",
            "--evaluate-every",
            "10",
            "--dropout-rate",
            "0",
            "--no-xla",
            "--vocab-size",
            "320",
            "--max-len",
            "16",
            "--buckets",
            "2",
            "--beam-size",
            "1",
            "--out",
            str(out),
        ]

    one, two = tmp_path / "one", tmp_path / "two"
    code = subprocess.run([sys.executable, script, *flags(one)], **PIPES)
    assert code.returncode == 0, code.stderr
    codes, wrote = end(two_workers(script, flags(two)))
    assert codes == [0, 0], wrote
    for column in ("loss", "valid_loss", "grad_norm"):
        np.testing.assert_allclose(
            [getattr(row, column) for row in read_log(two)],
            [getattr(row, column) for row in read_log(one)],
            rtol=1e-4,
        )
    assert (two / "translations.tsv").is_file()
