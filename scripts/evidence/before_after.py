"""Compare the speed of this checkout with an older one, in pairs.

    git worktree add --detach ../before 93c678b
    python scripts/evidence/before_after.py ../before

Each job runs in a process of its own, in turn in both checkouts; the order
changes from round to round. The result is the median over all rounds of the
new speed divided by the old one. It is in `docs/evidence/before-after.json`;
another call adds rounds to it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "before-after.json"
sys.path.insert(0, str(ROOT))

from scripts.evidence.common import about  # noqa: E402

JOBS = [("train", "small"), ("train", "baby"), ("sample", "small"), ("sample", "baby")]


def measure(checkout, job):
    """Run a job of the benchmark in a checkout; return tokens per second."""
    is_new = (checkout / "scripts" / "bench" / "peers").is_dir()
    module = "scripts.bench.peers" if is_new else "scripts.peers"
    process = subprocess.run(
        [sys.executable, "-m", module, "ours", *job],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(process.stdout.splitlines()[-1])["tokens_per_s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("older", type=Path, help="the folder of the older checkout")
    parser.add_argument("--rounds", type=int, default=5, help="rounds to add (default: 5)")
    flags = parser.parse_args()
    checkouts = {"old": flags.older.resolve(), "new": ROOT}
    ratios = {}
    if RESULT.is_file():
        ratios = json.loads(RESULT.read_text("utf-8"))["ratios"]
    for number in range(flags.rounds):
        for job in JOBS:
            names = sorted(checkouts, reverse=number % 2 == 0)
            speed = {name: measure(checkouts[name], job) for name in names}
            ratio = speed["new"] / speed["old"]
            ratios.setdefault("/".join(job), []).append(round(ratio, 4))
            print(*job, {k: round(v) for k, v in speed.items()}, flush=True)
        result = about("python scripts/evidence/before_after.py ../before") | {
            "medians": {k: statistics.median(v) for k, v in ratios.items()},
            "ratios": ratios,
        }
        RESULT.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result["medians"], indent=1))


if __name__ == "__main__":
    main()
