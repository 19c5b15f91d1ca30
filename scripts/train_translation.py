"""Train a translator: a Transformer, or LSTMs with attention.

Without flags: dates as people write them, in four languages, into their ISO
form, within three minutes on two cores. With --pairs: your own sentences.
"""

if __name__ == "__main__":  # before what takes longer to import
    from minitransformer.runs.signals import begin

    begin()

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import minitransformer as mt
from minitransformer.runs.commands import next_try, tell, user_errors
from minitransformer.runs.flags import STRATEGY, defaults_of, positive, read_flags, seed, share
from minitransformer.runs.sizes import weigh


def tens(text):
    """Read a flag's whole number: 10, 20, 30, …."""
    number = positive(text)
    if number % 10:
        raise argparse.ArgumentTypeError(f"{text}: give a multiple of 10")
    return number


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
            "a file with a sentence, a tab and its translation on each "
            "line, or jupyterlab:ko-KR or jupyterlab:fr-FR, if that "
            "language pack is installed; default: dates",
        ),
        "steps": (1500, "training steps"),
        "seed": (0, "where all randomness begins", seed),
    },
    "the model and its training": {
        "attention": ("general", "of the LSTM: how a key is scored", SCORES),
        "vocab_size": (384, "pieces in a vocabulary"),
        "max_len": (40, "tokens of the longest sentence"),
        "batch_size": (64, "pairs per batch"),
        "learning_rate": (2e-3, "the peak"),
        "beam_size": (4, "hypotheses kept when it translates"),
    },
    "rarely needed": {
        "valid": (None, "such a file to validate with; default: some of --pairs"),
        "test": (None, "such a file to test with; default: some of --pairs"),
        "per_side": (False, "a vocabulary per language, for the LSTM"),
        "input_feeding": (True, "of the LSTM: Luong's form, not the textbook's"),
        "warmup_steps": (400, "steps until the peak"),
        "dropout_rate": (0.1, "share dropped in training", share),
        "label_smoothing": (0.1, "share of the probability for all tokens alike", share),
        "buckets": (1, "groups of about the same length"),
        "accumulate": (1, "batches that make one step together"),
        "evaluate_every": (500, "steps between validations", tens),
        "xla": (True, "compile with XLA"),
        "strategy": STRATEGY,
    },
}
DEFAULTS = defaults_of(FLAGS)
# What another model would be trained with as well.
SHARED = "pairs valid test vocab_size max_len batch_size steps buckets seed".split()  # noqa: SIM905


class Corpus(NamedTuple):
    """What a translator learns from, and is tested with."""

    name: str
    train: list  # pairs of lists of ids
    valid: list
    test: list  # pairs of sentences
    text: str  # all of it, for a checksum
    tokenizers: list[Any]


def main(argv=None):
    flags = read_flags(argv, __doc__, FLAGS, prefix="transformer")
    with user_errors():
        defaults = DEFAULTS | MODELS[flags.get("model", DEFAULTS["model"])]
        run = mt.Run(flags, defaults, moved=["pairs", "valid", "test"])
        corpus = read_corpus(run)
        model_config = config(corpus.tokenizers, run.settings)
        weigh(model_config, run.settings)
        run.claim(run.settings["model"], corpus.text)
        keep_tokenizers(run, corpus.tokenizers)
    with run.errors():
        model = fit(run, corpus, model_config)
        if run.is_chief:
            show(run, corpus, model)


def read_corpus(run):
    """Find the pairs, learn the pieces if there are none, and encode."""
    name, parts = load_pairs(run.settings)
    tokenizers = make_tokenizers(run, parts[0])
    train, valid = encode(parts, tokenizers, run.settings["max_len"])
    text = "\n".join("\t".join(pair) for part in parts for pair in part)
    return Corpus(name, train, valid, parts[2], text, tokenizers)


def find_pairs(source):
    """Read a file, or a language pack."""
    if source.startswith("jupyterlab:"):
        return mt.interface_pairs(source.partition(":")[2])
    return mt.read_pairs(source)


