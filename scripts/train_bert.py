"""Pre-train a small BERT on a text: hidden words, and what follows what.

Without flags: Python's own documentation, less than ten minutes on two
cores. With --text: your own, with an empty line between documents.
"""

if __name__ == "__main__":  # before slower imports
    from minitransformer.runs.signals import begin

    begin()

import json
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import minitransformer as mt
from minitransformer.runs.commands import next_try, tell, user_errors
from minitransformer.runs.flags import RARE, defaults_of, read_flags, seed, share
from minitransformer.runs.sizes import weigh

FLAGS = {
    "start here": {
        "text": (
            None,
            "a text, with empty lines between documents; default: Python's documentation",
        ),
        "steps": (10_000, "training steps"),
        "seed": (0, "the same seed gives the same run", seed),
    },
    "the model and its training": {
        "vocab_size": (2000, "pieces in the vocabulary"),
        "max_len": (32, "tokens of both texts together"),
        "batch_size": (16, "pairs of texts per batch"),
        "learning_rate": (1e-3, "the peak; the last rate is a tenth of it"),
    },
    "rarely needed": {
        "dropout_rate": (0.0, "share dropped in training", share),
        "evaluate_every": (2500, "steps between validations"),
        **RARE,
    },
}
DEFAULTS = defaults_of(FLAGS)
VALID = 40  # batches to validate with, of 32 pairs
EXAMPLES = 5  # hidden words to predict before the reader's eyes


class Corpus(NamedTuple):
    """The text that a BERT learns from; documents are lists of lists of ids."""

    name: str
    text: str
    tokenizer: Any
    config: Any
    train: list
    valid: list
    valid_batches: list


def main(argv=None):
    flags = read_flags(argv, __doc__, FLAGS, prefix="bert")
    with user_errors():
        run = mt.Run(flags, DEFAULTS, moved=["text"])
        corpus = read_corpus(run)
        run.claim("bert", corpus.text)
        if run.is_chief:
            corpus.tokenizer.save(run.folder / corpus.tokenizer.file_name)
    with run.errors():
        model = fit(run, corpus)
        if run.is_chief:
            show(run, corpus, model)


def read_corpus(run):
    """Read the text, learn the pieces if it is a new run, and encode."""
    from minitransformer.data.next_sentence import encode_documents

    settings, source = run.settings, run.settings["text"]
    if source is None:
        tell("reading Python's documentation …")
        name, text = "Python's documentation", mt.python_docs()
    else:
        name, text = Path(source).name, mt.read_text(source)
    parts = split(text)
    vocabulary = run.folder / mt.WordPieceTokenizer.file_name
    if run.resumes and vocabulary.is_file():
        tokenizer = mt.WordPieceTokenizer.load(vocabulary)
    else:
        tell("learning the pieces …")
        tokenizer = mt.WordPieceTokenizer.train(parts[0], vocab_size=settings["vocab_size"])
    rate = settings["dropout_rate"]
    config = mt.BertConfig.small(tokenizer, settings["max_len"], dropout_rate=rate)
    weigh(config, settings)
    tell("reading the text …")
    train, valid = (encode_documents(part, tokenizer) for part in parts)
    batches = draw(valid, tokenizer, settings | {"batch_size": 32}).take(VALID)
    draw(train, tokenizer, settings)  # refuses a text that is too short
    return Corpus(name, text, tokenizer, config, train, valid, list(batches))


def split(text):
    """Keep the last tenth of the characters, in whole documents.

    Raises:
        ValueError: if there are fewer than four documents.
    """
    gap = r"\n\s*\n"
    documents = re.split(gap, text)
    if len(documents) < 4:
        raise ValueError(
            f"The text has {len(documents)} documents, and pre-training needs four documents: "
            "two to learn from and two to validate. Put an empty line between documents."
        )
    place = len(re.findall(gap, text[: int(0.9 * len(text))]))
    place = min(max(place, 2), len(documents) - 2)
    return "\n\n".join(documents[:place]), "\n\n".join(documents[place:])


def draw(documents, tokenizer, settings, first=0):
    """Draw pairs of texts with hidden words, without end."""
    return mt.pretraining_batches(
        documents,
        tokenizer,
        max_len=settings["max_len"],
        batch_size=settings["batch_size"],
        seed=settings["seed"],
        first=first,
    )


