"""Train a small GPT with each of three mistakes in attention, and measure it.

    python scripts/evidence/attention_mistakes.py

Each model is the nano GPT, trained as train_gpt.py does on Python's own
documentation. It can be stopped and started again: finished models are kept.
The result is docs/evidence/attention-mistakes.json.
"""

import argparse
import contextlib
import json
import sys
from pathlib import Path
from unittest import mock

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "attention-mistakes.json"
sys.path.insert(0, str(ROOT))

from scripts.evidence.common import about, finish  # noqa: E402

PLACE = 48  # where the loss is measured with and without the later tokens
CHANGED = 40  # the token whose change no earlier logit may notice


def mistakes():
    """List each mistake: its name, its steps, and how to plant it."""
    import tensorflow as tf

    from minitransformer import attention, masks, multi_head, stacks

    right = attention.scaled_dot_product_attention

    def wide(query, *others, **options):
        """Divide by √d_model: √num_heads more than √head_dim."""
        return right(query / query.shape[1] ** 0.5, *others, **options)

    def over_queries(scores, attention_mask=None):
        """Let each key divide its weight among the queries."""
        scores = tf.where(attention_mask, scores, scores.dtype.min)
        weights = tf.nn.softmax(scores, axis=-2)
        return tf.where(attention_mask, weights, tf.zeros_like(weights))

    def flipped(*sizes, **options):
        return ~masks.causal_mask(*sizes, **options)

    plant = mock.patch.object
    return [
        ("right", 800, contextlib.nullcontext()),
        ("√d_model for √head_dim", 800, plant(multi_head, right.__name__, wide)),
        ("softmax over the queries", 800, plant(attention, "attention_weights", over_queries)),
        ("causal mask flipped", 400, plant(stacks, "causal_mask", flipped)),
    ]


def measure(text, steps, seed):
    """Train a GPT and return its three numbers."""
    import keras

    import minitransformer as mt

    place = int(0.9 * len(text))  # the last tenth is for validation
    tokenizer = mt.CharTokenizer.train(text)
    ids, valid_ids = (np.array(tokenizer.encode(part)) for part in (text[:place], text[place:]))
    keras.utils.set_random_seed(seed)
    model = mt.GPT(mt.GPTConfig.nano(tokenizer.vocab_size))
    seq_len = model.config.max_len
    schedule = mt.WarmupCosine(peak=1e-3, final=1e-4, warmup_steps=steps // 10, steps=steps)
    mean_loss = mt.compile_evaluation(model, use_xla=True)
    valid = mt.consecutive_windows(valid_ids, seq_len=seq_len, batch_size=32)
    losses = []
    made = mt.train(
        model,
        mt.make_optimizer(model, learning_rate=schedule),
        lambda first: mt.random_windows(
            ids, seq_len=seq_len, batch_size=12, seed=seed, first=first
        ),
        steps=steps,
        evaluate=lambda: mean_loss(valid),
        evaluate_every=steps,
        seed=seed,
        report=lambda row: losses.append(row.valid_loss),
    )
    finish(made, steps)
    return {"steps": steps, "valid_loss": losses[-1], **compare(model, valid_ids)}


def compare(model, ids):
    """Measure the same guesses with and without the tokens that follow."""
    windows = np.stack([ids[i : i + 65] for i in range(0, len(ids) - 65, 32)])
    sums, moved = np.zeros(2), 0.0
    for rows in np.array_split(windows, len(windows) // 128):
        whole, targets = np.asarray(model(rows[:, :64])), rows[:, PLACE + 1]
        prefix = np.asarray(model(rows[:, : PLACE + 1]))
        sums += [loss(logits[:, PLACE], targets) for logits in (whole, prefix)]
        rows[:, CHANGED] = (rows[:, CHANGED] + 1) % model.config.vocab_size
        change = np.asarray(model(rows[:, :64]))[:, :CHANGED] - whole[:, :CHANGED]
        moved = max(moved, float(np.abs(change).max()))
    whole, prefix = sums / len(windows)
    return {"whole_window": whole, "prefix_alone": prefix, "earlier_logits_move": moved}


def loss(logits, targets):
    """Add up −ln of the targets' probabilities."""
    logits = logits - logits.max(axis=-1, keepdims=True)
    given = np.take_along_axis(logits, targets[:, None], axis=-1)[:, 0]
    return float(np.sum(np.log(np.exp(logits).sum(axis=-1)) - given))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="of every model, to try the script")
    parser.add_argument("--out", type=Path, default=RESULT)
    flags = parser.parse_args()
    from minitransformer import python_docs

    result = about("python scripts/evidence/attention_mistakes.py") | {
        "seed": flags.seed,
        "models": {},
    }
    if flags.out.is_file():
        stored = json.loads(flags.out.read_text("utf-8"))
        if flags.steps or stored["seed"] != flags.seed:
            sys.exit(f"error: {flags.out} has other steps or seeds: give another --out")
        result["models"] = stored["models"]
    for name, steps, planted in mistakes():
        if name in result["models"]:
            continue
        with planted:
            result["models"][name] = measure(python_docs(), flags.steps or steps, flags.seed)
        print(name, result["models"][name], flush=True)
        text = json.dumps(result, indent=1, ensure_ascii=False)
        flags.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