def load_pairs(settings):
    """Find the pairs: a name, and three lists, to train, validate, test."""
    from minitransformer.data.pairs import hold_out, looks_swapped

    source = settings["pairs"]
    if source is None and (settings["valid"] or settings["test"]):
        raise ValueError("--valid and --test need --pairs to train on.")
    if source is None:
        parts = mt.date_pairs(train=20_000, valid=500, test=1000, seed=settings["seed"])
        return "dates", parts
    pairs = find_pairs(source)
    given = [settings["valid"], settings["test"]]
    parts = [pairs, [], []]
    if not all(given):
        parts = list(hold_out(pairs, share=0.05, seed=settings["seed"]))
    for i, path in enumerate(given, 1):
        if path is None:
            continue
        parts[0] += parts[i]  # nothing need be held out for it
        parts[i] = find_pairs(path)
        if looks_swapped(parts[i], parts[0]):
            raise ValueError(
                f"{path} seems to have its columns the other way round than "
                f"{source}: swap them in one of the two."
            )
    return Path(source).name, parts


def make_tokenizers(run, pairs):
    """Learn the pieces of both languages, together or each on its own."""
    from minitransformer.writing.translating import SIDES

    settings, kind = run.settings, mt.SentencePieceTokenizer
    if settings["per_side"] and settings["model"] == "transformer":
        raise ValueError(
            "The Transformer has one vocabulary for both languages: leave out --per-side."
        )
    if run.resumes and all((run.folder / side).is_file() for side in SIDES):
        return [kind.load(run.folder / side) for side in SIDES]
    tell("learning the pieces …")

    def learn(sentences):
        text = "\n".join(" " + sentence for sentence in sentences)
        return kind.train(text, vocab_size=settings["vocab_size"])

    sources, targets = zip(*pairs, strict=True)
    if settings["per_side"]:
        return [learn(sources), learn(targets)]
    return [learn(sources + targets)] * 2


def keep_tokenizers(run, tokenizers):
    """Save the vocabularies; those of a resumed run must be the same."""
    from minitransformer.runs.folders import write_settings
    from minitransformer.writing.translating import SIDES, fingerprint

    checksum = fingerprint(tokenizers)
    saved = run.settings.setdefault("vocabulary_sha256", checksum)
    if saved != checksum:
        raise ValueError(
            f"The vocabularies in {run.folder} are another run's: put its "
            "own back, or start another run with another --out."
        )
    if run.is_chief:
        write_settings(run.folder, run.settings)
        for side, tokenizer in zip(SIDES, tokenizers, strict=True):
            tokenizer.save(run.folder / side)


def encode(parts, tokenizers, max_len):
    """Turn pairs into ids, to train and to validate; say what is too long."""
    from minitransformer.data.buckets import encode_pairs

    encoded = [encode_pairs(part, tokenizers, max_len=max_len) for part in parts]
    (train, *_), (valid, *_) = encoded[:2]
    for rows, what in ((train, "train"), (valid, "validate")):
        if not rows:
            raise ValueError(
                f"No pair to {what} with has at most {max_len} tokens: give a larger --max-len."
            )
    skipped = [too_long for _, too_long in encoded]
    if any(skipped):
        tell(
            f"too long    {skipped[0]:,} training and {skipped[1]:,} "
            f"validation pairs exceed {max_len} tokens and were dropped; "
            f"{skipped[2]:,} test pairs were cut"
        )
    return train, valid


def config(tokenizers, settings):
    """Make the configuration of the model."""
    if settings["model"] == "transformer":
        return mt.TransformerConfig.small(
            tokenizers[0], settings["max_len"], dropout_rate=settings["dropout_rate"]
        )
    return mt.LSTMSeq2SeqConfig.small(
        tokenizers,
        settings["attention"],
        dropout_rate=settings["dropout_rate"],
        input_feeding=settings["input_feeding"],
    )


