"""Train the small models that come with the package, and round them to float16.

    python scripts/evidence/shipped.py [gpt] [bert] [transformer] [lstm]

Each is trained by its own script. You can stop this script and start it again:
it keeps finished runs and resumes the others from their checkpoints. Then it
rounds the weights, measures the model before and after, and refuses a
difference beyond BOUNDS. The result is a folder in `minitransformer/shipped`.
"""

if __name__ == "__main__":  # before slower imports
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from minitransformer.runs.signals import begin

    begin()

import argparse
import hashlib
import json
import shlex
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from minitransformer import __version__
from minitransformer.runs.commands import user_errors
from minitransformer.runs.shipped import SHIPPED
from scripts.evidence.common import ROOT, about, train
from scripts.evidence.dates import count_parameters, read_rows

LARGEST = 2_000_000  # bytes of a folder
# How far a rounded model may be from the trained one.
BOUNDS = {"valid_loss": 1e-3, "words": 2e-3, "sentences": 2e-3, "exact_match": 2e-3}


class Recipe(NamedTuple):
    """How a model is trained, and which files of its run are kept."""

    script: str
    flags: list[str]
    files: list[str]
    last: str  # the file that its script writes last


SIDES = ["source.model", "target.model"]
RECIPES = {
    "gpt": Recipe(
        "train_gpt.py",
        ["--recipe", "muon", "--steps", "10000"],
        ["characters.json"],
        "attention.svg",
    ),
    # Fewer pieces and units than usual: else 16-bit weights exceed LARGEST.
    "bert": Recipe(
        "train_bert.py",
        ["--vocab-size", "1000"],
        ["vocab.txt", "tokenizer_config.json"],
        "results.json",
    ),
    "transformer": Recipe("train_translation.py", [], SIDES, "alignment.svg"),
    "lstm": Recipe(
        "train_translation.py",
        ["--model", "lstm", "--units", "192", "--steps", "700"],
        SIDES,
        "alignment.svg",
    ),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all four")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    flags = parser.parse_args()
    for name in flags.names:
        if name not in RECIPES:
            parser.error(f"found {name!r}, expected some of {', '.join(RECIPES)}")
    for name in flags.names or RECIPES:
        run, recipe = flags.runs / f"shipped-{name}", RECIPES[name]
        if not (run / recipe.last).is_file():
            train(recipe.script, *recipe.flags, "--out", run)
        with user_errors():
            ship(name, run, flags.out / name)


def ship(name, run, out):
    """Write a run's files with rounded weights, if they are good enough."""
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder)
        for file in ["config.json", "settings.json", *RECIPES[name].files]:
            shutil.copyfile(run / file, new / file)
        halve(run / "weights.safetensors", new / "weights.safetensors")
        rounded, trained = measure(name, new), measure(name, run)
        for what in BOUNDS.keys() & trained.keys():
            if not abs(trained[what] - rounded[what]) <= BOUNDS[what]:
                sys.exit(
                    f"error: {name}: {what} is {trained[what]:.4f} before rounding and "
                    f"{rounded[what]:.4f} after it, expected at most {BOUNDS[what]} between "
                    "them: train longer, or keep float32."
                )
        made = {**describe(name, run), "float32": trained, "float16": rounded, "bounds": BOUNDS}
        weights = (new / "weights.safetensors").read_bytes()
        made["weights_sha256"] = hashlib.sha256(weights).hexdigest()
        text = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
        (new / "provenance.json").write_text(text, encoding="utf-8")
        size = sum(path.stat().st_size for path in new.iterdir())
        if size > LARGEST:
            sys.exit(
                f"error: {name} takes {size:,} bytes, expected at most {LARGEST:,}: train a "
                "smaller model."
            )
        out.mkdir(parents=True, exist_ok=True)
        for path in new.iterdir():
            shutil.copyfile(path, out / path.name)
    print(f"{out}: {size:,} bytes; {rounded}")


