"""Peers of the benchmark compute what this package computes, from its weights."""

import importlib
import subprocess

import numpy as np
import pytest
from conftest import load_script, make_tiny_gpt

from minitransformer import generate
from scripts.bench.peers import c, ours
from scripts.bench.peers.measure import CHECK, differences

benchmark = load_script("bench/benchmark")
needs_compiler = pytest.mark.skipif(bool(benchmark.missing("c")), reason="no C compiler")


@pytest.fixture(scope="module")
def reference():
    return ours.reference(CHECK)


@pytest.mark.parametrize(
    "peer",
    [
        "pytorch",
        pytest.param("pytorch_compile", marks=pytest.mark.slow),
        "pytorch_cached",
        "jax",
        "c",
    ],
)
def test_a_peer_computes_what_we_compute(peer, reference):
    if lacks := benchmark.missing(peer):
        pytest.skip(lacks)
    module = importlib.import_module(f"scripts.bench.peers.{peer}")
    found = differences(module.check(CHECK, reference), reference)
    assert set(found) == ({"greedy"} if peer in ("c", "pytorch_cached") else {"logits", "losses"})
    changed = reference | {"weights/positions": -reference["weights/positions"]}
    with pytest.raises(ValueError, match="differ from this package's"):
        differences(module.check(CHECK, changed), reference)


@pytest.fixture
def program():
    """A GPT with random biases, and the C program with its weights."""
    model = make_tiny_gpt()  # with biases
    config = model.config
    sizes = [config.vocab_size, config.max_len, config.d_model]
    sizes += [config.num_heads, config.num_layers, config.d_ff]
    program = c.Program(sizes, ours.weights_of(model))
    yield model, program
    program.process.kill()
    program.close()


@needs_compiler
def test_the_c_program_writes_what_a_gpt_with_biases_writes(program):
    model, program = program
    for prompt in ([5], [2, 7, 1, 0]):
        more = 11 - len(prompt)
        expected = generate(
            model, [prompt], max_new_tokens=more, temperature=0.0, use_xla=False
        ).tolist()
        assert program.write(prompt, more, temperature=0.0).tolist() == expected
        # Several rows at once are the same text, each with a cache of its own.
        assert program.write(prompt, more, temperature=0.0, rows=3).tolist() == 3 * expected


@needs_compiler
def test_the_c_program_draws_by_the_models_probabilities(program):
    model, program = program
    drawn = program.write([3, 1], 1, rows=4000, temperature=1.7, seed=5)[:, 2]
    logits = model(np.array([[3, 1]])).numpy()[0, -1].astype("float64") / 1.7
    expected = np.exp(logits - logits.max())
    expected /= expected.sum()
    shares = np.bincount(drawn, minlength=len(expected)) / len(drawn)
    # Four standard deviations.
    assert (np.abs(shares - expected) < 4 * np.sqrt(expected / len(drawn)) + 1e-3).all()
    again = program.write([3, 1], 1, rows=4000, temperature=1.7, seed=6)[:, 2]
    assert (again != drawn).any()


@needs_compiler
@pytest.mark.parametrize(
    ("prompt", "more", "said"),
    [
        ([99], 1, "not in the vocabulary"),
        ([1, 2], 10, "up to max_len"),
        ([], 3, "at least one id"),
        ([1] * 12, 0, "longer than max_len"),
    ],
)
def test_the_c_program_names_what_it_cannot_do(program, prompt, more, said):
    with pytest.raises(ValueError, match=said):
        program[1].write(prompt, more)


@needs_compiler
def test_the_c_program_refuses_weights_of_another_size(tmp_path):
    path = tmp_path / "weights.bin"
    for data, said in ((b"12", "no header"), (np.array([3, 4, 6, 2, 1, 24], "int32"), "sizes")):
        path.write_bytes(bytes(data))
        result = subprocess.run([c.build(tmp_path), path], capture_output=True, text=True)
        assert result.returncode == 2
        assert said in result.stderr
