"""This package, used as in its own scripts."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from minitransformer import GPT, GPTConfig, generate, make_optimizer
from minitransformer.learning.fast_steps import compile_steps
from minitransformer.runs.logs import read_log
from scripts.bench.peers.measure import CALL


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
