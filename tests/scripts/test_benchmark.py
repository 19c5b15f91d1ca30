"""The benchmark's arithmetic, and what it says when a peer is missing."""

import importlib.util
import json
import shutil
import time

import numpy as np
import pytest
from conftest import ROOT, load_script, make_tiny_gpt

from scripts.bench.peers.measure import (
    CONFIGS,
    Sizes,
    differences,
    matrix_rate,
    memory,
    product_rate,
)


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


def test_a_ratio_and_the_fastest_peer_come_from_rounds_that_have_both(benchmark):
    def speeds(**speed):
        return {
            f"{peer}/train/small": {"tokens_per_s": value, "growth_mb": 1}
            for peer, value in speed.items()
        }

    rounds = [
        speeds(ours=900, keras_hub=10),  # a faster day, without PyTorch
        speeds(ours=200, pytorch=100, jax=150),
        speeds(ours=300, pytorch=100, jax=250),
    ]
    result = benchmark.summarize(rounds, benchmark.known(rounds))
    assert result["ratios"] == {
        "train/small/pytorch": 2.5,
        "train/small/jax": pytest.approx((200 / 150 + 300 / 250) / 2),
        "train/small/keras_hub": 90,
        "memory/small/pytorch": 1,
    }
    assert result["fastest"] == {"train/small": "jax"}


def test_a_missing_peer_is_skipped_and_named(benchmark, monkeypatch, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("torch", "jax") else found(name)
    )
    monkeypatch.setattr(shutil, "which", lambda name: None)
    peers = ["pytorch", "jax", "pytorch_compile", "c"]
    with pytest.raises(SystemExit, match="bench"):
        benchmark.main(["--only", "train/small", "sample", "--peers", *peers])
    said = capsys.readouterr().out
    assert "Skipped train/small/pytorch: torch is not installed." in said
    assert "Skipped train/small/jax: jax is not installed." in said
    assert "Skipped sample/baby/c: a C compiler (cc) is not installed." in said
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    assert benchmark.missing("pytorch_compile").startswith("a C++ compiler (")


def test_rounds_and_names_are_checked(benchmark):
    for wrong in (
        ["--rounds", "0"],
        ["--only", "train/huge"],
        ["--only", "trai"],
        ["--peers", "numpy"],
        ["--only", "sample", "--peers", "jax"],
    ):
        with pytest.raises(SystemExit) as stopped:
            benchmark.main(wrong)
        assert stopped.value.code == 2, wrong


@pytest.fixture
def jobs(benchmark, monkeypatch):
    """Replace all jobs by a list of their names."""
    asked = []

    def run(job, *options):
        asked.append("/".join(job))
        return {"gflop_per_s": 100, "tokens_per_s": len(asked), "growth_mb": 1}

    monkeypatch.setattr(benchmark, "run", run)
    monkeypatch.setattr(benchmark, "missing", lambda peer: None)
    return asked


def test_a_stopped_benchmark_continues_where_it_was(benchmark, jobs, tmp_path):
    file = tmp_path / "figures.json"
    file.write_text('{"machines": {"another": {"rounds": [], "cores": 7}}}')
    flags = ["--only", "train/small", "--peers", "pytorch", "jax", "--rounds", "2"]
    flags += ["--json", str(file), "--machine", "this"]
    train = [f"{peer}/train/small" for peer in ("pytorch", "ours", "jax")]
    round_1 = ["numpy/rate/-", *train]
    checks = ["ours/reference/check", "pytorch/check/check", "jax/check/check"]

    run, left = benchmark.run, [5]  # after three checks and two jobs

    def run_a_few(job, *options):
        if not left[0]:
            raise RuntimeError("stopped")
        left[0] -= 1
        return run(job, *options)

    benchmark.run = run_a_few
    with pytest.raises(SystemExit, match="stopped"):
        benchmark.main(flags)
    assert jobs == checks + round_1[:2]
    benchmark.run = run
    benchmark.main(flags)
    # No check again; the second round goes in the opposite order.
    assert jobs == checks + round_1 + round_1[::-1]
    benchmark.main(flags)
    assert len(jobs) == 11
    machines = json.loads(file.read_text())["machines"]
    assert machines["another"] == {"rounds": [], "cores": 7}
    assert [{*made} for made in machines["this"]["rounds"]] == 2 * [{"rate", *train}]
    assert "unfinished" not in machines["this"]
    # With another peer, there are new rounds: the old ones were made on another day.
    benchmark.main([*flags[:-4], "--json", str(file), "--machine", "this", "--peers", "jax"])
    assert len(jobs) == 11
    benchmark.main([*flags[:-4], "--json", str(file), "--machine", "this", "--peers", "keras_hub"])
    assert len(json.loads(file.read_text())["machines"]["this"]["rounds"]) == 4
    benchmark.main([*flags, "--again"])
    assert len(json.loads(file.read_text())["machines"]["this"]["rounds"]) == 2


