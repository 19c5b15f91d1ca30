"""Measure one peer in this process: python -m scripts.bench.peers PEER TASK CONFIG.

The last line that it prints has the figures, as JSON.
"""

import importlib
import json
import os
import sys
import time
from pathlib import Path

from scripts.bench.peers.measure import CONFIGS, Meter, matrix_rate, seconds_of


def main(peer, task, config, started=None, text=None, seed=1):
    meter = Meter(float(started or time.time()))
    if task == "rate":
        meter.notes["gflop_per_s"] = matrix_rate()
    else:
        module = importlib.import_module(f"scripts.bench.peers.{peer}")
        sizes = CONFIGS[config]
        meter.imported()
        if task.startswith("sample"):
            batch_size = int(task.removeprefix("sample") or 1)
            tokens = batch_size * (sizes.max_len - 1)
            seconds = seconds_of(module.sample(sizes, batch_size))
            meter.timed(tokens, seconds)
        elif task == "recipe":
            text = Path(text).read_text(encoding="utf-8")
            module.recipe(sizes, meter, text, int(seed))
        else:
            getattr(module, task)(sizes, meter)
    print(json.dumps(meter.notes))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(*sys.argv[1:])
