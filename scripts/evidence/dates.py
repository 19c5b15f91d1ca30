"""Train all three translators on dates, with three seeds each.

    python scripts/evidence/dates.py

You can stop it and start it again: it keeps finished runs and resumes the
others from their checkpoints. The result is docs/evidence/dates.json.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "dates.json"
sys.path.insert(0, str(ROOT))

from scripts.evidence.common import about, train  # noqa: E402

MODELS = {
    "LSTM without attention": ["--model", "lstm", "--attention", "none"],
    "LSTM with attention": ["--model", "lstm"],
    "Transformer": ["--model", "transformer"],
}


def read_rows(run):
    """Read a run's translations: (source, translation, reference) per line."""
    text = (run / "translations.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()]


def count_parameters(run):
    """Count the numbers in a run's weights."""
    from safetensors import safe_open

    with safe_open(run / "weights.safetensors", framework="numpy") as file:
        names = list(file.keys())
        return sum(file.get_tensor(name).size for name in names)


def main():
    from minitransformer import exact_match
    from minitransformer.runs.logs import read_log

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    flags = parser.parse_args()
    result = about("python scripts/evidence/dates.py") | {"runs": {}}
    if RESULT.is_file():
        result["runs"] = json.loads(RESULT.read_text())["runs"]
    for seed in flags.seeds:
        for name, options in MODELS.items():
            runs = result["runs"].setdefault(name, {})
            if str(seed) in runs:
                continue
            run = flags.runs / f"dates-{name.replace(' ', '-')}-{seed}"
            train("train_translation.py", *options, "--seed", seed, "--out", run)
            _, ours, theirs = zip(*read_rows(run), strict=True)
            last = read_log(run)[-1]
            runs[str(seed)] = {
                "exact_match": exact_match(ours, theirs),
                "valid_loss": last.valid_loss,
                "seconds": last.seconds,
                "steps": last.step,
                "parameters": count_parameters(run),
            }
            RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
