"""Train a translator: a Transformer, or LSTMs with attention.

Without flags: dates as people write them, in four languages, into their ISO
form, within three minutes on two cores. With --pairs: your own sentences.
"""

if __name__ == "__main__":  # before slower imports
    from minitransformer.runs.signals import begin

    begin()

from pathlib import Path
from typing import Any, NamedTuple

import minitransformer as mt
from minitransformer.runs.commands import next_try, tell, user_errors
from minitransformer.runs.flags import (
    RARE,
    defaults_of,
    read_flags,
    refuse_one_file,
    seed,
    share,
    tens,
    up_to,
)
from minitransformer.runs.sizes import weigh

MODELS: dict[str, dict] = {
    "transformer": {},
    # XLA's loops over time are slow on CPUs: docs/decisions/0004
    "lstm": {"label_smoothing": 0.0, "xla": False},
}
SCORES = ["general", "dot", "scaled_dot", "additive", "none"]
FLAGS = {
    "start here": {
        "model": ("transformer", "what translates", list(MODELS)),
        "pairs": (
            None,
            "a file with a sentence, a tab and its translation per line, or jupyterlab:ko-KR or "
            "jupyterlab:fr-FR, if that language pack is installed; default: dates",
        ),
        "steps": (1500, "training steps"),
        "seed": (0, "the same seed gives the same run", seed),
    },
    "the model and its training": {
        "attention": ("general", "how the LSTM scores a key", SCORES),
        "vocab_size": (384, "pieces in a vocabulary"),
        "max_len": (40, "tokens of the longest sentence"),
        "batch_size": (64, "pairs per batch"),
        "learning_rate": (2e-3, "the peak"),
        "beam_size": (4, "hypotheses kept while translating"),
    },
    "rarely needed": {
        "valid": (None, "a file like --pairs to validate with; default: some of --pairs"),
        "test": (None, "a file like --pairs to test with; default: some of --pairs"),
        "per_side": (False, "a vocabulary per language, for the LSTM"),
        "input_feeding": (
            True,
            "LSTM: feed the attended vector back in (Luong); else the textbook's form",
        ),
        "units": (256, "LSTM: width of both LSTMs"),
        "warmup_steps": (400, "steps until the peak"),
        "dropout_rate": (0.1, "share dropped in training", share),
        "label_smoothing": (0.1, "share of the probability spread over all tokens", share),
        "buckets": (1, "groups of about the same length", up_to(100)),
        "evaluate_every": (500, "steps between validations", tens),
        **RARE,
    },
}
DEFAULTS = defaults_of(FLAGS)
# Settings with which another model can be trained on the same data.
SHARED = "pairs valid test vocab_size max_len batch_size steps buckets seed".split()  # noqa: SIM905


class Corpus(NamedTuple):
    """The pairs that a translator learns from, and is tested with."""

    name: str
    train: list  # pairs of lists of ids
    valid: list
    test: list  # pairs of sentences
    text: str  # all pairs, for a checksum
    tokenizers: list[Any]


def main(argv=None):
    flags = read_flags(argv, __doc__, FLAGS, prefix="transformer")
    with user_errors():
        from minitransformer.writing.translating import SIDES

        defaults = DEFAULTS | MODELS[flags.get("model", DEFAULTS["model"])]
        run = mt.Run(flags, defaults, moved=["pairs", "valid", "test"])
        corpus = read_corpus(run, SIDES)
        model_config = make_config(corpus.tokenizers, run.settings)
        weigh(model_config, run.settings)
        run.claim(run.settings["model"], corpus.text)
        if run.is_chief:
            for side, tokenizer in zip(SIDES, corpus.tokenizers, strict=True):
                tokenizer.save(run.folder / side)
    with run.errors():
        model = fit(run, corpus, model_config)
        if run.is_chief:
            show(run, corpus, model)


