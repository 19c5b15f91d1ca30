"""Measure how a training step grows with the window, the width and the batch.

    python scripts/evidence/growth.py

Each point is measured in a process of its own. You can stop the script and start
it again: it keeps the points that it has. The result is docs/evidence/growth.json.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "growth.json"
sys.path.insert(0, str(ROOT))

from scripts.bench.peers.measure import CONFIGS, Meter, Sizes  # noqa: E402
from scripts.evidence.common import about  # noqa: E402

SMALL = replace(CONFIGS["small"], steps=30)


def points():
    """List each axis, its value there, and all sizes."""
    for window in (64, 128, 256, 512, 1024, 2048):
        yield ("window", window, replace(SMALL, max_len=window, batch_size=4, steps=10))
    for width in (64, 128, 256, 512):
        yield ("width", width, replace(SMALL, d_model=width, num_heads=width // 32))
    for batch in (4, 8, 16, 32, 64):
        yield "batch", batch, replace(SMALL, batch_size=batch)


def measure(sizes):
    """Measure one point in this process."""
    meter = Meter(time.time())
    from scripts.bench.peers import ours

    meter.imported()
    ours.train(sizes, meter)
    tokens = sizes.batch_size * sizes.max_len
    return {
        "step_ms": 1000 * tokens / meter.notes["tokens_per_s"],
        "growth_mb": meter.notes["growth_mb"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--point", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.point:
        print(json.dumps(measure(Sizes(**json.loads(flags.point)))))
        return
    result = about("python scripts/evidence/growth.py") | {"points": []}
    if RESULT.is_file():
        result["points"] = json.loads(RESULT.read_text())["points"]
    done = {(p["axis"], p["value"]) for p in result["points"]}
    for axis, value, sizes in points():
        if (axis, value) in done:
            continue
        run = subprocess.run(
            [sys.executable, __file__, "--point", json.dumps(asdict(sizes))],
            capture_output=True,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        if run.returncode:
            sys.exit(run.stderr[-500:])
        point = json.loads(run.stdout.splitlines()[-1])
        result["points"].append({"axis": axis, "value": value, **point})
        print(axis, value, point, flush=True)
        RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
