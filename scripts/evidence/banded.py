"""Measure the cache and the time of a token that a GPT writes, dense and with a band.

    python scripts/evidence/banded.py

It takes a minute on two quiet cores; --memory leaves out the times, which need quiet.
The result is docs/evidence/banded.json.
"""

import argparse
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "banded.json"
sys.path.insert(0, str(ROOT))

from scripts.evidence.common import about  # noqa: E402

SIZES = {"vocab_size": 65, "d_model": 128, "num_heads": 4, "num_layers": 4}
BAND, BATCH, STEPS, CALLS = 128, 8, 8, 5
LENGTHS = 512, 2048, 8192
FORMS = {"dense": [], "every second block banded": [1, 3], "all blocks banded": [0, 1, 2, 3]}


def make_model(banded):
    """Make a GPT in which these blocks have a band."""
    from minitransformer import GPT, GPTConfig

    # Rotary, so that there is no table of positions.
    model = GPT(GPTConfig(**SIZES, max_len=max(LENGTHS), rotary=True))
    for i in banded:
        model.decoder.blocks[i].band = BAND
    return model


def make_writer(model, length):
    """Make a full cache, and a function that writes the last tokens of the window."""
    import tensorflow as tf

    cache = model.decoder.start_cache(BATCH, length)
    start = tf.constant(length - STEPS)

    @tf.function(jit_compile=True, autograph=False)
    def write(cache, start):
        def step(i, cache, token):
            logits, _, cache = model.forward(token, cache, start + i)
            return i + 1, cache, tf.argmax(logits, axis=-1, output_type=tf.int32)

        first = 0, cache, tf.zeros((BATCH, 1), tf.int32)
        return tf.while_loop(lambda i, *_: i < STEPS, step, first)[2]

    return lambda: write(cache, start).numpy()


def measure_memory(models):
    """Count the bytes of each cache."""
    import tensorflow as tf

    for length in LENGTHS:
        for form, model in models.items():
            cache = model.decoder.start_cache(BATCH, length)
            size = sum(array.numpy().nbytes for array in tf.nest.flatten(cache))
            yield {"form": form, "length": length, "cache_mb": size / 1e6}


def measure_times(models, points):
    """Add the best time per token to each point."""
    for length in LENGTHS:
        writers = [make_writer(model, length) for model in models.values()]
        seconds = [[] for _ in writers]
        for call in range(CALLS + 1):  # in turn: what slows one slows all
            for writer, times in zip(writers, seconds, strict=True):
                begun = time.perf_counter()
                writer()
                if call:  # the first one compiles
                    times.append(time.perf_counter() - begun)
        here = [point for point in points if point["length"] == length]
        for point, times in zip(here, seconds, strict=True):
            point["ms_per_token"] = 1000 * min(times) / STEPS
            print(point, flush=True)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", action="store_true", help="do not measure times")
    flags = parser.parse_args(argv)
    models = {form: make_model(banded) for form, banded in FORMS.items()}
    points = [*measure_memory(models)]
    if not flags.memory:
        measure_times(models, points)
    result = about("python scripts/evidence/banded.py") | {"band": BAND, "batch": BATCH}
    result["points"] = points
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
