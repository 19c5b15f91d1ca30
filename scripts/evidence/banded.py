"""Measure memory and time of a token that a GPT writes, dense and with a band.

    python scripts/evidence/banded.py

Each point is measured in a process of its own. You can stop the script and start
it again: it keeps the points that it has. The result is docs/evidence/banded.json.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "banded.json"
sys.path.insert(0, str(ROOT))

from scripts.bench.peers.measure import memory  # noqa: E402
from scripts.evidence.dates import about  # noqa: E402

BAND, BATCH, STEPS = 128, 8, 16
FORMS = "dense", "every second block banded", "all blocks banded"
LENGTHS = 512, 2048, 8192


def measure(form, length):
    """Write the last tokens of a window of this length, in this process."""
    import tensorflow as tf

    from minitransformer import GPT, GPTConfig

    band = None if form == "dense" else BAND
    sizes = {"vocab_size": 65, "d_model": 128, "num_heads": 4, "num_layers": 4}
    # Rotary, so that there is no table of positions.
    model = GPT(GPTConfig(**sizes, max_len=length, rotary=True, band=band))
    if form == "all blocks banded":
        for block in model.decoder.blocks:
            block.band = BAND
    before = memory()[0]
    cache = model.start_cache(BATCH)
    tokens = tf.zeros((BATCH, 1), tf.int32)

    @tf.function(jit_compile=True, autograph=False)
    def write(cache, start):
        def step(i, cache, token):
            logits, _, cache = model.forward(token, cache, start + i)
            return i + 1, cache, tf.argmax(logits[:, -1:], axis=-1, output_type=tf.int32)

        return tf.while_loop(lambda i, *_: i < STEPS, step, (0, cache, tokens))[2]

    start, seconds = tf.constant(length - STEPS), []
    for _ in range(6):  # the first call compiles
        begun = time.perf_counter()
        write(cache, start).numpy()
        seconds.append(time.perf_counter() - begun)
    arrays = tf.nest.flatten(cache)
    return {
        "cache_mb": sum(a.shape.num_elements() * a.dtype.size for a in arrays) / 1e6,
        "peak_growth_mb": memory()[1] - before,
        "ms_per_token": 1000 * min(seconds[1:]) / STEPS,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--point", nargs=2, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.point:
        print(json.dumps(measure(flags.point[0], int(flags.point[1]))))
        return
    result = about("python scripts/evidence/banded.py") | {
        "band": BAND,
        "batch": BATCH,
        "points": [],
    }
    if RESULT.is_file():
        result["points"] = json.loads(RESULT.read_text())["points"]
    known = {(p["form"], p["length"]) for p in result["points"]}
    for length in LENGTHS:
        for form in FORMS:
            if (form, length) in known:
                continue
            command = [sys.executable, __file__, "--point", form, str(length)]
            line = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            point = {"form": form, "length": length} | json.loads(line)
            print(point, flush=True)
            result["points"].append(point)
            RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
