"""Train with and without --mixed, and compare the losses.

    python scripts/evidence/mixed.py

Each training has 200 steps, on Python's own documentation. The result is
docs/evidence/mixed.json.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "mixed.json"
sys.path.insert(0, str(ROOT))

from minitransformer.runs.logs import read_log  # noqa: E402
from scripts.evidence.common import about  # noqa: E402


def train(*flags):
    """Run train_gpt.py; return its validations (step, loss) and its speed."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        subprocess.run(
            [
                sys.executable,
                str(ROOT / "scripts" / "train_gpt.py"),
                "--recipe",
                "nanogpt",
                "--steps",
                "200",
                "--evaluate-every",
                "50",
                "--out",
                str(run),
                *flags,
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        rows = read_log(run)
    losses = [(r.step, r.valid_loss) for r in rows if r.valid_loss]
    return losses, statistics.median(row.tokens_per_s for row in rows)


def main():
    runs = {"float32": train(), "bfloat16": train("--mixed")}
    result = about("python scripts/evidence/mixed.py") | {
        "valid_loss": {name: losses for name, (losses, _) in runs.items()},
        "tokens_per_s": {name: speed for name, (_, speed) in runs.items()},
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["valid_loss"]))


if __name__ == "__main__":
    main()
