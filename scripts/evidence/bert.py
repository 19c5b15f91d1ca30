"""Pre-train a small BERT, and fine-tune a published one on SST-2.

    python scripts/evidence/bert.py --data ../shared/data

First `train_bert.py` without flags, then `finetune_bert.py` with MiniLM on
`sst2.train.tsv`, measured on `sst2.dev.tsv`: three ways, three seeds. It can
be stopped and started again: what is finished is kept. The results are
docs/evidence/bert.json and docs/evidence/sst2.json.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.evidence.dates import about  # noqa: E402

COMMAND = "python scripts/evidence/bert.py --data ../shared/data"


def run(script, *flags):
    """Run a script, or go on with what it began; stop if it stops."""
    command = [sys.executable, str(ROOT / "scripts" / script), "--resume", *map(str, flags)]
    with subprocess.Popen(command) as process:
        try:
            code = process.wait()
        except KeyboardInterrupt:  # it has heard it, too, and is saving
            code = process.wait() or 130
    if code:
        sys.exit("stopped; start this script again to go on")


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
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    flags = parser.parse_args()
    folder = flags.runs / "evidence-bert"
    if not (folder / "results.json").is_file():
        run("train_bert.py", "--out", folder)
    keep("bert.json", folder)
    folder = flags.runs / "evidence-sst2"
    run(
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
