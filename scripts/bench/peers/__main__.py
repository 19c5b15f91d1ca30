"""Measure one peer in this process: python -m scripts.bench.peers PEER TASK CONFIG.

The last line that it prints has the figures, as JSON.
"""

import importlib
import json
import os
import sys
import time
from pathlib import Path

from safetensors.numpy import load_file, save_file

from scripts.bench.peers.measure import (
    CHECK,
    CONFIGS,
    Meter,
    differences,
    matrix_rate,
    product_rate,
    seconds_of,
)


def main(peer, task, config, started=None, file=None, seed=1):
    meter = Meter(float(started or time.time()))
    if task == "rate":
        meter.notes["gflop_per_s"] = matrix_rate()
    else:
        module = importlib.import_module(f"scripts.bench.peers.{peer}")
        sizes = CONFIGS.get(config)
        meter.imported()
        if task.startswith("sample"):
            batch_size = int(task.removeprefix("sample") or 1)
            tokens = batch_size * (sizes.max_len - 1)
            seconds = seconds_of(module.sample(sizes, batch_size))
            meter.timed(tokens, seconds)
        elif task == "products":
            meter.notes["gflop_per_s"] = product_rate(module.products, sizes)
        elif task == "reference":
            save_file(module.reference(CHECK), file)
        elif task == "check":
            reference = load_file(file)
            meter.notes = differences(module.check(CHECK, reference), reference)
        elif task == "recipe":
            text = Path(file).read_text(encoding="utf-8")
            module.recipe(sizes, meter, text, int(seed))
        else:
            getattr(module, task)(sizes, meter)
    print(json.dumps(meter.notes))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(*sys.argv[1:])