def fit(run, corpus, model_config):
    """Make the model and train it on what the strategy has."""
    import functools

    import keras

    from minitransformer.data.buckets import by_length

    settings, pad_id = run.settings, model_config.pad_id
    keras.utils.set_random_seed(settings["seed"])
    kinds = {"transformer": mt.Transformer, "lstm": mt.LSTMSeq2Seq}
    train, valid = (
        by_length(rows, pad_id=pad_id, count=settings["buckets"])
        for rows in (corpus.train, corpus.valid)
    )
    valid_batches = mt.all_pairs(valid, batch_size=128, pad_id=pad_id)
    with run.strategy.scope():
        model = kinds[settings["model"]](model_config)
        width, warmup = model_config.d_model, settings["warmup_steps"]
        schedule = mt.WarmupInverseRoot(
            d_model=width,
            warmup_steps=warmup,
            factor=settings["learning_rate"] * (width * warmup) ** 0.5,
        )
        optimizer = mt.make_optimizer(
            model, learning_rate=schedule, weight_decay=0.0, beta_2=0.98, epsilon=1e-9
        )
        tell(
            f"pairs       {corpus.name}: {len(corpus.train):,} to train on, "
            f"{len(corpus.valid):,} to validate, {len(corpus.test):,} to "
            f"test\nmodel       {settings['model']}, "
            f"{model.count_params():,} parameters, "
            f"{corpus.tokenizers[1].vocab_size:,} pieces"
        )
        run.describe()

        def batches(first):
            return mt.random_pairs(
                train,
                batch_size=settings["batch_size"],
                seed=settings["seed"],
                pad_id=pad_id,
                run=10 * settings["accumulate"],
                first=first,
            )

        mean_loss = mt.compile_evaluation(model, use_xla=run.use_xla)
        run.train(
            model,
            optimizer,
            batches,
            evaluate=lambda: mean_loss(valid_batches),
            loss=functools.partial(
                mt.masked_cross_entropy, label_smoothing=settings["label_smoothing"]
            ),
            keep=5,
            # So the last five are from the last tenth of a long training.
            save_every=max(10, settings["steps"] // 500 * 10),
        )
    if run.is_chief:
        run.checkpoints.average(model.trainable_variables)
        right = mt.compile_evaluation(model, use_xla=run.use_xla, measure=mt.masked_accuracy)(
            valid_batches
        )
        last = run.log.rows[-1]
        tell(
            f"validation  {last.valid_loss:.4f} nats per token before the "
            f"last states were averaged; then {right:.2%} of the tokens "
            "right, given those before\n"
            f"time        {last.seconds:.0f} s of training and validation"
        )
    return model


def show(run, corpus, model):
    """Save the model, translate the test part, draw, sum up."""
    from minitransformer.writing.evaluation import bleu_installed
    from minitransformer.writing.translating import alignment_svg

    settings, tokenizers = run.settings, corpus.tokenizers
    model.save(run.folder)
    run.draw_losses("nats per token")
    sources, references = zip(*corpus.test, strict=True)
    tell(f"translating {len(sources):,} sentences …")
    translations = mt.translate(
        model,
        tokenizers,
        sources,
        max_len=settings["max_len"],
        beam_size=settings["beam_size"],
        use_xla=settings["xla"],
    )
    rows = list(zip(sources, translations, references, strict=True))
    lines = ["\t".join(row) + "\n" for row in rows]
    run.write("translations.tsv", "".join(lines))
    tell(f"exact match: {mt.exact_match(translations, references):.3f}")
    if settings["pairs"] and bleu_installed():
        tell(f"BLEU: {mt.corpus_bleu(translations, references):.2f}")
    for source, translation, reference in rows[:5]:
        same = translation == reference
        note = "" if same else f"   (reference: {reference})"
        tell(f"  {source}  →  {translation}{note}")
    is_transformer = settings["model"] == "transformer"
    if is_transformer or settings["attention"] != "none":
        svg = alignment_svg(
            model, tokenizers, sources[0], translations[0], max_len=settings["max_len"]
        )
        run.write("alignment.svg", svg)
        drawn = run.folder / "alignment.svg", run.folder / "loss.svg"
        tell(f"drawn       {drawn[0]}, {drawn[1]}")
    rival = "lstm" if is_transformer else "transformer"
    same_flags = []
    for name in SHARED:
        if settings[name] != DEFAULTS[name]:
            same_flags += ["--" + name.replace("_", "-"), settings[name]]
    next_try(
        ["translate.py", "--run", run.folder, sources[0]],
        ["train_translation.py", "--model", rival, *same_flags],
    )


if __name__ == "__main__":
    main()
