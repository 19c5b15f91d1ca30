"""Train each shipped recipe with five seeds, and write its band.

    python scripts/evidence/bands.py
    python scripts/evidence/bands.py --only gpt-nanogpt-docs --runs /tmp/bands

You can stop it and start it again: it keeps finished runs and resumes the
others from their checkpoints. Once the five runs of a recipe have finished,
their band is in minitransformer/runs/bands; delete its file to measure it
again. If a script has got a new setting since, its default is added to the
bands that there are.
"""

import argparse
import datetime
import importlib
import json
import platform
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.evidence.common import about, train  # noqa: E402

DOCS = f"Python {platform.python_version()}'s documentation"
RECIPES = {  # the name of its file: script, flags, name of the text
    "gpt-fast-docs": ("train_gpt", [], DOCS),
    "gpt-fast-shakespeare": ("train_gpt", ["--text", "shakespeare"], "tiny Shakespeare"),
    "gpt-nanogpt-docs": ("train_gpt", ["--recipe", "nanogpt"], DOCS),
    "gpt-nanogpt-shakespeare": (
        "train_gpt",
        ["--recipe", "nanogpt", "--text", "shakespeare"],
        "tiny Shakespeare",
    ),
    "gpt-quick-docs": ("train_gpt", ["--recipe", "quick"], DOCS),
    "transformer-dates": ("train_translation", [], "dates"),
    "lstm-dates": ("train_translation", ["--model", "lstm"], "dates"),
    "bert-docs": ("train_bert", [], DOCS),
}
SEEDS = [1, 2, 3, 4, 5]


def has_finished(run):
    """Tell whether a run has made all its steps, and saved its model."""
    from minitransformer.runs.folders import read_settings
    from minitransformer.runs.logs import read_log

    if not (run / "config.json").is_file():
        return False
    rows = read_log(run)
    return bool(rows) and rows[-1].step == read_settings(run)["steps"]


def summarize(curves):
    """Turn one curve per seed into points: step, median, lowest, highest."""
    steps = set.intersection(*(set(dict(curve)) for curve in curves))
    points = []
    for step in sorted(steps):
        losses = [dict(curve)[step] for curve in curves]
        numbers = statistics.median(losses), min(losses), max(losses)
        points.append([step, *(float(f"{n:.6g}") for n in numbers)])
    return points


def make_band(runs, *, title, uniform, sources):
    """Make a band from runs: a dictionary from seeds to (settings, rows).

    Raises:
        ValueError: if there are fewer than five seeds.
    """
    from minitransformer.runs.band import FREE, windows

    if len(runs) < 5:
        raise ValueError(f"A band needs five seeds, and there are {len(runs)}.")
    every_settings, logs = zip(*runs.values(), strict=True)
    settings = {name: value for name, value in every_settings[0].items() if name not in FREE}
    checksums = {each.get("text_sha256") for each in every_settings}
    training = [windows(rows, settings["steps"]) for rows in logs]
    valid = [
        [(row.step, row.valid_loss) for row in rows if row.valid_loss is not None] for rows in logs
    ]
    shown = {step for step, _ in training[0]}
    return {
        "title": title,
        "settings": settings,
        "sources": sources,
        "text_sha256": checksums.pop() if len(checksums) == 1 else None,
        "seeds": list(runs),
        "uniform": round(uniform, 6),
        "training": summarize(training),
        "validation": summarize(valid),
        "learning_rate": [
            [row.step, row.learning_rate]
            for row in logs[0]
            if row.step in shown and row.learning_rate is not None
        ],
    }


def write_band(name, folder, runs):
    """Write the band of a recipe, once all of its runs have finished."""
    from minitransformer.check_run import uniform_loss
    from minitransformer.runs.folders import read_settings
    from minitransformer.runs.logs import read_log

    script, flags, text = RECIPES[name]
    recipe = " ".join([f"{script}.py", *flags])
    band = make_band(
        {seed: (read_settings(run), read_log(run)) for seed, run in runs.items()},
        title=f"{recipe} on {text}",
        uniform=uniform_loss(runs[SEEDS[0]]),
        sources={"text": "shakespeare"} if "shakespeare" in flags else {},
    )
    band |= about(f"python scripts/evidence/bands.py --only {name}")
    band["date"] = datetime.date.today().isoformat()
    write(folder / f"{name}.json", band)


def write(path, band):
    """Write a band, with one line per key."""
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in band.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def usual(name):
    """Return the settings of a recipe that its band must have."""
    from minitransformer.runs.band import FREE

    script, flags, _ = RECIPES[name]
    module = importlib.import_module(f"scripts.{script}")
    defaults = module.DEFAULTS
    if "--recipe" in flags:
        defaults = defaults | module.RECIPES[flags[flags.index("--recipe") + 1]]
    return {k: v for k, v in sorted(defaults.items()) if k not in FREE | {"strategy"}}


def missing(band, name):
    """List the settings that a recipe has got since, with their defaults.

    Their defaults must be what the script did before; a test compares all settings.
    """
    return {k: v for k, v in usual(name).items() if k not in band["settings"]}


def main():
    from minitransformer.runs.band import BANDS

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "bands")
    parser.add_argument("--shakespeare", type=Path, help="its file, where nothing can be fetched")
    options = parser.parse_args()
    BANDS.mkdir(exist_ok=True)
    for name in options.only:
        script, flags, _ = RECIPES[name]
        path = BANDS / f"{name}.json"
        if path.is_file():
            band = json.loads(path.read_text("utf-8"))
            band["settings"] |= missing(band, name)
            write(path, band)
            continue
        if options.shakespeare:
            flags = [str(options.shakespeare) if f == "shakespeare" else f for f in flags]
        runs = {seed: options.runs / f"{name}-{seed}" for seed in SEEDS}
        for seed, run in runs.items():
            if not has_finished(run):
                print(f"{name}, seed {seed}", flush=True)
                train(f"{script}.py", *flags, "--seed", seed, "--out", run)
        write_band(name, BANDS, runs)
        print(f"written: {BANDS / name}.json", flush=True)


if __name__ == "__main__":
    main()