def read_corpus(run, sides):
    """Find the pairs, learn the pieces if it is a new run, and encode."""
    from minitransformer.writing.translating import fingerprint

    settings = run.settings
    if not run.resumes:
        refuse_one_file(settings["pairs"], settings["valid"], settings["test"])
    name, parts = load_pairs(settings)
    if settings["per_side"] and settings["model"] == "transformer":
        raise ValueError(
            "The Transformer has one vocabulary for both languages: leave out --per-side."
        )
    if run.resumes and all((run.folder / side).is_file() for side in sides):
        tokenizers = [mt.SentencePieceTokenizer.load(run.folder / side) for side in sides]
    else:
        tell("learning the pieces …")
        tokenizers = learn_pieces(parts[0], settings)
    checksum = fingerprint(tokenizers)
    if settings.setdefault("vocabulary_sha256", checksum) != checksum:
        raise ValueError(
            f"The vocabularies in {run.folder} are another run's: restore its own, or start "
            "another run with another --out."
        )
    train, valid = encode(parts, tokenizers, settings["max_len"])
    text = "\n".join("\t".join(pair) for part in parts for pair in part)
    return Corpus(name, train, valid, parts[2], text, tokenizers)


def find_pairs(source):
    """Read a file, or a language pack."""
    if source.startswith("jupyterlab:"):
        return mt.interface_pairs(source.partition(":")[2])
    return mt.read_pairs(source)


def load_pairs(settings):
    """Find a name and three lists of pairs: to train, validate and test."""
    from minitransformer.data.pairs import hold_out, looks_swapped

    source, given = settings["pairs"], [settings["valid"], settings["test"]]
    if source is None and any(given):
        raise ValueError("--valid and --test need --pairs to train on.")
    if source is None:
        parts = mt.date_pairs(train=20_000, valid=500, test=1000, seed=settings["seed"])
        return "dates", parts
    parts = [find_pairs(source), [], []]
    if not all(given):
        parts = list(hold_out(parts[0], share=0.05, seed=settings["seed"]))
    for i, path in enumerate(given, 1):
        if path is None:
            continue
        parts[0] += parts[i]  # this part has a file of its own
        parts[i] = find_pairs(path)
        if looks_swapped(parts[i], parts[0]):
            raise ValueError(
                f"The columns of {path} and {source} seem to be the other way round: swap them "
                "in one of the two files."
            )
    return Path(source).name, parts


def learn_pieces(pairs, settings):
    """Learn the pieces of both languages, together or separately."""
    sides = list(zip(*pairs, strict=True))
    if not settings["per_side"]:
        sides = [sides[0] + sides[1]]
    tokenizers = []
    for sentences in sides:
        text = "\n".join(" " + sentence for sentence in sentences)
        vocab_size = settings["vocab_size"]
        tokenizers.append(mt.SentencePieceTokenizer.train(text, vocab_size=vocab_size))
    return [tokenizers[0], tokenizers[-1]]


def encode(parts, tokenizers, max_len):
    """Turn pairs into ids, to train and to validate; count long pairs."""
    from minitransformer.data.buckets import encode_pairs

    encoded = [encode_pairs(part, tokenizers, max_len=max_len) for part in parts]
    (train, *_), (valid, *_) = encoded[:2]
    for rows, purpose in ((train, "train"), (valid, "validate")):
        if not rows:
            raise ValueError(
                f"No pair to {purpose} with has at most {max_len} tokens: give a larger --max-len."
            )
    skipped = [too_long for _, too_long in encoded]
    if any(skipped):
        tell(
            f"too long    {skipped[0]:,} training and {skipped[1]:,} validation pairs exceed "
            f"{max_len} tokens and were dropped; {skipped[2]:,} test pairs were cut"
        )
    return train, valid


def make_config(tokenizers, settings):
    """Make the configuration of the model."""
    rate = settings["dropout_rate"]
    if settings["model"] == "transformer":
        return mt.TransformerConfig.small(tokenizers[0], settings["max_len"], dropout_rate=rate)
    options = {name: settings[name] for name in ("attention", "input_feeding", "units")}
    return mt.LSTMSeq2SeqConfig.small(tokenizers, dropout_rate=rate, **options)


