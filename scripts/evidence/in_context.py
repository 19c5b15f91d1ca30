"""Train small GPTs that must find each sequence's rule in the sequence itself.

    python scripts/evidence/in_context.py

Two tasks, three models, three seeds. You can stop it and start it again: it keeps
finished trainings. The result is docs/evidence/in_context.json.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "in_context.json"
sys.path.insert(0, str(ROOT))

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

import minitransformer as mt  # noqa: E402
from minitransformer.models import gpt as gpt_module  # noqa: E402
from scripts.evidence.common import about, finish  # noqa: E402

SEQ, LETTERS = 32, 8  # ids 0 to 7 are small letters, 8 to 15 are capitals
SIZES = {"vocab_size": 2 * LETTERS, "max_len": SEQ, "d_model": 64, "num_heads": 4, "rotary": True}
SHORTEST, LONGEST = 6, 16  # of the part that is repeated
DIMENSIONS = 3  # of x in the linear regression
MODELS = {  # number of blocks, and whether they have feed-forward layers
    "one block, attention only": (1, False),
    "two blocks, attention only": (2, False),
    "two blocks, with feed-forward": (2, True),
}
BATCH, TEST, TEST_SEED = 64, 256, 10**6
SCORE = 0.3  # a head of a kind has at least this score


class Nothing(keras.layers.Layer):
    """A feed-forward layer that adds nothing to the residual stream."""

    def __init__(self, name, **options):
        super().__init__(name=name)
        self.activation = tf.identity

    def call(self, x):
        return 0.0 * x  # and a gradient of 0 for the norm before it


class Regressor(keras.Model):
    """A GPT that reads vectors `(batch, seq, DIMENSIONS + 1)` and predicts numbers."""

    def __init__(self, gpt):
        super().__init__(name="regressor")
        self.input_dense = keras.layers.Dense(gpt.config.d_model)
        self.decoder = gpt.decoder
        self.output_dense = keras.layers.Dense(1)
        self(tf.zeros((1, 1, DIMENSIONS + 1)))

    def call(self, x):
        hidden, _, _ = self.decoder(self.input_dense(x))
        return self.output_dense(hidden)


def make_model(name, task):
    """Make a GPT with or without feed-forward layers, for a task."""
    num_layers, feed_forward = MODELS[name]
    parts = {} if feed_forward else {"feed_forward": Nothing}
    with mock.patch.object(gpt_module, "Decoder", partial(mt.Decoder, **parts)):
        gpt = mt.GPT(mt.GPTConfig(num_layers=num_layers, **SIZES))
    for weight in gpt.trainable_variables:
        if len(weight.shape) == 2:  # from N(0, 0.02²), too small for so narrow a model
            weight.assign(weight / 0.02 / SIZES["d_model"] ** 0.5)
    return Regressor(gpt) if task == "regression" else gpt


def repeats(seed, batch):
    """Random letters, again and again: f q b f q b f ▯."""
    period = tf.random.stateless_uniform((batch, 1), seed, SHORTEST, LONGEST + 1, tf.int32)
    part = tf.random.stateless_uniform((batch, LONGEST), seed + 1, 0, 2 * LETTERS, tf.int32)
    ids = tf.gather(part, tf.range(SEQ + 1) % period, batch_dims=1)
    known = tf.range(1, SEQ + 1) >= period  # the target has been read before
    return ids[:, :-1], ids[:, 1:], tf.cast(known, tf.float32)


def letters(seed, batch):
    """Small letters and their capitals under a new rule: a Q b C a ▯."""
    rule = tf.random.stateless_uniform((batch, LETTERS), seed, LETTERS, 2 * LETTERS, tf.int32)
    small = tf.random.stateless_uniform((batch, SEQ // 2), seed + 1, 0, LETTERS, tf.int32)
    capitals = tf.gather(rule, small, batch_dims=1)
    ids = tf.reshape(tf.stack([small, capitals], axis=2), (batch, SEQ))
    return ids, tf.roll(ids, -1, axis=1), questions(batch)


def sequences(seed, batch):
    """Repeats in one half of the batch, letters in the other."""
    halves = zip(repeats(seed, batch // 2), letters(seed + 2, batch // 2), strict=True)
    return tuple(tf.concat(half, axis=0) for half in halves)


def regression(seed, batch):
    """Pairs of a vector x and y = w · x, with a new w: x y x y x ▯."""
    x = tf.random.stateless_normal((batch, SEQ // 2, DIMENSIONS), seed)
    y = x @ tf.random.stateless_normal((batch, DIMENSIONS, 1), seed + 1)
    question = tf.concat([x, tf.zeros_like(y)], axis=2)
    answer = tf.concat([tf.zeros_like(x), y], axis=2)
    vectors = tf.reshape(tf.stack([question, answer], axis=2), (batch, SEQ, DIMENSIONS + 1))
    return vectors, tf.roll(vectors[..., -1], -1, axis=1), questions(batch)


def questions(batch):
    """Weights: every second position asks for the answer that follows."""
    return tf.tile([[1.0, 0.0]], (batch, SEQ // 2))


def squared_error(outputs, targets, weights):
    """Sum the squared errors that count, and the weights: a loss for `train`."""
    return tf.reduce_sum((outputs[..., 0] - targets) ** 2 * weights), tf.reduce_sum(weights)


TASKS = {"sequences": sequences, "regression": regression}


def make_batches(task, seed, first):
    """Make an endless dataset of new sequences, from batch `first` on."""
    numbers = tf.data.Dataset.range(first, TEST_SEED)
    return numbers.map(lambda n: TASKS[task](tf.stack([n, seed]), BATCH))


def accuracy(logits, targets, weights):
    """Return the share of right answers."""
    hits, count = mt.masked_accuracy(logits, targets, weights)
    return float(hits / count)


def without(model, test, heads):
    """Return the accuracy when heads, pairs of block and number, are set to their means."""
    edits = {}
    for block in {block for block, _ in heads}:
        cut = np.zeros((SIZES["num_heads"], 1, 1), bool)
        cut[[head for b, head in heads if b == block]] = True
        edits[f"block{block}.self.heads"] = partial(set_to_mean, cut)
    logits = mt.capture(model, test[0], ["logits"], edits)["logits"]
    return accuracy(logits, *test[1:])


def set_to_mean(cut, outputs):
    """Give some heads, for all texts and positions, the mean of their outputs."""
    mean = tf.reduce_mean(outputs, axis=(0, 2), keepdims=True)
    return tf.where(cut, mean, outputs)  # (batch, heads, query, head_dim)


def look_inside(model, tests):
    """Measure a model of sequences: its loss, its answers, its heads."""
    found = {}
    for name, test in tests.items():
        logits = model(test[0])
        loss, count = mt.masked_cross_entropy(logits, *test[1:])
        found[name] = {"loss": float(loss / count), "accuracy": accuracy(logits, *test[1:])}
    ids = tests["repeats"][0]
    scores = [mt.head_scores(weights, ids) for weights in model.attention_maps(ids)]
    for kind in ("previous", "induction"):
        found[kind] = [score[kind].tolist() for score in scores]
    return found


def take_apart(model, found, tests):
    """Measure accuracies by the number of examples, and without some heads."""
    ids, targets, _ = tests["letters"]
    hits = model.predict_on_batch(ids).argmax(-1) == targets
    groups = {"none": [], "induction heads": [], "previous-token heads": [], "all others": []}
    for block, scores in enumerate(zip(found["previous"], found["induction"], strict=True)):
        for head, (previous, induction) in enumerate(zip(*scores, strict=True)):
            kind = "induction heads" if induction >= SCORE else "all others"
            kind = "previous-token heads" if previous >= SCORE else kind
            groups[kind].append((block, head))
    return {
        "by_examples": np.mean(hits[:, ::2], axis=0).tolist(),
        "heads": groups,
        "without": {
            name: {group: without(model, test, heads) for group, heads in groups.items()}
            for name, test in tests.items()
        },
    }


def least_squares(test):
    """Return the mean squared error of least squares, by the number of examples."""
    vectors, targets, _ = (array.numpy() for array in test)
    x, y = vectors[:, ::2, :-1], targets[:, ::2]
    errors = []
    for k in range(SEQ // 2):
        w = np.linalg.pinv(x[:, :k]) @ y[:, :k, None]  # 0 without examples
        errors.append(float(np.mean((np.sum(x[:, k] * w[..., 0], axis=1) - y[:, k]) ** 2)))
    return errors


def measure(task, name, seed, steps):
    """Train one model, and measure it on the way and at the end."""
    keras.utils.set_random_seed(seed)
    model = make_model(name, task)
    schedule = mt.WarmupCosine(peak=3e-3, final=3e-4, warmup_steps=50, steps=steps)
    test_seed = tf.constant([TEST_SEED, 0], tf.int64)
    test = regression(test_seed, TEST)
    tests = {"repeats": repeats(test_seed, TEST), "letters": letters(test_seed + 2, TEST)}
    loss = squared_error if task == "regression" else mt.masked_cross_entropy
    curve = []

    def evaluate():
        if task == "sequences":
            curve.append(look_inside(model, tests))
            return curve[-1]["repeats"]["loss"]
        error, count = loss(model(test[0]), *test[1:])
        curve.append({"loss": float(error / count)})
        return curve[-1]["loss"]

    evaluate()
    made = mt.train(
        model,
        mt.make_optimizer(model, learning_rate=schedule, weight_decay=0.0),
        partial(make_batches, task, seed),
        steps=steps,
        evaluate=evaluate,
        evaluate_every=steps // 20,
        seed=seed,
        loss=loss,
    )
    finish(made, steps)
    result = {"curve": curve}
    if task == "sequences":
        return result | take_apart(model, curve[-1], tests)
    errors = (model(test[0])[..., 0] - test[1])[:, ::2] ** 2
    return result | {"by_examples": np.mean(errors, axis=0).tolist()}


def rounded(value):
    """Round the numbers of a result to four digits."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=RESULT)
    flags = parser.parse_args(argv)
    result = about("python scripts/evidence/in_context.py") | {"steps": flags.steps}
    test = regression(tf.constant([TEST_SEED, 0], tf.int64), TEST)
    result |= {"least_squares": rounded(least_squares(test)), "runs": {}}
    if flags.out.is_file():
        stored = json.loads(flags.out.read_text("utf-8"))
        if stored["steps"] != flags.steps:
            sys.exit(f"error: {flags.out} has {stored['steps']} steps: give another --out")
        result["runs"] = stored["runs"]
    for seed in flags.seeds:
        for task in TASKS:
            for name in MODELS:
                found = result["runs"].setdefault(task, {}).setdefault(name, {})
                if str(seed) in found:
                    continue
                found[str(seed)] = rounded(measure(task, name, seed, flags.steps))
                last = found[str(seed)]["curve"][-1]
                print(f"{task}, {name}, seed {seed}: {json.dumps(last)}", flush=True)
                flags.out.write_text(json.dumps(result) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
