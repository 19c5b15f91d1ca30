"""Hold train_gpt.py against nanoGPT's recipe for a CPU, with three seeds.

    python scripts/evidence/nanogpt_recipe.py --text tinyshakespeare.txt

It can be stopped and started again: finished seeds are kept, the others go
on from their checkpoints. The result is docs/evidence/nanogpt-recipe.json.
"""

import argparse
import csv
import hashlib
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "nanogpt-recipe.json"


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
            "--steps",
            "2000",
            "--out",
            str(run),
            "--resume",
        ]
        if subprocess.run(command).returncode:
            sys.exit("stopped; start this script again to go on")
        with (run / "log.csv").open(newline="") as file:
            last = list(csv.DictReader(file))[-1]
        losses[seed] = float(last["valid_loss"])
        seconds[seed] = float(last["seconds"])
    text = Path(flags.text)
    result = {
        "command": "python scripts/evidence/nanogpt_recipe.py --text " + text.name,
        "text_sha256": hashlib.sha256(text.read_bytes()).hexdigest()
        if text.is_file()
        else "shakespeare",
        "valid_loss": losses,
        "mean": sum(losses.values()) / len(losses),
        "seconds": seconds,
        "python": platform.python_version(),
        "tensorflow": version("tensorflow"),
        "keras": version("keras"),
        "cores": os.cpu_count(),
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
