"""Pre-train a small BERT on a text: hidden words, and what follows what.

Without flags: Python's own documentation, less than ten minutes on two
cores. With --text: your own, with an empty line between documents.
"""

import argparse
import json
import math
import re
import sys
from pathlib import Path

from minitransformer.runs.commands import (
    above_zero,
    add_run_flags,
    command,
    positive,
    run_training,
    seed,
)

DEFAULTS = {
    "text": None,
    "steps": 10_000,
    "vocab_size": 2000,
    "max_len": 32,
    "batch_size": 16,
    "accumulate": 1,
    "learning_rate": 1e-3,
    "dropout_rate": 0.0,
    "evaluate_every": 2500,
    "seed": 0,
    "xla": True,
}
VALID = 40  # batches to validate with, of 32 pairs
EXAMPLES = 5  # hidden words to guess before the reader's eyes


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
        "--text",
        metavar="FILE",
        help="a file in UTF-8, with an empty line between documents; "
        "default: Python's own documentation",
    )
    add_run_flags(parser, "bert")
    flag("steps", "training steps", type=positive)
    flag("seed", "where all randomness begins", type=seed)
    flag("vocab-size", "pieces in the vocabulary", type=positive)
    flag("max-len", "tokens of both texts together", type=positive)
    flag("batch-size", "pairs of texts in a batch", type=positive)
    flag("accumulate", "batches that make one step together", type=positive)
    flag("learning-rate", "the peak; it ends at a tenth", type=above_zero)
    flag("dropout-rate", "share dropped in training", type=float)
    flag("evaluate-every", "steps between validations", type=positive)
    flag("xla", "compile with XLA", action=argparse.BooleanOptionalAction)
    given = vars(parser.parse_args(argv))
    if "text" in given:
        given["text"] = str(Path(given["text"]).resolve())
    return given


def main(argv=None):
    given = parse(argv)

    def begin():
        from minitransformer.runs.progress import quiet_import

        with quiet_import():
            import tensorflow  # noqa: F401
        return prepare(given)

    return run_training(begin, fit, finish)


def prepare(given):
    """Do all that a mistake of the user's can stop."""
    from minitransformer import (
        BertConfig,
        WordPieceTokenizer,
        pretraining_batches,
        python_docs,
        read_text,
    )
    from minitransformer.data.next_sentence import encode_documents
    from minitransformer.runs.sessions import begin, claim

    task = begin(given, DEFAULTS, moved=["text"])
    settings, found = task["settings"], task["found"]
    if settings["text"] is None:
        print("reading Python's documentation …", flush=True)
        name, text = "Python's documentation", python_docs()
    else:
        name = Path(settings["text"]).name
        text = read_text(settings["text"])
    train_text, valid_text = split(text)
    vocabulary = WordPieceTokenizer.file_name
    if found and (found / vocabulary).is_file():
        tokenizer = WordPieceTokenizer.load(found / vocabulary)
    else:
        print("learning the pieces …", flush=True)
        tokenizer = WordPieceTokenizer.train(
            train_text, vocab_size=settings["vocab_size"]
        )
    print("reading the text …", flush=True)
    parts = [
        encode_documents(part, tokenizer)
        for part in (train_text, valid_text)
    ]
    options = {
        key: settings[key] for key in ("max_len", "batch_size", "seed")
    }
    pretraining_batches(parts[0], tokenizer, **options)  # there is enough
    valid = pretraining_batches(
        parts[1], tokenizer, **{**options, "batch_size": 32}
    ).take(VALID)
    config = BertConfig.small(
        tokenizer,
        settings["max_len"],
        dropout_rate=settings["dropout_rate"],
    )
    claim(task, prefix="bert", data=text)
    if task["chief"]:
        tokenizer.save(task["folder"] / vocabulary)
    return task | {
        "name": name,
        "text": text,
        "tokenizer": tokenizer,
        "parts": parts,
        "options": options,
        "config": config,
        "valid": list(valid),
    }


def split(text):
    """Keep the last tenth of the characters, in whole documents.

    Raises:
        ValueError: if there are fewer than four documents.
    """
    gap = r"\n\s*\n"
    documents = re.split(gap, text)
    if len(documents) < 4:
        raise ValueError(
            "Pre-training needs four documents, two to learn from and two "
            "to validate: put an empty line between documents."
        )
    place = len(re.findall(gap, text[: int(0.9 * len(text))]))
    place = min(max(place, 2), len(documents) - 2)
    return "\n\n".join(documents[:place]), "\n\n".join(documents[place:])


def fit(task):
    """Train on what the strategy has; return the number of steps made."""
    from minitransformer.runs.sessions import in_scope

    with in_scope(task["strategy"]):
        return fit_in_scope(task)


