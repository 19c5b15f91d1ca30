"""Pre-train a small BERT, and fine-tune a published one on SST-2.

    python scripts/evidence/bert.py --data ../shared/data

It runs `train_bert.py` with its defaults. Then it runs `finetune_bert.py` with
MiniLM on `sst2.train.tsv`, measured on `sst2.dev.tsv`: three ways, three seeds.
You can stop it and start it again: it keeps finished trainings. The results are
docs/evidence/bert.json and docs/evidence/sst2.json.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.evidence.common import about, train  # noqa: E402

COMMAND = "python scripts/evidence/bert.py --data ../shared/data"


def keep(name, folder):
    """Copy a run's results and settings to the evidence."""
    settings = json.loads((folder / "settings.json").read_text("utf-8"))
    for path in ("text", "task", "valid", "bert"):
        if settings.get(path):
            settings[path] = Path(settings[path]).name
    results = json.loads((folder / "results.json").read_text("utf-8"))
    made = about(COMMAND) | {"settings": settings, "results": results}
    path = ROOT / "docs" / "evidence" / name
    path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder of the two files")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    flags = parser.parse_args()
    folder = flags.runs / "evidence-bert"
    if not (folder / "results.json").is_file():
        train("train_bert.py", "--out", folder)
    keep("bert.json", folder)
    folder = flags.runs / "evidence-sst2"
    train(
        "finetune_bert.py",
        "--task",
        flags.data / "sst2.train.tsv",
        "--valid",
        flags.data / "sst2.dev.tsv",
        "--epochs",
        2,
        "--max-len",
        64,
        "--out",
        folder,
    )
    keep("sst2.json", folder)


if __name__ == "__main__":
    main()
