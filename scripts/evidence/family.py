"""Exchange one part of a small GPT-2 at a time for Llama's, and train it.

    python scripts/evidence/family.py

All models learn Python's own documentation: first for the same number of steps,
then for the same time, as far as steps of ten allow. Other programs would change
the times. You can stop it and start it again: it keeps finished trainings. The
result is docs/evidence/family.json.
"""

import argparse
import functools
import itertools
import json
import statistics
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "family.json"
sys.path.insert(0, str(ROOT))

from scripts.evidence.common import about, finish  # noqa: E402

# Options of the model, and options of its decoder.
MODELS = {
    "GPT-2": ({}, {}),
    "no biases": ({"use_bias": False}, {}),
    "RMSNorm": ({}, {"norm": "RMSNorm"}),
    "SwiGLU": ({"d_ff": 344}, {"feed_forward": "GatedFeedForward", "activation": "silu"}),
    "rotary positions": ({"rotary": True}, {}),
    "grouped queries": ({}, {"num_kv_heads": 2}),
}
MODELS["all five"] = tuple(
    functools.reduce(dict.__or__, options) for options in zip(*MODELS.values(), strict=True)
)
SIZES = {"max_len": 64, "d_model": 128, "num_heads": 4, "num_layers": 4}


def make(name, vocab_size):
    """Make a GPT with some of its parts exchanged."""
    import minitransformer as mt
    from minitransformer.models import gpt

    options, parts = MODELS[name]
    parts = {key: getattr(mt, str(value), value) for key, value in parts.items()}
    config = mt.GPTConfig(vocab_size=vocab_size, **SIZES, **options)

    def decoder(**given):
        return mt.Decoder(**(given | parts))

    with mock.patch.object(gpt, "Decoder", decoder):
        return mt.GPT(config)


def measure(name, corpus, steps, seed):
    """Train one model; return its losses and its time per step."""
    import keras

    import minitransformer as mt

    vocab_size, ids, valid_ids = corpus
    keras.utils.set_random_seed(seed)
    model = make(name, vocab_size)
    schedule = mt.WarmupCosine(peak=1e-3, final=1e-4, warmup_steps=steps // 10, steps=steps)
    mean_loss = mt.compile_evaluation(model, use_xla=True)
    valid = mt.consecutive_windows(valid_ids, seq_len=SIZES["max_len"], batch_size=32)
    rows, times = [], [time.process_time()]

    def report(row):
        rows.append(row)
        times.append(time.process_time())

    made = mt.train(
        model,
        mt.make_optimizer(model, learning_rate=schedule),
        lambda first: mt.random_windows(
            ids, seq_len=SIZES["max_len"], batch_size=12, seed=seed, first=first
        ),
        steps=steps,
        evaluate=lambda: mean_loss(valid),
        evaluate_every=steps,
        seed=seed,
        report=report,
    )
    finish(made, steps)
    # Calls of ten steps: the first one compiles, and the last one evaluates.
    processor = np.diff(times)[1:-1] / 10
    return {
        "steps": steps,
        "valid_loss": rows[-1].valid_loss,
        "parameters": model.count_params(),
        "ms_of_processor_per_step": 1000 * float(statistics.median(processor)),
        "ms_per_step": 1000 * min(12 * SIZES["max_len"] / row.tokens_per_s for row in rows[1:]),
    }


def steps_in_the_same_time(models, name, steps):
    """Find how many steps a model makes while GPT-2 makes `steps`."""

    def time_of(model):
        return statistics.median(run["ms_of_processor_per_step"] for run in models[model].values())

    return 10 * round(steps * time_of("GPT-2") / time_of(name) / 10)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path, default=RESULT)
    flags = parser.parse_args()
    import minitransformer as mt

    text = mt.python_docs()
    place = int(0.9 * len(text))  # the last tenth is for validation
    tokenizer = mt.CharTokenizer.train(text)
    ids, valid_ids = (np.array(tokenizer.encode(part)) for part in (text[:place], text[place:]))
    corpus = tokenizer.vocab_size, ids, valid_ids[:40_000]
    result = about("python scripts/evidence/family.py") | {
        "steps": flags.steps,
        "models": {},  # for equal steps
        "equal_time": {},
    }
    if flags.out.is_file():
        stored = json.loads(flags.out.read_text("utf-8"))
        if stored["steps"] != flags.steps:
            sys.exit(f"error: {flags.out} has {stored['steps']} steps: give another --out")
        result |= {key: stored[key] for key in ("models", "equal_time")}
    models = result["models"]
    for key, seed, name in itertools.product(("models", "equal_time"), flags.seeds, MODELS):
        found = result[key].setdefault(name, {})
        if str(seed) in found:
            continue
        steps = flags.steps
        if key == "equal_time":
            steps = steps_in_the_same_time(models, name, steps)
        same = models[name].get(str(seed), {}).get("steps") == steps
        found[str(seed)] = models[name][str(seed)] if same else measure(name, corpus, steps, seed)
        print(f"{name}, seed {seed}: {found[str(seed)]}", flush=True)
        flags.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
