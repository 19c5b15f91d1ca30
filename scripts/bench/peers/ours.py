"""This package, used as in its own scripts."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from minitransformer import GPT, GPTConfig, generate, make_optimizer, plain_step
from minitransformer.learning.fast_steps import compile_steps
from minitransformer.runs.logs import read_log
from minitransformer.runs.saving import named_weights
from scripts.bench.peers.measure import CALL, PAIRS


def train(sizes, meter):
    keras.utils.set_random_seed(1)
    model = GPT(GPTConfig(**sizes.model, use_bias=False))
    optimizer = make_optimizer(model, learning_rate=1e-3)
    run = compile_steps(model, optimizer, seed=1, use_xla=True)
    inputs, targets = map(tf.constant, sizes.batches(CALL))
    stack = inputs, targets, tf.ones(inputs.shape)
    float(run(stack, tf.constant(0), tf.constant(1))[0])
    meter.stepped()
    float(run(stack, tf.constant(1), tf.constant(2))[0])
    since = time.perf_counter()
    for done in range(0, sizes.steps, CALL):
        float(run(stack, tf.constant(done), tf.constant(CALL))[0])
    seconds = time.perf_counter() - since
    meter.timed(sizes.steps * inputs[0].shape.num_elements(), seconds)


def recipe(sizes, meter, text, seed):
    """Run `train_gpt.py --recipe quick`, and read the times from its log."""
    script = Path(__file__).parents[2] / "train_gpt.py"
    with tempfile.TemporaryDirectory() as folder:
        source, run = Path(folder, "text.txt"), Path(folder, "run")
        source.write_text(text, encoding="utf-8", newline="")
        subprocess.run(
            [
                sys.executable,
                script,
                "--recipe",
                "quick",
                "--text",
                source,
                "--seed",
                str(seed),
                "--out",
                run,
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        rows = read_log(run)
    tokens = sizes.batch_size * sizes.max_len
    made = np.diff([0, *(row.step for row in rows)])
    rates = [row.tokens_per_s for row in rows]
    meter.notes["train_s"] = float(np.sum(made * tokens / rates))
    meter.notes["valid_loss"] = rows[-1].valid_loss


def script(sizes, meter):
    """Time `python scripts/train_gpt.py` until its first steps are done."""
    path = Path(__file__).parents[2] / "train_gpt.py"
    with tempfile.TemporaryDirectory() as folder:
        run, since = Path(folder, "run"), time.time()
        with subprocess.Popen(
            [sys.executable, path, "--steps", "10", "--out", run], stdout=subprocess.DEVNULL
        ) as process:
            while not read_log(run) and process.poll() is None:
                time.sleep(0.05)
            meter.notes["first_step_s"] = time.time() - since
            if process.wait():
                raise RuntimeError(f"{path.name} failed")


def sample(sizes, batch_size):
    model = GPT(GPTConfig(**sizes.model, use_bias=False))
    prompt = np.zeros((batch_size, 1), "int32")
    return lambda: generate(model, prompt, max_new_tokens=sizes.max_len - 1, seed=1)


def weights_of(model):
    """List a GPT's weights as the peers name them, every matrix `(in, out)`.

    Queries, keys and values stand side by side in one matrix. A bias has the
    name of its matrix or norm, and `.bias`.
    """
    given = {name: variable.numpy() for name, variable in named_weights(model).items()}
    found = {"embedding": given["embedding/table"], "positions": given["positions/table"]}

    def take(name, *places):
        for kind, ending in (("", "kernel"), ("", "gain"), (".bias", "bias")):
            parts = [given[f"{p}/{ending}"] for p in places if f"{p}/{ending}" in given]
            if parts:
                found[name + kind] = np.concatenate(parts, axis=-1)

    for i in range(model.config.num_layers):
        here, there = f"blocks.{i}", f"decoder/block_{i}"
        take(f"{here}.attention_norm", f"{there}/attention_norm")
        inside = [f"{there}/self_attention/{n}_dense" for n in ("query", "key", "value", "output")]
        take(f"{here}.query_key_value", *inside[:3])
        take(f"{here}.output", inside[3])
        take(f"{here}.feed_forward_norm", f"{there}/feed_forward_norm")
        for name in ("expand", "contract"):
            take(f"{here}.{name}", f"{there}/feed_forward/{name}_dense")
    take("final_norm", "decoder/final_norm")
    return found


def reference(sizes):
    """Compute what `check` of every peer must compute from the same weights."""
    keras.utils.set_random_seed(1)
    model = GPT(GPTConfig(**sizes.model, use_bias=False))
    for weight in model.trainable_variables:  # else gains of 1 hide a mistake
        weight.assign_add(0.1 * tf.random.normal(weight.shape))
    weights = {f"weights/{name}": array for name, array in weights_of(model).items()}
    inputs, targets = sizes.batches(4)
    logits, prompt = model(inputs[0]).numpy(), inputs[0, :, :3]
    more = sizes.max_len - prompt.shape[1]
    greedy = generate(model, prompt, max_new_tokens=more, temperature=0.0, use_xla=False)
    optimizer = make_optimizer(model, learning_rate=1e-2)
    losses = []
    for i in range(sizes.steps):
        batch = inputs[i % 4], targets[i % 4], tf.ones(targets[0].shape)
        losses.append(float(plain_step(model, optimizer, [batch])[0]))
    found = {"logits": logits, "prompt": prompt, "greedy": greedy, "losses": losses}
    return weights | {name: np.ascontiguousarray(array) for name, array in found.items()}


def products(*matrices):
    @tf.function(jit_compile=True, autograph=False)
    def multiply(x, expand, contract):
        return tf.while_loop(
            lambda i, x: i < PAIRS, lambda i, x: (i + 1, x @ expand @ contract), (0, x)
        )[1]

    matrices = [tf.constant(matrix) for matrix in matrices]
    return lambda: multiply(*matrices).numpy()
