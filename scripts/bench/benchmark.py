"""Compare the speed of this package with PyTorch, KerasHub and Transformers.

    python scripts/bench/benchmark.py
    python scripts/bench/benchmark.py --only train/small/pytorch --rounds 3

They are measured in turn (A B A B …), each in a process of its own. The results
are medians over all rounds. The extra `bench` installs the other libraries; if
one is missing, the script skips it and prints its name.
"""

if __name__ == "__main__":  # before the slow imports
    from minitransformer.runs.signals import begin

    begin()

import argparse
import importlib.util
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from minitransformer.runs.signals import children, last_words  # noqa: E402
from scripts.bench.peers.measure import CONFIGS, cores  # noqa: E402

PACKAGES = {
    "ours": ["tensorflow", "keras"],
    "pytorch": ["torch"],
    "keras_hub": ["keras_hub"],
    "transformers_gpt2": ["transformers", "torch"],
}
SPEED, GROWTH, SECONDS = "tokens_per_s", "growth_mb", "train_s"


def comparisons():
    """List name → (our job, their job, the figure that is compared).

    A job is (peer, task, configuration).
    """
    table = {}
    for config in CONFIGS:
        train = ("ours", "train", config)
        for name, peer, task in (
            ("pytorch", "pytorch", "train"),
            ("keras_hub", "keras_hub", "train"),
            ("keras_hub_xla", "keras_hub", "train_xla"),
        ):
            table[f"train/{config}/{name}"] = (train, (peer, task, config), SPEED)
        # A batch of 32 of baby, without a cache, would take an hour.
        for size in ("", "32") if config == "small" else ("",):
            for name, peer in (("transformers", "transformers_gpt2"), ("pytorch", "pytorch")):
                table[f"sample{size}/{config}/{name}"] = (
                    ("ours", f"sample{size}", config),
                    (peer, f"sample{size}", config),
                    SPEED,
                )
        table[f"memory/{config}/pytorch"] = (train, ("pytorch", "train", config), GROWTH)
    table["time_to_peer_loss/pytorch"] = (
        ("ours", "recipe", "small"),
        ("pytorch", "recipe", "small"),
        SECONDS,
    )
    return table


def parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="RATIO",
        choices=list(comparisons()),
        help="measure only these ratios: " + ", ".join(comparisons()),
    )
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds (default: 5)")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write all figures to this file, and add rounds to those in it",
    )
    parser.add_argument(
        "--text",
        type=Path,
        help="text for both recipes (default: tiny Shakespeare, downloaded once)",
    )
    flags = parser.parse_args(argv)
    if flags.rounds < 1:
        parser.error(f"--rounds: found {flags.rounds}, expected 1 or more")
    return flags


def missing(peer):
    """Return the first missing package of a peer, or None."""
    return next((p for p in PACKAGES[peer] if not importlib.util.find_spec(p)), None)


def find_text(given):
    """Return a text: the given one, the one beside the clone, or a download."""
    beside = ROOT.parent / "shared" / "data" / "tinyshakespeare.txt"
    if given or beside.is_file():
        return given or beside
    from minitransformer import shakespeare
    from minitransformer.runs.saving import write_atomically

    path = ROOT / "runs" / "tinyshakespeare.txt"
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, shakespeare())
    return path


def run(job, *options):
    """Run one job in its own process; return its figures."""
    # A slower NumPy product would make the shares of its rate look better.
    env = {k: v for k, v in os.environ.items() if k[:9] != "OPENBLAS_"}
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.bench.peers", *job, str(time.time()), *map(str, options)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**env, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    children[:] = [process]
    results, errors = process.communicate()
    if process.returncode:
        last = (errors.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"{' '.join(job)} failed: {last}")
    return json.loads(results.splitlines()[-1])