def fit(run, corpus, model_config):
    """Make the model, train it, and average its last states."""
    import functools

    import keras

    from minitransformer.data.buckets import by_length

    settings, pad_id = run.settings, model_config.pad_id
    keras.utils.set_random_seed(settings["seed"])
    kind = {"transformer": mt.Transformer, "lstm": mt.LSTMSeq2Seq}[settings["model"]]
    train, valid = (
        by_length(rows, pad_id=pad_id, count=settings["buckets"])
        for rows in (corpus.train, corpus.valid)
    )
    valid_batches = mt.all_pairs(valid, batch_size=128, pad_id=pad_id)
    with run.strategy.scope():
        model = kind(model_config)
        width, warmup = model_config.d_model, settings["warmup_steps"]
        factor = settings["learning_rate"] * (width * warmup) ** 0.5
        schedule = mt.WarmupInverseRoot(d_model=width, warmup_steps=warmup, factor=factor)
        optimizer = mt.make_optimizer(
            model, learning_rate=schedule, weight_decay=0.0, beta_2=0.98, epsilon=1e-9
        )
        tell(
            f"pairs       {corpus.name}: {len(corpus.train):,} to train on, "
            f"{len(corpus.valid):,} to validate, {len(corpus.test):,} to test\n"
            f"model       {settings['model']}, {model.count_params():,} parameters, "
            f"{corpus.tokenizers[1].vocab_size:,} pieces"
        )
        run.describe()

        sizes = {"batch_size": settings["batch_size"], "run": 10 * settings["accumulate"]}
        smoothing = settings["label_smoothing"]
        run.train(
            model,
            optimizer,
            lambda first: mt.random_pairs(
                train, seed=settings["seed"], pad_id=pad_id, first=first, **sizes
            ),
            valid_batches,
            loss=functools.partial(mt.masked_cross_entropy, label_smoothing=smoothing),
            keep=5,
            # So the last five are from the last tenth of a long training.
            save_every=max(10, settings["steps"] // 500 * 10),
        )
    if run.is_chief:
        run.checkpoints.average(model.trainable_variables)
        accuracy = mt.compile_evaluation(model, use_xla=run.use_xla, measure=mt.masked_accuracy)
        last = run.log.rows[-1]
        tell(
            f"validation  {last.valid_loss:.4f} nats per token before the last states were "
            f"averaged; then {accuracy(valid_batches):.2%} of the tokens right, given those before\n"
            f"time        {last.seconds:.0f} s of training and validation"
        )
    return model


def show(run, corpus, model):
    """Save the model, translate the test part, draw, and summarize."""
    from minitransformer.writing.evaluation import bleu_installed
    from minitransformer.writing.translating import alignment_svg

    settings, tokenizers = run.settings, corpus.tokenizers
    max_len, beam_size = settings["max_len"], settings["beam_size"]
    model.save(run.folder)
    run.draw_losses("nats per token")
    sources, references = zip(*corpus.test, strict=True)
    tell(f"translating {len(sources):,} sentences …")
    translations = mt.translate(
        model, tokenizers, sources, max_len=max_len, beam_size=beam_size, use_xla=run.use_xla
    )
    rows = list(zip(sources, translations, references, strict=True))
    run.write("translations.tsv", "".join("\t".join(row) + "\n" for row in rows))
    tell(f"exact match: {mt.exact_match(translations, references):.3f}")
    if settings["pairs"] and bleu_installed():
        tell(f"BLEU: {mt.corpus_bleu(translations, references):.2f}")
    for source, translation, reference in rows[:5]:
        note = "" if translation == reference else f"   (reference: {reference})"
        tell(f"  {source}  →  {translation}{note}")
    if settings["model"] == "transformer" or settings["attention"] != "none":
        svg = alignment_svg(model, tokenizers, sources[0], translations[0], max_len=max_len)
        run.write("alignment.svg", svg)
        tell(f"drawn       {run.folder / 'alignment.svg'}, {run.folder / 'loss.svg'}")
    rival = "lstm" if settings["model"] == "transformer" else "transformer"
    changed = [name for name in SHARED if settings[name] != DEFAULTS[name]]
    same = [f"--{name.replace('_', '-')}={settings[name]}" for name in changed]
    next_try(
        ["translate.py", "--run", run.folder, sources[0]],
        ["train_translation.py", "--model", rival, *same],
    )


if __name__ == "__main__":
    main()
