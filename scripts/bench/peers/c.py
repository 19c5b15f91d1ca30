"""Our GPT's weights in a C program, `gpt.c`, which generates with a cache."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

FLAGS = ["-O3", "-march=native", "-ffast-math"]
SOURCE = Path(__file__).with_name("gpt.c")


def compiler():
    """Return the C compiler's path, or None."""
    return shutil.which(os.environ.get("CC", "cc"))


def build(folder):
    """Compile `gpt.c`, with OpenMP if the compiler has it; return the program."""
    program = Path(folder, "gpt")
    for parallel in (["-fopenmp"], []):
        command = [compiler(), *FLAGS, *parallel, str(SOURCE), "-lm", "-o", str(program)]
        result = subprocess.run(command, capture_output=True, text=True)
        if not result.returncode:
            return program
    raise RuntimeError(f"{' '.join(command)} failed: {result.stderr.strip()}")


def export(sizes, weights, path):
    """Write weights as `gpt.c` reads them; what has no bias gets zeros.

    Args:
        sizes: Six whole numbers, in the order of the header.
        weights: Arrays by name, as `ours.weights_of` returns them.
    """
    _, _, d_model, _, num_layers, d_ff = sizes

    def with_bias(name, width):
        return weights[name].T, weights.get(f"{name}.bias", np.zeros(width))

    arrays = [weights["embedding"], weights["positions"]]
    for i in range(num_layers):
        for name, width in (
            ("attention_norm", d_model),
            ("query_key_value", 3 * d_model),
            ("output", d_model),
            ("feed_forward_norm", d_model),
            ("expand", d_ff),
            ("contract", d_model),
        ):
            arrays += with_bias(f"blocks.{i}.{name}", width)
    arrays += with_bias("final_norm", d_model)
    with open(path, "wb") as file:
        file.write(np.array(sizes, "int32").tobytes())
        for array in arrays:
            file.write(np.ascontiguousarray(array, "float32").tobytes())


class Program:
    """The running C program: each call is a line in, and lines out."""

    def __init__(self, sizes, weights):
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name, "weights.bin")
        export(sizes, weights, path)
        self.process = subprocess.Popen(
            [build(self.folder.name), path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def write(self, prompt, max_new_tokens, *, rows=1, temperature=1.0, seed=1):
        """Generate after one prompt; return ids `(rows, prompt + new tokens)`."""
        numbers = [seed, temperature, max_new_tokens, rows, *prompt]
        print(*numbers, file=self.process.stdin, flush=True)
        lines = [self.process.stdout.readline() for _ in range(rows)]
        if not lines[-1]:
            raise ValueError(self.process.stderr.read().strip())
        return np.array([line.split() for line in lines], "int32")

    def close(self):
        self.process.communicate()  # the end of its input ends it
        self.folder.cleanup()


def header(sizes):
    return (*sizes.model.values(), 4 * sizes.d_model)


def sample(sizes, batch_size):
    draw = np.random.default_rng(1).normal
    width, shapes = sizes.d_model, {}
    for i in range(sizes.num_layers):
        shapes |= {
            f"blocks.{i}.attention_norm": (width,),
            f"blocks.{i}.query_key_value": (width, 3 * width),
            f"blocks.{i}.output": (width, width),
            f"blocks.{i}.feed_forward_norm": (width,),
            f"blocks.{i}.expand": (width, 4 * width),
            f"blocks.{i}.contract": (4 * width, width),
        }
    shapes |= {"embedding": (sizes.vocab_size, width), "positions": (sizes.max_len, width)}
    weights = {name: draw(scale=0.02, size=shape) for name, shape in shapes.items()}
    program = Program(header(sizes), weights | {"final_norm": np.ones(width)})
    return lambda: program.write([0], sizes.max_len - 1, rows=batch_size)


def check(sizes, reference):
    weights = {k.removeprefix("weights/"): v for k, v in reference.items() if "/" in k}
    program = Program(header(sizes), weights)
    more = sizes.max_len - reference["prompt"].shape[1]
    rows = [program.write(prompt, more, temperature=0.0)[0] for prompt in reference["prompt"]]
    program.close()
    return {"greedy": np.array(rows)}
