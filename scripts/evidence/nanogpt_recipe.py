"""Repeat nanoGPT's recipe for a CPU with train_gpt.py, with three seeds.

    python scripts/evidence/nanogpt_recipe.py --text tinyshakespeare.txt

You can stop it and start it again: it keeps finished seeds and resumes the
others from their checkpoints. The result is docs/evidence/nanogpt-recipe.json.
"""

import argparse
import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "nanogpt-recipe.json"
sys.path.insert(0, str(ROOT))

from scripts.evidence.common import about  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", default="shakespeare")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    flags = parser.parse_args()
    losses, seconds = {}, {}
    for seed in flags.seeds:
        run = flags.runs / f"nanogpt-recipe-{seed}"
        command = [
            sys.executable,
            str(ROOT / "scripts" / "train_gpt.py"),
            "--text",
            flags.text,
            "--seed",
            str(seed),
            "--recipe",
            "nanogpt",
            "--out",
            str(run),
            "--resume",
        ]
        if subprocess.run(command).returncode:
            sys.exit("Stopped. Start this script again to resume.")
        with (run / "log.csv").open(newline="") as file:
            last = list(csv.DictReader(file))[-1]
        losses[seed] = float(last["valid_loss"])
        seconds[seed] = float(last["seconds"])
    text = Path(flags.text)
    result = about("python scripts/evidence/nanogpt_recipe.py --text " + text.name) | {
        "text_sha256": hashlib.sha256(text.read_bytes()).hexdigest()
        if text.is_file()
        else "shakespeare",
        "valid_loss": losses,
        "mean": sum(losses.values()) / len(losses),
        "seconds": seconds,
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