def fit(run, corpus):
    """Make the model and train it."""
    import keras

    settings, config = run.settings, corpus.config
    keras.utils.set_random_seed(settings["seed"])
    with run.strategy.scope():
        model = mt.BertPretraining(mt.Bert(config))
        schedule = mt.WarmupCosine(
            peak=settings["learning_rate"],
            final=0.1 * settings["learning_rate"],
            warmup_steps=min(200, settings["steps"] // 10),
            steps=settings["steps"],
        )
        optimizer = mt.make_optimizer(model, learning_rate=schedule, weight_decay=0.01, beta_2=0.98)
        tokens = sum(len(ids) for part in corpus.train for ids in part)
        guess = math.log(2 * config.vocab_size)
        tell(
            f"text        {corpus.name}, {len(corpus.text):,} characters\n"
            f"tokens      {tokens:,} in {len(corpus.train):,} documents to train on, "
            f"{len(corpus.valid):,} documents to validate\n"
            f"model       {model.count_params():,} parameters; a uniform guess costs "
            f"ln({config.vocab_size}) + ln(2) = {guess:.2f} nats"
        )
        run.describe()
        run.train(
            model,
            optimizer,
            lambda first: draw(corpus.train, corpus.tokenizer, settings, first),
            corpus.valid_batches,
        )
    return model


def show(run, corpus, model):
    """Save the model, measure it, and let it predict hidden words."""
    model.save(run.folder)
    run.draw_losses("nats per hidden word, plus those per pair")
    last, found = run.log.rows[-1], accuracies(corpus, model)
    tell(
        f"validation  {last.valid_loss:.4f} nats\n"
        f"words       {found['words']:.1%} of the hidden ones are right; always the "
        f"most frequent one would be {found['most_frequent_word']:.1%}\n"
        f"sentences   {found['sentences']:.1%} of the pairs are classified right; always "
        f"the same answer would be {found['same_answer']:.1%}\n"
        f"time        {last.seconds:.0f} s of training and validation"
    )
    results = {
        "valid_loss": last.valid_loss,
        **found,
        "seconds": last.seconds,
        "validation": run.log.curve("valid_loss"),
    }
    run.write("results.json", json.dumps(results, indent=1) + "\n")
    guess_words(corpus, model)
    tell(f"drawn       {run.folder / 'loss.svg'}")
    next_try(["finetune_bert.py", "--bert", run.folder], ["train_bert.py", "--steps", 40_000])


def accuracies(corpus, model):
    """Measure both tasks on the validation part, beside simple guesses."""
    import numpy as np

    def accuracy(task, predict):
        """Average over the targets that count; `predict` maps inputs to ids."""
        right, count = 0.0, 0.0
        for inputs, targets, weights in corpus.valid_batches:
            weight = weights[task].numpy()
            right += float((weight * (predict(inputs) == targets[task].numpy())).sum())
            count += float(weight.sum())
        return right / count

    most_frequent = np.bincount([i for part in corpus.train for ids in part for i in ids]).argmax()
    return {
        "words": accuracy(0, lambda inputs: model(*inputs)[0].numpy().argmax(-1)),
        "most_frequent_word": accuracy(0, lambda _: most_frequent),
        "sentences": accuracy(1, lambda inputs: model(*inputs)[1].numpy().argmax(-1)),
        "same_answer": max(accuracy(1, lambda _: 0), accuracy(1, lambda _: 1)),
    }


def guess_words(corpus, model):
    """Show the model's three likeliest words for some hidden ones."""
    import numpy as np

    tokenizer = corpus.tokenizer
    (ids, segments, positions), (words, _), _ = corpus.valid_batches[0]
    logits, _ = model(ids, segments, positions)
    read = np.take_along_axis(ids.numpy(), positions.numpy(), 1)
    hidden = np.argwhere(read == tokenizer.mask_id)
    rows, first = np.unique(hidden[:, 0], return_index=True)
    for row, place in hidden[first][: min(EXAMPLES, len(rows))]:
        at = int(positions[row, place])
        context = tokenizer.decode(ids[row, max(0, at - 8) : at + 7])
        best = np.argsort(-logits[row, place].numpy())[:3]
        guesses = ", ".join(tokenizer.decode([i]) for i in best)
        word = tokenizer.decode([words[row, place]])
        tell(f"  … {context} …\n      {guesses}   (it was: {word})")


if __name__ == "__main__":
    main()
