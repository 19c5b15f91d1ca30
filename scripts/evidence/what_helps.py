"""Measure what makes a GPT learn faster: one change after another, three seeds.

    python scripts/evidence/what_helps.py --text tinyshakespeare.txt

You can stop it and start it again: it keeps finished trainings. The result is
docs/evidence/what-helps.json.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "what-helps.json"
sys.path.insert(0, str(ROOT))

from scripts.evidence.common import about  # noqa: E402

# Each row also has the changes of the rows before it.
CHANGES = {
    "nanoGPT's recipe, 800 steps": {},
    "learning rate 0.003, not 0.001": {"learning_rate": 3e-3},
    "squared ReLU, not gelu": {"activation": "squared_relu"},
    "rotary positions, not learned ones": {"rotary": True},
    "the rate ends at 0, not at a tenth": {"final_rate": 0.0},
    "beta_2 0.95, not 0.99": {"beta_2": 0.95},
}


def measure(settings, seed, text, folder):
    """Train with train_gpt.py; return the loss over the validation text."""
    from minitransformer.runs.logs import read_log
    from scripts import train_gpt

    train_gpt.RECIPES["nanogpt"] = train_gpt.NANOGPT | settings
    flags = ["--recipe", "nanogpt", "--text", text, "--steps", "800", "--seed", str(seed)]
    train_gpt.main([*flags, "--out", str(folder), "--resume"])
    return read_log(folder)[-1].valid_loss


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", default="shakespeare")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    flags = parser.parse_args()
    command = "python scripts/evidence/what_helps.py --text " + Path(flags.text).name
    result = about(command) | {"valid_loss": {}}
    if RESULT.is_file():
        result["valid_loss"] = json.loads(RESULT.read_text())["valid_loss"]
    for seed in flags.seeds:
        settings = {}
        for number, (name, change) in enumerate(CHANGES.items()):
            settings |= change
            losses = result["valid_loss"].setdefault(name, {})
            if str(seed) in losses:
                continue
            folder = flags.runs / f"what-helps-{number}-{seed}"
            losses[str(seed)] = measure(settings, seed, flags.text, folder)
            print(f"{name}, seed {seed}: {losses[str(seed)]:.4f}", flush=True)
            RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