def test_a_file_that_cannot_be_continued_is_refused(benchmark, jobs, tmp_path):
    file = tmp_path / "figures.json"
    flags = ["--only", "train/small/pytorch", "--json", str(file), "--machine", "this"]
    for text in ("no JSON", "[]", "{}"):
        file.write_text(text)
        with pytest.raises(SystemExit, match="found no table of machines"):
            benchmark.main(flags)
    file.write_text('{"machines": {"this": {"rounds": [], "versions": {"python": "2.7"}}}}')
    with pytest.raises(SystemExit, match=r"found rounds with python 2.7, expected 3"):
        benchmark.main(flags)
    assert not jobs


def test_a_peer_that_computes_something_else_is_refused():
    reference = {"losses": np.array([3.0, 2.0]), "greedy": np.array([[1, 2]])}
    assert differences({"losses": [3.0, 2.0005]}, reference) == {"losses": pytest.approx(5e-4)}
    for wrong in ({"losses": [3.0, 2.01]}, {"losses": [3.0, np.nan]}, {"greedy": [[1, 3]]}):
        with pytest.raises(ValueError, match="expected at most"):
            differences(wrong, reference)


def test_the_stored_ratios_are_those_of_the_stored_rounds(benchmark):
    machines = json.loads((ROOT / "docs/evidence/benchmark.json").read_text())["machines"]
    assert any(place["rounds"] for place in machines.values())
    for name, place in machines.items():
        assert place["rounds"] or place["reported"], name
        if place["rounds"]:
            result = benchmark.summarize(place["rounds"], benchmark.known(place["rounds"]))
            for kind in ("ratios", "ranges", "fastest"):
                assert result[kind] == place[kind], (name, kind)
            for task, peer in place["fastest"].items():
                others = [
                    ratio
                    for other, ratio in place["ratios"].items()
                    if other.rsplit("/", 1)[0] == task
                ]
                assert place["ratios"][f"{task}/{peer}"] == min(others)


def test_the_page_claims_what_was_measured():
    machines = json.loads((ROOT / "docs/evidence/benchmark.json").read_text())["machines"]
    first, second = [*machines.values()][:2]
    page = (ROOT / "docs/guides/speed.md").read_text("utf-8").split("## In short")
    for part, peers in ((page[0], ["pytorch"]), (page[1], ["pytorch", "keras_hub_xla"])):
        for peer in peers:
            small, baby = (first["ratios"][f"train/{size}/{peer}"] for size in ("small", "baby"))
            assert f"{small:.2f}" in part
            assert f"{baby:.2f}" in part
    assert first["fastest"]["train/small"] == first["fastest"]["train/baby"] == "keras_hub_xla"
    low, high = second["ranges"]["train/baby/pytorch"]
    assert f"{second['ratios']['train/small/pytorch']} and {low:.2f} to {high:.2f}" in page[0]


def test_memory_and_the_rate_are_measured():
    now, most = memory()
    assert 0 < now <= most * 1.01
    assert matrix_rate(size=64, seconds=0.01) > 0


def test_the_rate_of_products_counts_two_operations_per_product(monkeypatch):
    sizes, seconds = CONFIGS["small"], iter([0, 0, 0, 2, 9])  # a product of 2 s, and the end
    monkeypatch.setattr(time, "perf_counter", lambda: next(seconds))
    shapes = []

    def products(*matrices):
        shapes.extend(matrix.shape for matrix in matrices)
        return lambda: None

    found = product_rate(products, sizes, rows=7, seconds=1)
    assert shapes == [(7, 128), (128, 512), (512, 128)]
    assert found == pytest.approx(20 * 2 * 2 * 7 * 128 * 512 / 2 / 1e9)
