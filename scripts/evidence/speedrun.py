"""Race on two cores: the best loss of a small GPT in a given time.

    python scripts/evidence/speedrun.py --text tinyshakespeare.txt

Each training is a process of its own. Its time runs from the command to the
last checkpoint: with imports, compilation and the validation at the end. The
time is kept for the tracks only; run those on a machine that does nothing else.
The loss is measured over the whole validation text. A change counts if its
gain, paired by seed, has p < 0.01 in a one-sided t-test.

You can stop it and start it again: it keeps finished trainings. The result
is docs/evidence/speedrun.json.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "speedrun.json"
sys.path.insert(0, str(ROOT))

from scripts.evidence.common import about  # noqa: E402

QUICK = {"learning_rate": 3e-3, "rotary": True, "activation": "squared_relu"}
# Each row also has the changes of the rows before it. The memory has its own rate.
LADDER = {
    "quick recipe, 300 steps": QUICK | {"steps": 300},
    "the rate ends at 0": {"final_rate": 0.0},
    "a memory of three tokens": {"longest": 3, "learning_rate": 2e-3},
    "of five tokens": {"longest": 5},
}
SHORT = {"recipe": "fast", "muon": False, "steps": 200}
# Trials of the lab notebook: each changes one idea of the fast recipe with AdamW.
TRIALS = {
    "fast recipe, 200 steps": {},
    "pairs only": {"longest": 2},
    "up to three tokens": {"longest": 3},
    "up to four tokens": {"longest": 4},
    "up to six tokens": {"longest": 6},
    "a quarter of the rows": {"rows": 4093},
    "four times the rows": {"rows": 65521},
    "no dropout of the memory": {"memory_dropout_rate": 0.0},
    "less dropout of the memory": {"memory_dropout_rate": 0.3},
    "dropout in the blocks": {"dropout_rate": 0.1},
    "half the rate": {"learning_rate": 1e-3},
    "twice the rate": {"learning_rate": 4e-3},
    "the rate ends at a tenth": {"final_rate": 0.1},
    "windows half as long": {"max_len": 64, "batch_size": 12},
    "windows twice as long": {"max_len": 256, "batch_size": 3},
    "two blocks": {"num_layers": 2},
    "six blocks": {"num_layers": 6},
    "wider": {"d_model": 192, "num_heads": 6},
    "heads of 16": {"num_heads": 8},
    "heads of 64": {"num_heads": 2},
    "half the batch, twice the steps": {"batch_size": 3, "steps": 400},
    "a rate that falls along a line": {"tricks": ["linear"]},
    "Muon": {"muon": True},
    "Muon, twice the rate": {"muon": True, "learning_rate": 4e-3},
    "Muon with three rounds": {"muon": True, "tricks": ["three rounds"]},
    "averaged weights": {"tricks": ["average"]},
    "averaged weights, a constant rate": {"tricks": ["average"], "final_rate": 1.0},
    "short windows first": {"tricks": ["short windows first"]},
    "branches begin at 0": {"tricks": ["zero ends"]},
    "token shift": {"tricks": ["token shift"]},
    "RMSNorm": {"tricks": ["rms norm"]},
    "a band of 32 in every second block": {"tricks": ["band"]},
    "SwiGLU": {"tricks": ["gated"]},
    "normed queries and keys": {"tricks": ["normed heads"]},
    "two hashes": {"tricks": ["two hashes"]},
}
TRACKS = {
    "nanoGPT's loss": {"target": 1.898, **SHORT, "steps": 120, "memory_dropout_rate": 0.0},
    "three minutes": {"target": 1.52, "recipe": "fast"},
    "three minutes, AdamW": {"target": 1.52, "recipe": "fast", "muon": False, "steps": 3900},
    "nanoGPT's GPU number": {
        "target": 1.4697,
        "recipe": "fast",
        "num_layers": 6,
        "num_heads": 6,
        "d_model": 192,
        "max_len": 256,
        "dropout_rate": 0.2,
        "steps": 5000,
    },
    "one budget": {"target": 1.72, "recipe": "muon"},
    "one budget, AdamW": {"target": 1.72, "recipe": "muon", "muon": False},
}


def p_value(numbers, mean=0.0):
    """Say how likely so high a mean is by chance: a one-sided t-test.

    It integrates Student's density over all higher values of t.
    """
    n = len(numbers)
    average = sum(numbers) / n
    variance = sum((x - average) ** 2 for x in numbers) / (n - 1)
    if variance == 0:
        return 0.0 if average > mean else 1.0
    t, df = (average - mean) / math.sqrt(variance / n), n - 1
    scale = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(df * math.pi)
    # t = √df · tan(angle) makes the range finite.
    begin, parts = math.atan(t / math.sqrt(df)), 2000
    width = (math.pi / 2 - begin) / parts
    angles = [begin + (i + 0.5) * width for i in range(parts)]
    return scale * math.sqrt(df) * width * sum(math.cos(a) ** (df - 1) for a in angles)


def train(settings, folder):
    """Train with train_gpt.py in this process, with settings it has no flags for."""
    from scripts import train_gpt
    from scripts.evidence.tricks import TRICKS

    for name in settings.pop("tricks", []):
        TRICKS[name]()
    train_gpt.show = lambda *parts: None  # nothing after the training
    recipe = settings.pop("recipe", "nanogpt")
    train_gpt.RECIPES[recipe] = train_gpt.RECIPES[recipe] | settings
    train_gpt.main(["--recipe", recipe, "--out", str(folder), "--overwrite"])


def measure(settings, folder):
    """Run one training in a process; return its loss and its seconds."""
    from minitransformer.runs.logs import read_log

    began = time.time()
    command = [sys.executable, __file__, "--train", json.dumps(settings), "--out", str(folder)]
    if subprocess.run(command).returncode:
        sys.exit("Stopped. Start this script again to go on.")
    # The last checkpoint is written after the validation.
    ended = max(path.stat().st_mtime for path in (folder / "checkpoints").iterdir())
    last = read_log(folder)[-1]
    return {"valid_loss": last.valid_loss, "seconds": round(ended - began, 1), "steps": last.step}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", default="shakespeare")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--only", nargs="+", help="rows whose names contain one of these")
    parser.add_argument(
        "--busy", action="store_true", help="this machine also does other things: keep no times"
    )
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    parser.add_argument("--train", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.train is not None:
        train(flags.train, flags.out)
        return
    command = "python scripts/evidence/speedrun.py --text " + Path(flags.text).name
    result = about(command) | {"results": {}}
    if RESULT.is_file():
        result["results"] = json.loads(RESULT.read_text())["results"]
    rows, settings = {}, {}
    for name, change in LADDER.items():
        settings = settings | change
        rows[name] = settings
    rows |= {name: SHORT | change for name, change in TRIALS.items()}
    rows |= {name: {k: v for k, v in t.items() if k != "target"} for name, t in TRACKS.items()}
    for seed in flags.seeds:
        for name, settings in rows.items():
            if flags.only and not any(part in name for part in flags.only):
                continue
            made = result["results"].setdefault(name, {})
            if str(seed) not in made:
                wanted = settings | {"text": flags.text, "seed": seed, "evaluate_every": 10**5}
                found = measure(wanted, flags.out or flags.runs / "speedrun")
                if flags.busy or name not in TRACKS:
                    del found["seconds"]
                made[str(seed)] = found | {"machine": result["machine"]}
                RESULT.write_text(json.dumps(result, indent=1) + "\n")
            print(f"{name}, seed {seed}: {made[str(seed)]}", flush=True)


if __name__ == "__main__":
    main()
