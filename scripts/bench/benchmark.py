"""Compare the speed of this package with PyTorch, JAX, KerasHub and a C program.

    python scripts/bench/benchmark.py
    python scripts/bench/benchmark.py --only train/small --peers pytorch jax --rounds 3

All are measured in turn (A B C A B C …), each in a process of its own. In each
round, our figure is divided by the peer's; the result is the median over the
rounds. Before the first round, peers compute a loss, logits or a text from our
weights; they must agree with this package. The extra `bench` installs the other
libraries. If a library or a compiler is missing, the script skips the peer and
prints its name.

With --json, the figures are written after every job. Stop the script when you
like: the same command continues. Each machine has a place of its own in the file.
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
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from minitransformer.runs.saving import write_atomically  # noqa: E402
from minitransformer.runs.signals import children, last_words  # noqa: E402
from scripts.bench.peers.measure import CONFIGS, cores  # noqa: E402

PACKAGES = {
    "ours": ["tensorflow", "keras"],
    "pytorch": ["torch"],
    "pytorch_compile": ["torch"],
    "pytorch_cached": ["torch"],
    "jax": ["jax"],
    "keras_hub": ["keras_hub"],
    "transformers_gpt2": ["transformers", "torch"],
    "c": [],
}
# The variable that names another compiler, and the compiler without it.
COMPILERS = {
    "c": ("CC", "cc", "C"),
    "pytorch_compile": ("CXX", "clang++" if sys.platform == "darwin" else "g++", "C++"),
}
CHECKED = ["pytorch", "pytorch_compile", "pytorch_cached", "jax", "c"]
SPEED, GROWTH, SECONDS, RATE = "tokens_per_s", "growth_mb", "train_s", "gflop_per_s"


def comparisons():
    """List name → (our job, their job, the figure that is compared).

    A job is (peer, task, configuration).
    """
    table = {}
    for config in CONFIGS:
        train = ("ours", "train", config)
        for name, peer, task in (
            ("pytorch", "pytorch", "train"),
            ("pytorch_compile", "pytorch_compile", "train"),
            ("jax", "jax", "train"),
            ("keras_hub", "keras_hub", "train"),
            ("keras_hub_xla", "keras_hub", "train_xla"),
        ):
            table[f"train/{config}/{name}"] = (train, (peer, task, config), SPEED)
        # A batch of 32 of baby, without a cache, would take an hour.
        for size in ("", "32") if config == "small" else ("",):
            for name, peer in (
                ("transformers", "transformers_gpt2"),
                ("pytorch_uncached", "pytorch"),
                ("pytorch_cached", "pytorch_cached"),
                ("c", "c"),
            ):
                table[f"sample{size}/{config}/{name}"] = (
                    ("ours", f"sample{size}", config),
                    (peer, f"sample{size}", config),
                    SPEED,
                )
        table[f"memory/{config}/pytorch"] = (train, ("pytorch", "train", config), GROWTH)
        for peer in ("pytorch", "jax"):
            table[f"products/{config}/{peer}"] = (
                ("ours", "products", config),
                (peer, "products", config),
                RATE,
            )
    table["time_to_peer_loss/pytorch"] = (
        ("ours", "recipe", "small"),
        ("pytorch", "recipe", "small"),
        SECONDS,
    )
    return table


PEERS = sorted({name.split("/")[-1] for name in comparisons()})


def choose(only, peers):
    """Choose comparisons: those whose names begin so, with these peers."""
    return {
        name: jobs
        for name, jobs in comparisons().items()
        if any(f"{name}/".startswith(f"{part}/") for part in only or [name])
        and name.split("/")[-1] in (peers or PEERS)
    }


def parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        help="measure only these, or all whose names begin so (train, train/small): "
        + ", ".join(comparisons()),
    )
    parser.add_argument(
        "--peers", nargs="+", choices=PEERS, metavar="PEER", help="only these: " + ", ".join(PEERS)
    )
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds (default: 5)")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write all figures to this file, and continue what is in it",
    )
    parser.add_argument(
        "--again", action="store_true", help="delete this machine's rounds from the file first"
    )
    parser.add_argument("--machine", default=machine(), help="its name (here: %(default)s)")
    parser.add_argument(
        "--text",
        type=Path,
        help="text for both recipes (default: tiny Shakespeare, downloaded once)",
    )
    flags = parser.parse_args(argv)
    if flags.rounds < 1:
        parser.error(f"--rounds: found {flags.rounds}, expected 1 or more")
    for name in flags.only or ():
        if not choose([name], None):
            parser.error(f"--only: found {name}, expected a name from --help, or its beginning")
    if not choose(flags.only, flags.peers):
        parser.error("--only and --peers: no comparison has both. See --help for the names.")
    return flags


def missing(peer):
    """Return what is missing for a peer, in words, or None."""
    for package in PACKAGES[peer]:
        if not importlib.util.find_spec(package):
            return f"{package} is not installed"
    if peer in COMPILERS:
        variable, usual, language = COMPILERS[peer]
        if not shutil.which(os.environ.get(variable, usual)):
            return f"a {language} compiler ({usual}) is not installed"
    return None


def find_text(given):
    """Return a text: the given one, the one beside the clone, or a download."""
    beside = ROOT.parent / "shared" / "data" / "tinyshakespeare.txt"
    if given or beside.is_file():
        return given or beside
    from minitransformer import shakespeare

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


def check(peers):
    """Let peers compute from our weights what we compute; return the differences."""
    found = {}
    if not peers:
        return found
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "reference.safetensors")
        print("reference: this package", flush=True)
        run(("ours", "reference", "check"), file)
        for peer in peers:
            print(f"check: {peer}", flush=True)
            found[peer] = run((peer, "check", "check"), file)
    return found


def summarize(rounds, chosen):
    """Compute the medians of all jobs, and the ratios with their ranges.

    A ratio is the median over the rounds of our figure divided by theirs.
    """
    names = list(dict.fromkeys(job for made in rounds for job in made))
    medians = {}
    for job in names:
        notes = [made[job] for made in rounds if job in made]
        medians[job] = {key: statistics.median(n[key] for n in notes) for key in notes[0]}
    rate = medians["rate"][RATE] if "rate" in medians else None
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
            ratios[name] = statistics.median(each)
            ranges[name] = [min(each), max(each)]
    return {
        "ratios": ratios,
        "ranges": ranges,
        "fastest": fastest(ratios, chosen),
        "medians": medians,
    }


def fastest(ratios, chosen):
    """Find the fastest peer of each task: the one with the smallest ratio."""
    found = {}
    for name in ratios:
        task, peer = name.rsplit("/", 1)
        if chosen[name][2] == SPEED and ratios[name] <= ratios.get(
            f"{task}/{found.get(task)}", ratios[name]
        ):
            found[task] = peer
    return found


def machine():
    """Name this machine: its processor, the vectors it computes with, its cores."""
    name, abilities = platform.processor() or platform.machine(), []
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = [line.partition(":") for line in info.read_text().splitlines()]
        facts = {key.strip(): value.strip() for key, _, value in lines}
        name = facts.get("model name", name)
        abilities = facts.get("flags", "").split()
    vectors = [
        said for flag, said in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in abilities
    ]
    return ", ".join([" ".join(name.split()), *vectors[:1], f"{cores()} cores"])


def about():
    """Return the cores and the versions."""
    versions = {"python": platform.python_version()}
    for package in ("tensorflow", "keras", "torch", "jax", "keras-hub", "transformers", "numpy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    for peer in COMPILERS:
        if not missing(peer):
            variable, usual, _ = COMPILERS[peer]
            name = os.environ.get(variable, usual)
            said = subprocess.run([name, "--version"], capture_output=True, text=True).stdout
            versions[usual] = (said.splitlines() or ["unknown"])[0]
    return {"cores": cores(), "versions": versions}


def show(name, result):
    for job, notes in result["medians"].items():
        print(
            f"{job:34s}",
            ", ".join(
                f"{key} {value:,.3g}" if value < 1000 else f"{key} {value:,.0f}"
                for key, value in notes.items()
            ),
        )
    print(f"\nThis package divided by the peer, on {name}:")
    for comparison, ratio in result["ratios"].items():
        low, high = result["ranges"][comparison]
        print(f"{comparison:34s} {ratio:6.2f}   ({low:.2f} … {high:.2f})")
    print(f"\nThe fastest peer of each task, on {name}:")
    for task, peer in result["fastest"].items():
        low, high = result["ranges"][f"{task}/{peer}"]
        ratio = result["ratios"][f"{task}/{peer}"]
        print(f"{task:34s} {ratio:6.2f}   ({low:.2f} … {high:.2f}) times {peer}")


def load(file, name, again):
    """Return all of a file, and the place of one machine in it."""
    found = {"machines": {}}
    if file and file.is_file():
        try:
            found = json.loads(file.read_text("utf-8"))
            places = found["machines"]
        except (ValueError, KeyError, TypeError):
            sys.exit(
                f"{file}: found no table of machines. Give a file from this script, or a new name."
            )
        if again:
            places.pop(name, None)
    place = found["machines"].setdefault(name, {})
    place.setdefault("rounds", [])
    now = about()["versions"]
    for package, then in place.get("versions", now).items():
        if package in now and now[package] != then:
            sys.exit(
                f"{file}: found rounds with {package} {then}, expected {now[package]}, which is "
                "installed. Measure --again, or into another file."
            )
    return found, place


def main(argv=None):
    flags = parse(argv)
    chosen = choose(flags.only, flags.peers)
    skipped = {}
    for name, (_, (peer, *_), _) in list(chosen.items()):
        if lacks := missing(peer):
            skipped[name] = lacks
            del chosen[name]
    for name, lacks in skipped.items():
        print(f"Skipped {name}: {lacks}.")
    if not chosen:
        sys.exit('No other library is installed. Run: pip install -e ".[bench]"')
    jobs = list(dict.fromkeys(job for ours, theirs, _ in chosen.values() for job in (theirs, ours)))
    if not (flags.only or flags.peers):
        jobs.append(("ours", "script", "small"))
    jobs = {"rate": ("numpy", "rate", "-"), **{"/".join(job): job for job in jobs}}
    text = None
    if SECONDS in [figure for *_, figure in chosen.values()]:
        try:
            text = find_text(flags.text)
        except OSError as error:
            sys.exit(f"error: {error}")
    everything, place = load(flags.json, flags.machine, flags.again)
    rounds = place["rounds"]

    def save():
        command = shlex.join(["python", "scripts/bench/benchmark.py", *(argv or sys.argv[1:])])
        place.pop("reported", None)
        place.update(
            {"command": command, **about(), "skipped": skipped}
            | summarize(rounds, {**known(rounds), **chosen})
        )
        place["rounds"] = place.pop("rounds")  # the longest part last
        if flags.json:
            write_atomically(flags.json, json.dumps(everything, indent=1) + "\n")

    last_words.append("Stopped. If you gave --json, start again to resume.")
    try:
        peers = {theirs[0] for _, theirs, _ in chosen.values()}
        checks = place.setdefault("checks", {})
        checks |= check([p for p in CHECKED if p in peers and p not in checks])
        while (done := sum(set(jobs) <= set(made) for made in rounds)) < flags.rounds:
            if place.get("unfinished") != [*jobs]:
                rounds.append({})
                place["unfinished"] = [*jobs]
            made = rounds[-1]
            # Every other round in the opposite order, against slow changes.
            order = [*jobs][:: -1 if done % 2 else 1]
            for i, label in enumerate(order):
                if label in made:
                    continue
                print(
                    f"round {done + 1} of {flags.rounds}, {i + 1} of {len(jobs)}: {label}",
                    flush=True,
                )
                options = (text, done + 1) if jobs[label][1] == "recipe" else ()
                made[label] = run(jobs[label], *options)
                if len(made) == len(jobs):
                    del place["unfinished"]
                save()
    except RuntimeError as error:
        sys.exit(str(error))
    show(flags.machine, summarize(rounds, chosen))


def known(rounds):
    """Choose all comparisons whose jobs some round has."""
    made = {job for each in rounds for job in each}
    return {
        name: jobs
        for name, jobs in comparisons().items()
        if {"/".join(jobs[0]), "/".join(jobs[1])} <= made
    }


if __name__ == "__main__":
    main()