def summarize(rounds, chosen):
    """Compute the medians of all jobs, and the ratios with their ranges."""
    names = list(dict.fromkeys(job for made in rounds for job in made))
    medians = {}
    for job in names:
        notes = [made[job] for made in rounds if job in made]
        medians[job] = {key: statistics.median(n[key] for n in notes) for key in notes[0]}
    rate = medians["rate"]["gflop_per_s"] if "rate" in medians else None
    for job, notes in medians.items():
        _, task, config, *_ = *job.split("/"), "", ""
        if rate and task.startswith("train"):
            done = notes[SPEED] * CONFIGS[config].operations() / 1e9
            notes["share_of_rate"] = done / rate
    ratios, ranges = {}, {}
    for name, (ours, theirs, figure) in chosen.items():
        ours, theirs = "/".join(ours), "/".join(theirs)
        each = [
            made[ours][figure] / made[theirs][figure]
            for made in rounds
            if ours in made and theirs in made
        ]
        if (
            figure == SECONDS
            and each
            and (medians[ours]["valid_loss"] > medians[theirs]["valid_loss"])
        ):
            continue  # faster, but to a worse loss: not comparable
        if each:
            ratios[name] = medians[ours][figure] / medians[theirs][figure]
            ranges[name] = [min(each), max(each)]
    return {"ratios": ratios, "ranges": ranges, "medians": medians}


def about():
    """Return the machine, its cores, and the versions."""
    versions = {"python": platform.python_version()}
    for package in ("tensorflow", "keras", "torch", "keras-hub", "transformers", "numpy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "machine": platform.processor() or platform.machine(),
        "cores": cores(),
        "versions": versions,
    }


def show(result):
    for job, notes in result["medians"].items():
        print(
            f"{job:34s}",
            ", ".join(
                f"{key} {value:,.3g}" if value < 1000 else f"{key} {value:,.0f}"
                for key, value in notes.items()
            ),
        )
    print()
    for name, ratio in result["ratios"].items():
        low, high = result["ranges"][name]
        print(f"{name:34s} {ratio:6.2f}   ({low:.2f} … {high:.2f})")


def main(argv=None):
    flags = parse(argv)
    chosen = comparisons()
    if flags.only:
        chosen = {name: chosen[name] for name in flags.only}
    skipped = {}
    for name, (_, (peer, *_), _) in list(chosen.items()):
        if lacks := missing(peer):
            skipped[name] = lacks
            del chosen[name]
    for name, lacks in skipped.items():
        print(f"Skipped {name}: {lacks} is not installed.")
    if not chosen:
        sys.exit('No other library is installed. Run: pip install -e ".[bench]"')
    jobs = list(dict.fromkeys(job for ours, theirs, _ in chosen.values() for job in (theirs, ours)))
    jobs = [("numpy", "rate", "-"), *jobs]
    if not flags.only:
        jobs.append(("ours", "script", "small"))
    text = None
    if SECONDS in [figure for *_, figure in chosen.values()]:
        try:
            text = find_text(flags.text)
        except OSError as error:
            sys.exit(f"error: {error}")
    rounds = []
    if flags.json and flags.json.is_file():
        rounds = json.loads(flags.json.read_text())["rounds"]
    last_words.append("Stopped. If you gave --json, start again to resume.")
    try:
        for number in range(len(rounds), flags.rounds):
            made = {}
            for i, job in enumerate(jobs):
                label = "rate" if job[1] == "rate" else "/".join(job)
                print(
                    f"round {number + 1} of {flags.rounds}, {i + 1} of {len(jobs)}: {label}",
                    flush=True,
                )
                options = (text, number + 1) if job[1] == "recipe" else ()
                made[label] = run(job, *options)
            rounds.append(made)
            result = {
                "command": shlex.join(
                    ["python", "scripts/bench/benchmark.py", *(argv or sys.argv[1:])]
                ),
                **about(),
                **summarize(rounds, chosen),
                "skipped": skipped,
                "rounds": rounds,
            }
            if flags.json:
                flags.json.write_text(json.dumps(result, indent=1) + "\n")
    except RuntimeError as error:
        sys.exit(str(error))
    show({**summarize(rounds, chosen)})


if __name__ == "__main__":
    main()
