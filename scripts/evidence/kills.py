"""Kill trainings at random moments, resume them, and compare the weights.

    python scripts/evidence/kills.py

Each of the four training scripts runs once without a stop. Then it runs
twelve times more: SIGKILL ends each of these runs at a random moment, unless it
has finished, and then it is resumed to its end. Its weights and its curve must be those of the
first run, bit for bit. The result is docs/evidence/kills.json. This script
can be stopped and started again: finished runs are kept.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "kills.json"
sys.path.insert(0, str(ROOT))

from scripts.evidence.common import about  # noqa: E402

RUNS = 12
FLAGS = {
    "train_gpt": "--recipe nanogpt --steps 1500 --num-layers 1 --num-heads 2 --d-model 16 "
    "--max-len 8 --batch-size 2 --dropout-rate 0.1 --evaluate-every 100",
    "train_bert": "--steps 200 --max-len 16 --vocab-size 120 --batch-size 3 --evaluate-every 20",
    "train_translation": "--steps 100 --batch-size 4 --evaluate-every 20",
    "finetune_bert": "--epochs 2 --seeds 1 --batch-size 4 --max-len 24 --bert",
}


def command(script, folder, out):
    """Return the command that starts, or resumes, a small training."""
    flags = FLAGS[script].split()
    if script == "finetune_bert":
        flags += [folder / "train_bert", "--task", folder / "task.tsv"]
    elif script != "train_translation":
        flags += ["--text", folder / "text.txt"]
    path = ROOT / "scripts" / f"{script}.py"
    return [sys.executable, path, *flags, "--out", out, "--resume"]


def write_data(folder):
    """Write a text and labelled sentences that are small enough."""
    sentences = [f"Line {n} is about {n % 7} and {n % 5}." for n in range(400)]
    text = "".join(f"{s}\n" + "\n" * (n % 4 == 3) for n, s in enumerate(sentences))
    (folder / "text.txt").write_text(text, "utf-8")
    rows = [f"{s}\t{'even' if n % 2 else 'odd'}\n" for n, s in enumerate(sentences)]
    (folder / "task.tsv").write_text("".join(rows), "utf-8")


def results(out):
    """Read what must be equal: the weights and the curves of a run."""
    weights = [p for p in out.rglob("*.safetensors") if "checkpoints" not in p.parts]
    return {p.relative_to(out): p.read_bytes() for p in [*weights, *out.rglob("*.svg")]}


def run(argv, seconds=None):
    """Run a command; kill it after some seconds. Return whether it was killed."""
    process = subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        _, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    if process.returncode:
        raise RuntimeError(errors.decode())
    return False


def main():
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    rows = json.loads(RESULT.read_text("utf-8"))["runs"] if RESULT.is_file() else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder)
        for script in FLAGS:
            done = sum(row["script"] == script for row in rows)
            if done == RUNS and script != "train_bert":  # finetune_bert reads its run
                continue
            whole = folder / script
            since = time.monotonic()
            run(command(script, folder, whole))
            seconds = time.monotonic() - since
            for number in range(done, RUNS):
                out = folder / f"{script}-{number}"
                after = random.Random(f"{script} {number}").uniform(0.5, seconds)
                killed = run(command(script, folder, out), after)
                run(command(script, folder, out))
                equal = results(out) == results(whole) and bool(results(whole))
                row = {"script": script, "after_s": round(after, 1)}
                rows.append({**row, "killed": killed, "equal": equal})
                print(rows[-1], flush=True)
                result = about("python scripts/evidence/kills.py") | {
                    "killed": sum(row["killed"] for row in rows),
                    "equal": sum(row["equal"] for row in rows),
                    "runs": rows,
                }
                RESULT.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
