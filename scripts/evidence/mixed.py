"""Train with and without --mixed, and compare the losses.

    python scripts/evidence/mixed.py

On Python's own documentation, 200 steps each. The result is
docs/evidence/mixed.json.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "mixed.json"
sys.path.insert(0, str(ROOT))

from minitransformer.logs import read_log  # noqa: E402


def train(*flags):
    """Run the script; return (step, validation loss) of each validation."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        subprocess.run(
            [sys.executable, str(ROOT / "scripts" / "train_gpt.py"),
             "--steps", "200", "--evaluate-every", "50", "--out", str(run),
             *flags],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        return [
            (row["step"], row["valid_loss"])
            for row in read_log(run)
            if row["valid_loss"]
        ]


def main():
    result = {
        "command": "python scripts/evidence/mixed.py",
        "python": platform.python_version(),
        "tensorflow": version("tensorflow"),
        "keras": version("keras"),
        "cores": os.cpu_count(),
        "valid_loss": {"float32": train(), "bfloat16": train("--mixed")},
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["valid_loss"]))


if __name__ == "__main__":
    main()
