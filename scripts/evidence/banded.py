"""Measure the cache and the time of a token that a GPT writes, dense and with a band.

    python scripts/evidence/banded.py

It takes a minute on two quiet cores. The result is docs/evidence/banded.json.
"""

import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "banded.json"
sys.path.insert(0, str(ROOT))

from scripts.evidence.dates import about  # noqa: E402

SIZES = {"vocab_size": 65, "d_model": 128, "num_heads": 4, "num_layers": 4}
BAND, BATCH, STEPS, CALLS = 128, 8, 8, 5
LENGTHS = 512, 2048, 8192
FORMS = {"dense": [], "every second block banded": [1, 3], "all blocks banded": [0, 1, 2, 3]}


def prepare(banded, length):
    """Make a full cache, and a function that writes the last tokens of the window."""
    import tensorflow as tf

    from minitransformer import GPT, GPTConfig

    # Rotary, so that there is no table of positions.
    model = GPT(GPTConfig(**SIZES, max_len=length, rotary=True))
    for i in banded:
        model.decoder.blocks[i].band = BAND
    cache, start = model.start_cache(BATCH), tf.constant(length - STEPS)

    @tf.function(jit_compile=True, autograph=False)
    def write(cache, start):
        def step(i, cache, token):
            logits, _, cache = model.forward(token, cache, start + i)
            return i + 1, cache, tf.argmax(logits, axis=-1, output_type=tf.int32)

        first = 0, cache, tf.zeros((BATCH, 1), tf.int32)
        return tf.while_loop(lambda i, *_: i < STEPS, step, first)[2]

    size = sum(a.numpy().nbytes for a in tf.nest.flatten(cache))
    return lambda: write(cache, start).numpy(), size


def main():
    result = about("python scripts/evidence/banded.py") | {"band": BAND, "batch": BATCH}
    result["points"] = []
    for length in LENGTHS:
        calls, points = [], []
        for form, banded in FORMS.items():
            call, size = prepare(banded, length)
            call()  # compiles
            calls.append(call)
            points.append({"form": form, "length": length, "cache_mb": size / 1e6})
        seconds = [[] for _ in calls]
        for _ in range(CALLS):  # in turn: what slows the machine slows all of them
            for call, times in zip(calls, seconds, strict=True):
                begun = time.perf_counter()
                call()
                times.append(time.perf_counter() - begun)
        for point, times in zip(points, seconds, strict=True):
            point["ms_per_token"] = 1000 * min(times) / STEPS
            print(point, flush=True)
        result["points"] += points
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