def fit_in_scope(task):
    """Make the model, and train it."""
    import keras

    from minitransformer import (
        Bert,
        BertPretraining,
        WarmupCosine,
        compile_evaluation,
        make_optimizer,
        pretraining_batches,
    )
    from minitransformer.runs.compilation import xla_works
    from minitransformer.runs.sessions import resume_and_train

    settings, tokenizer = task["settings"], task["tokenizer"]
    steps = settings["steps"]
    keras.utils.set_random_seed(settings["seed"])
    model = task["model"] = BertPretraining(Bert(task["config"]))
    optimizer = make_optimizer(
        model,
        learning_rate=WarmupCosine(
            peak=settings["learning_rate"],
            final=0.1 * settings["learning_rate"],
            warmup_steps=min(200, steps // 10),
            steps=steps,
        ),
        weight_decay=0.01,
        beta_2=0.98,
    )
    tokens = sum(
        len(ids) for document in task["parts"][0] for ids in document
    )
    print(f"text        {task['name']}, {len(task['text']):,} characters")
    print(
        f"tokens      {tokens:,} in {len(task['parts'][0]):,} documents to "
        f"train on, {len(task['parts'][1]):,} documents to validate"
    )
    print(
        f"model       {model.count_params():,} parameters; guessing blindly "
        f"costs ln({tokenizer.vocab_size}) + ln(2) = "
        f"{math.log(2 * tokenizer.vocab_size):.2f} nats"
    )
    print(
        "settings    "
        + ", ".join(
            f"{name} {value}"
            for name, value in settings.items()
            if name not in ("text", "text_sha256")
        )
    )
    print(f"run         {task['folder']}", flush=True)

    def batches(first):
        return pretraining_batches(
            task["parts"][0], tokenizer, first=first, **task["options"]
        )

    mean_loss = compile_evaluation(
        model, use_xla=settings["xla"] and xla_works()
    )
    return resume_and_train(
        task,
        model,
        optimizer,
        batches,
        evaluate=lambda: mean_loss(task["valid"]),
    )


def finish(task):
    """Save the model, measure it, and let it guess."""
    if not task["chief"]:
        return
    from minitransformer import curve_svg
    from minitransformer.runs.logs import curve
    from minitransformer.runs.saving import write_atomically

    folder, model, log = task["folder"], task["model"], task["log"]
    model.save(folder)
    curves = {
        "training": curve(log.rows, "loss"),
        "validation": curve(log.rows, "valid_loss"),
    }
    write_atomically(
        folder / "loss.svg",
        curve_svg(
            curves,
            x_label="step",
            y_label="loss (nats a hidden word, and a pair)",
            label="Training and validation loss",
        ),
    )
    last = log.rows[-1]
    word, always, follows, chance = accuracies(task)
    print(f"validation  {last['valid_loss']:.4f} nats")
    print(
        f"words       {word:.1%} of the hidden ones are guessed; always "
        f"the most frequent one would be {always:.1%}"
    )
    print(
        f"sentences   {follows:.1%} are told apart; always the same answer "
        f"would be {chance:.1%}"
    )
    print(f"time        {last['seconds']:.0f} s of training and validation")
    write_atomically(
        folder / "results.json",
        json.dumps(
            {
                "valid_loss": last["valid_loss"],
                "words": word,
                "most_frequent_word": always,
                "sentences": follows,
                "same_answer": chance,
                "seconds": last["seconds"],
                "validation": curves["validation"],
            },
            indent=1,
        )
        + "\n",
    )
    guess(task)
    print(f"drawn       {folder / 'loss.svg'}")
    train, other = (
        sys.argv[0],
        Path(sys.argv[0]).with_name("finetune_bert.py"),
    )
    print("\nNext, try")
    print(" ", command(other, "--bert", folder))
    print(" ", command(train, "--steps", 40_000))


def accuracies(task):
    """Measure both tasks on the validation part, beside the simplest guess.

    Returns:
        Share of hidden words that are guessed, and by the most frequent
        word; share of pairs told apart, and by always the same answer.
    """
    import numpy as np

    from minitransformer import compile_evaluation, masked_accuracy

    model, valid = task["model"], task["valid"]
    found = []
    for question in (0, 1):
        measure = compile_evaluation(
            lambda *inputs, question=question: model(*inputs)[question],
            use_xla=False,
            measure=masked_accuracy,
        )
        found.append(
            measure(
                [
                    (inputs, targets[question], weights[question])
                    for inputs, targets, weights in valid
                ]
            )
        )
    seen = np.bincount(
        [
            i
            for document in task["parts"][0]
            for ids in document
            for i in ids
        ]
    )
    words, weights, follows = (
        np.concatenate([part(batch).numpy().ravel() for batch in valid])
        for part in (
            lambda batch: batch[1][0],
            lambda batch: batch[2][0],
            lambda batch: batch[1][1],
        )
    )
    right = (weights * (words == seen.argmax())).sum() / weights.sum()
    chance = max(follows.mean(), 1 - follows.mean())
    return found[0], float(right), found[1], float(chance)


def guess(task):
    """Show what the model thinks of some hidden words."""
    import numpy as np

    model, tokenizer = task["model"], task["tokenizer"]
    (ids, segments, positions), (words, _), _ = task["valid"][0]
    logits, _ = model(ids, segments, positions)
    hidden = np.argwhere(
        np.take_along_axis(ids.numpy(), positions.numpy(), 1)
        == tokenizer.mask_id
    )
    rows, first = np.unique(hidden[:, 0], return_index=True)
    for row, place in hidden[first][: min(EXAMPLES, len(rows))]:
        at = int(positions[row, place])
        context = tokenizer.decode(ids[row, max(0, at - 8) : at + 7])
        best = np.argsort(-logits[row, place].numpy())[:3]
        guesses = ", ".join(tokenizer.decode([i]) for i in best)
        print(
            f"  … {context} …\n      {guesses}   "
            f"(it was: {tokenizer.decode([words[row, place]])})"
        )


if __name__ == "__main__":
    sys.exit(main())