def halve(source, target):
    """Copy a file of weights, each number rounded to float16."""
    import numpy as np
    from safetensors.numpy import load_file, save

    from minitransformer.runs.saving import digest

    halves = {name: array.astype("float16") for name, array in load_file(source).items()}
    for name, array in halves.items():
        if not np.isfinite(array).all():
            sys.exit(
                f"error: {source}: {name} holds numbers beyond 65,504, the largest float16: "
                "keep float32."
            )
    target.write_bytes(save(halves, metadata={"sha256": digest(halves)}))


def measure(name, folder):
    """Measure a model as its training script does, on what it never learned from."""
    settings = json.loads((folder / "settings.json").read_text("utf-8"))
    # What reading the data needs of a run.
    run = SimpleNamespace(settings=settings, folder=folder, resumes=True)
    if name in ("transformer", "lstm"):
        return measure_translator(run)
    return {"gpt": measure_gpt, "bert": measure_bert}[name](run)


def measure_gpt(run):
    """Measure a GPT's loss over the whole validation text."""
    import minitransformer as mt
    from scripts import train_gpt

    model, corpus = mt.GPT.load(run.folder), train_gpt.read_corpus(run)
    return {"valid_loss": mt.compile_evaluation(model, use_xla=False)(corpus.valid)}


def measure_bert(run):
    """Measure a BERT's loss and accuracies on the validation part."""
    import minitransformer as mt
    from scripts import train_bert

    model, corpus = mt.BertPretraining.load(run.folder), train_bert.read_corpus(run)
    loss = mt.compile_evaluation(model, use_xla=False)(corpus.valid_batches)
    return {"valid_loss": loss, **train_bert.accuracies(corpus, model)}


def measure_translator(run, count=None):
    """Measure a translator's validation loss and its exact matches."""
    import minitransformer as mt
    from minitransformer.data.buckets import by_length
    from scripts import train_translation, translate

    model, tokenizers, max_len = translate.load(run.folder)
    corpus, pad_id = train_translation.read_corpus(run, SIDES), model.config.pad_id
    valid = mt.all_pairs(
        by_length(corpus.valid, pad_id=pad_id, count=1), batch_size=128, pad_id=pad_id
    )
    sources, references = zip(*corpus.test[:count], strict=True)
    if (run.folder / "translations.tsv").is_file():  # its own script translated
        _, found, references = zip(*read_rows(run.folder), strict=True)
    else:
        beam_size = run.settings["beam_size"]
        found = mt.translate(model, tokenizers, sources, max_len=max_len, beam_size=beam_size)
    return {
        "valid_loss": mt.compile_evaluation(model, use_xla=False)(valid),
        "exact_match": mt.exact_match(found, references),
        "test_dates": len(sources),
    }


def describe(name, run):
    """Say how a run was made."""
    from minitransformer.runs.logs import read_log

    recipe, log = RECIPES[name], read_log(run)
    settings = json.loads((run / "settings.json").read_text("utf-8"))
    dates = recipe.script == "train_translation.py"
    trained = datetime.fromtimestamp((run / "config.json").stat().st_mtime, UTC)
    last = [row.loss for row in log[-20:] if row.loss is not None]
    command = shlex.join(["python", f"scripts/{recipe.script}", *recipe.flags])
    return {
        **about(command),
        "minitransformer": __version__,
        "rounded_by": f"python scripts/evidence/shipped.py {name}",
        "date": trained.date().isoformat(),
        "text": "dates of data/dates.py" if dates else "Python's documentation",
        "text_sha256": settings["text_sha256"],
        "seed": settings["seed"],
        "steps": log[-1].step,
        "seconds": log[-1].seconds,
        "training_loss": sum(last) / len(last),  # mean of the last 200 steps
        "validation": [[r.step, r.valid_loss] for r in log if r.valid_loss is not None],
        "parameters": count_parameters(run),
    }


if __name__ == "__main__":
    main()
