"""Two replicas, and a strategy with one, make the same steps as none with the whole batch."""

import json
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import json, sys
sys.path.insert(0, "tests")
import numpy as np, keras, tensorflow as tf
from conftest import make_tiny_gpt
from minitransformer import random_windows, train
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
strategy = tf.distribute.get_strategy()
if sys.argv[1] != "none":
    devices = [f"CPU:{i}" for i in range(int(sys.argv[1]))]
    strategy = tf.distribute.MirroredStrategy(devices)
ids = np.random.default_rng(1).integers(0, 23, 300)
with strategy.scope():
    model = make_tiny_gpt(num_layers=1)
    # Plain descent: Adam would forgive a gradient that is twice as large.
    optimizer = keras.optimizers.SGD(0.05)
    optimizer.build(model.trainable_variables)
    rows = []
    train(
        model, optimizer,
        lambda first: random_windows(
            ids, seq_len=7, batch_size=6, seed=5, first=first
        ),
        steps=8, evaluate=lambda: 0.0, evaluate_every=1, use_xla=True,
        report=rows.append,
    )
print(json.dumps([[row.loss, row.grad_norm] for row in rows]))
"""


def test_two_replicas_equal_one_with_the_whole_batch():
    results = []
    for replicas in ("none", "1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM, replicas], capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr[-2000:]
        results.append(json.loads(run.stdout.splitlines()[-1]))
    for made in results[1:]:
        np.testing.assert_allclose(made, results[0], rtol=2e-4)
