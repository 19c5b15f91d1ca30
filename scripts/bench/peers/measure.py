"""Sizes, operations, seconds and memory, measured alike for every library."""

import os
import sys
import time
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sizes:
    """Sizes of a GPT without biases and of its batches, and the timed steps."""

    vocab_size: int
    max_len: int
    d_model: int
    num_heads: int
    num_layers: int
    batch_size: int
    steps: int

    @property
    def model(self):
        """Arguments of both GPTs, this package's and the one in PyTorch."""
        return {
            "vocab_size": self.vocab_size,
            "max_len": self.max_len,
            "d_model": self.d_model,
            "num_heads": self.num_heads,
            "num_layers": self.num_layers,
        }

    def operations(self):
        """Count the operations of a training step per token.

            6 · (12 · layers · d² + vocab · d)  +  6 · layers · d · window

        A product with a matrix of n entries takes 2n operations forward and
        4n backward. A token attends to half of the window's keys on average,
        in two products. Norms, softmax, GELU and the optimizer are not
        counted.
        """
        matrices = 12 * self.num_layers * self.d_model**2
        matrices += self.vocab_size * self.d_model
        attention = self.num_layers * self.d_model * self.max_len
        return 6 * matrices + 6 * attention

    def batches(self, count):
        """Draw inputs and targets, `(count, batch, window)` each."""
        shape = (count, self.batch_size, self.max_len + 1)
        tokens = np.random.default_rng(1).integers(0, self.vocab_size, shape, dtype="int32")
        return tokens[..., :-1], tokens[..., 1:]


CONFIGS = {"small": Sizes(65, 64, 128, 4, 4, 12, 200), "baby": Sizes(65, 256, 384, 6, 6, 16, 10)}
CHECK = Sizes(29, 16, 24, 3, 2, 5, 20)  # for comparing what peers compute
CALL = 10  # steps per compiled call, as in `train`


def memory():
    """Return how much memory the process uses, and the most it ever used.

    Returns:
        Two numbers, in MB.
    """
    if sys.platform == "linux":
        with open("/proc/self/status") as file:
            status = dict(line.split(":", 1) for line in file)
        return [int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")]
    import resource  # no such module on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak /= 1024**2 if sys.platform == "darwin" else 1024
    return [peak, peak]


class Meter:
    """Record figures of a library: call `imported`, `stepped`, then `timed`."""

    def __init__(self, started):
        self.started, self.notes = started, {}

    def imported(self):
        self.notes["import_s"] = time.time() - self.started
        self.notes["import_mb"] = memory()[0]

    def stepped(self):
        self.notes["first_step_s"] = time.time() - self.started

    def timed(self, tokens, seconds):
        peak = memory()[1]
        self.notes |= {
            "tokens_per_s": tokens / seconds,
            "peak_mb": peak,
            "growth_mb": peak - self.notes["import_mb"],
        }


def seconds_of(write):
    """Time a function: the median of the calls that fit into 4 seconds."""
    write()  # compiles and fills caches
    times = []
    while len(times) < 3 or sum(times) < 4:
        since = time.perf_counter()
        write()
        times.append(time.perf_counter() - since)
    return float(np.median(times))


def matrix_rate(size=2048, seconds=3):
    """Measure NumPy's best rate for a float32 matrix product, in GFLOP/s."""
    a = np.random.default_rng(1).normal(size=(size, size)).astype("float32")
    best, until = 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        since = time.perf_counter()
        a @ a
        best = max(best, 2 * size**3 / (time.perf_counter() - since) / 1e9)
    return best


PAIRS = 20  # of matrix products per call of `products`


def product_rate(products, sizes, rows=768, seconds=2):
    """Measure a library's rate for a feed-forward layer's products, in GFLOP/s.

    `products` takes x `(768, d_model)` and the layer's two matrices, and
    returns a function that multiplies x by both, `PAIRS` times.
    """
    width, normal = sizes.d_model, np.random.default_rng(1).normal
    x, expand, contract = (
        normal(size=shape, scale=shape[0] ** -0.5).astype("float32")
        for shape in ((rows, width), (width, 4 * width), (4 * width, width))
    )
    multiply = products(x, expand, contract)
    multiply()  # compiles
    best, until = 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        since = time.perf_counter()
        multiply()
        done = PAIRS * 2 * 2 * rows * expand.size
        best = max(best, done / (time.perf_counter() - since) / 1e9)
    return best


def differences(computed, reference, tolerance=1e-3):
    """Compare what a peer computed from our weights with what we computed.

    Raises:
        ValueError: if a number differs by more than `tolerance`, or a token
            at all.
    """
    found = {}
    for name, array in computed.items():
        difference = float(np.abs(np.asarray(array) - reference[name]).max())
        if not difference <= tolerance:
            raise ValueError(
                f"{name} differ from this package's by {difference:.3g}, expected at most "
                f"{tolerance}: this peer computes another model, so do not compare its speed."
            )
        found[name] = difference
    return found


def cores():
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()
