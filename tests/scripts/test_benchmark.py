"""The benchmark's arithmetic, and what it says when a peer is missing."""

import importlib.util

import pytest
from conftest import load_script, make_tiny_gpt

from scripts.bench.peers.measure import CONFIGS, Sizes, matrix_rate, memory


@pytest.fixture
def benchmark():
    return load_script("bench/benchmark")


def test_operations_are_those_of_the_matrices(benchmark):
    sizes = Sizes(23, 10, 12, 3, 2, 4, 1)
    model = make_tiny_gpt(max_len=10, d_ff=48, use_bias=False)
    matrices = sum(
        weight.shape.num_elements()
        for weight in model.trainable_variables
        if len(weight.shape) == 2 and "positions" not in weight.path
    )
    # Half of the keys, on average, in two products, thrice.
    attention = 3 * 2 * 2 * 2 * 12 * 10 / 2
    assert sizes.operations() == 6 * matrices + attention


def test_ratios_are_ours_over_theirs(benchmark):
    chosen = {
        name: benchmark.comparisons()[name]
        for name in ("train/small/pytorch", "memory/small/pytorch", "time_to_peer_loss/pytorch")
    }

    def notes(speed, growth):
        return {"tokens_per_s": speed, "growth_mb": growth}

    def recipe(seconds, loss):
        return {"train_s": seconds, "valid_loss": loss}

    rounds = [
        {
            "rate": {"gflop_per_s": 100},
            "ours/train/small": notes(ours, 50),
            "pytorch/train/small": notes(theirs, 100),
            "ours/recipe/small": recipe(30, loss),
            "pytorch/recipe/small": recipe(60, 1.9),
        }
        for ours, theirs, loss in ((300, 100, 1.8), (200, 100, 1.8), (90, 90, 1.8))
    ]
    result = benchmark.summarize(rounds, chosen)
    assert result["ratios"] == {
        "train/small/pytorch": 2,
        "memory/small/pytorch": 0.5,
        "time_to_peer_loss/pytorch": 0.5,
    }
    assert result["ranges"]["train/small/pytorch"] == [1, 3]
    share = result["medians"]["ours/train/small"]["share_of_rate"]
    assert share == pytest.approx(200 * CONFIGS["small"].operations() / 1e9 / 100)
    # Faster to a worse result is no result.
    for made in rounds:
        made["ours/recipe/small"]["valid_loss"] = 1.95
    worse = benchmark.summarize(rounds, chosen)["ratios"]
    assert "time_to_peer_loss/pytorch" not in worse


def test_a_missing_peer_is_skipped_and_named(benchmark, monkeypatch, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else found(name)
    )
    with pytest.raises(SystemExit, match="bench"):
        benchmark.main(["--only", "train/small/pytorch"])
    assert "torch is not installed" in capsys.readouterr().out


def test_rounds_and_names_are_checked(benchmark):
    for wrong in (["--rounds", "0"], ["--only", "train/huge/pytorch"]):
        with pytest.raises(SystemExit) as stopped:
            benchmark.main(wrong)
        assert stopped.value.code == 2


def test_memory_and_the_rate_are_measured():
    now, most = memory()
    assert 0 < now <= most * 1.01
    assert matrix_rate(size=64, seconds=0.01) > 0
