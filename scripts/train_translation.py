"""Train a translator: a Transformer, or LSTMs with attention.

Without flags: dates as people write them, in four languages, into their ISO
form, within three minutes on two cores. With --pairs: your own sentences.
"""

import argparse
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

MODELS = {
    "transformer": {
        "attention": "general",
        "dropout_rate": 0.1,
        "label_smoothing": 0.1,
        "learning_rate": 2e-3,
        "xla": True,
    },
    "lstm": {
        "attention": "general",
        "dropout_rate": 0.1,
        "label_smoothing": 0.0,
        "learning_rate": 2e-3,
        "xla": False,
    },  # XLA's loops over time are slow on CPUs: docs/decisions/0004
}
DEFAULTS = {
    "model": "transformer",
    "pairs": None,
    "valid": None,
    "test": None,
    "vocab_size": 384,
    "per_side": False,
    "max_len": 40,
    "input_feeding": True,
    "batch_size": 64,
    "accumulate": 1,
    "steps": 1500,
    "warmup_steps": 400,
    "buckets": 1,
    "beam_size": 4,
    "evaluate_every": 500,
    "seed": 0,
}


SHARED = (  # what another model would be trained with, too
    "pairs",
    "valid",
    "test",
    "vocab_size",
    "max_len",
    "batch_size",
    "steps",
    "buckets",
    "seed",
)


def tens(text):
    """Read a flag's whole number: 10, 20, 30, …."""
    number = positive(text)
    if number % 10:
        raise argparse.ArgumentTypeError(f"{text}: give a multiple of 10")
    return number


def share(text):
    """Read a flag's share: from 0 up to, but not including, 1."""
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{text}: give 0 or more, below 1")
    return number


def parse(argv):
    """Read the flags; only those given are in the result."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    known = {**DEFAULTS, **MODELS["transformer"]}

    def flag(name, text, **options):
        default = known[name.replace("-", "_")]
        text += f" (default: {default})" if default is not None else ""
        parser.add_argument(f"--{name}", help=text, **options)

    flag("model", "what translates", choices=list(MODELS))
    flag(
        "attention",
        "of the LSTM: how a key is scored",
        choices=["general", "dot", "scaled_dot", "additive", "none"],
    )
    flag(
        "pairs",
        "a file with a sentence, a tab and its translation on each "
        "line, or jupyterlab:ko-KR or jupyterlab:fr-FR, if that language "
        "pack is installed (default: dates)",
        metavar="FILE",
    )
    flag(
        "valid",
        "such a file to validate with (default: some of --pairs)",
        metavar="FILE",
    )
    flag(
        "test",
        "such a file to test with (default: some of --pairs)",
        metavar="FILE",
    )
    add_run_flags(parser, "transformer")
    flag("steps", "training steps", type=positive)
    flag("seed", "where all randomness begins", type=seed)
    flag("vocab-size", "pieces in a vocabulary", type=positive)
    flag(
        "per-side",
        "a vocabulary for each language, for the LSTM",
        action="store_true",
    )
    flag("max-len", "tokens of the longest sentence", type=positive)
    flag("batch-size", "pairs in a batch", type=positive)
    flag("accumulate", "batches that make one step together", type=positive)
    flag("learning-rate", "the peak", type=above_zero)
    flag("warmup-steps", "steps until the peak", type=positive)
    flag("dropout-rate", "share dropped in training", type=float)
    flag(
        "label-smoothing",
        "share of the probability for all tokens alike",
        type=share,
    )
    flag(
        "input-feeding",
        "of the LSTM: Luong's form, not the textbook's",
        action=argparse.BooleanOptionalAction,
    )
    flag("buckets", "groups of about the same length", type=positive)
    flag("beam-size", "beginnings kept when it translates", type=positive)
    flag("evaluate-every", "steps between validations", type=tens)
    flag("xla", "compile with XLA", action=argparse.BooleanOptionalAction)
    given = vars(parser.parse_args(argv))
    for name in ("pairs", "valid", "test"):
        if name in given and not given[name].startswith("jupyterlab:"):
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


def find_pairs(source):
    """Read a file, or a language pack."""
    from minitransformer import interface_pairs, read_pairs

    if source.startswith("jupyterlab:"):
        return interface_pairs(source.partition(":")[2])
    return read_pairs(source)


def load_pairs(settings):
    """Find the pairs: a name, and three lists, to train, validate, test."""
    from minitransformer import date_pairs
    from minitransformer.data.pairs import hold_out, looks_swapped

    source = settings["pairs"]
    if source is None and (settings["valid"] or settings["test"]):
        raise ValueError("--valid and --test need --pairs to train on.")
    if source is None:
        parts = date_pairs(
            train=20_000, valid=500, test=1000, seed=settings["seed"]
        )
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


def prepare(given):
    """Do all that a mistake of the user's can stop."""
    from minitransformer.runs.runs import write_settings
    from minitransformer.runs.sessions import begin, claim
    from minitransformer.writing.translating import SIDES, fingerprint

    model = MODELS[given.get("model", DEFAULTS["model"])]
    task = begin(
        given, {**DEFAULTS, **model}, moved=["pairs", "valid", "test"]
    )
    name, parts = load_pairs(task["settings"])
    tokenizers = make_tokenizers(task, parts[0])
    encoded = encode(parts, tokenizers, task["settings"])
    config(tokenizers, task["settings"])
    data = "\n".join("\t".join(pair) for part in parts for pair in part)
    claim(task, prefix=task["settings"]["model"], data=data)
    mine = fingerprint(tokenizers)
    if task["settings"].setdefault("vocabulary_sha256", mine) != mine:
        raise ValueError(
            f"The vocabularies in {task['folder']} are another run's: "
            "put its own back, or start another run with another --out."
        )
    if task["chief"]:
        write_settings(task["folder"], task["settings"])
        for side, tokenizer in zip(SIDES, tokenizers, strict=True):
            tokenizer.save(task["folder"] / side)
    return task | {
        "name": name,
        "parts": parts,
        "encoded": encoded,
        "tokenizers": tokenizers,
    }


def make_tokenizers(task, pairs):
    """Learn the pieces of both languages, together or each on its own."""
    from minitransformer import SentencePieceTokenizer
    from minitransformer.writing.translating import SIDES

    settings, found = task["settings"], task["found"]
    if settings["per_side"] and settings["model"] == "transformer":
        raise ValueError(
            "The Transformer has one vocabulary for both languages: leave "
            "out --per-side."
        )
    if found and all((found / side).is_file() for side in SIDES):
        return [SentencePieceTokenizer.load(found / side) for side in SIDES]
    print("learning the pieces …", flush=True)

    def learn(sentences):
        text = "\n".join(" " + sentence for sentence in sentences)
        return SentencePieceTokenizer.train(
            text, vocab_size=settings["vocab_size"]
        )

    sources, targets = zip(*pairs, strict=True)
    if settings["per_side"]:
        return [learn(sources), learn(targets)]
    return [learn(sources + targets)] * 2


def encode(parts, tokenizers, settings):
    """Turn pairs into ids, to train and to validate; say what is too long."""
    from minitransformer.data.buckets import encode_pairs

    max_len, encoded, skipped = settings["max_len"], [], []
    for part in parts:
        rows, too_long = encode_pairs(part, tokenizers, max_len=max_len)
        encoded.append(rows)
        skipped.append(too_long)
    for rows, what in zip(encoded[:2], ("train", "validate"), strict=True):
        if not rows:
            raise ValueError(
                f"No pair to {what} with has at most {max_len} tokens: give "
                "a larger --max-len."
            )
    if any(skipped):
        train, valid, test = skipped
        print(
            f"too long    more than {max_len} tokens have {train:,} pairs "
            f"to train with and {valid:,} to validate with, which are left "
            f"out, and {test:,} to test with, which are cut",
            flush=True,
        )
    return encoded[:2]


def config(tokenizers, settings):
    from minitransformer import LSTMSeq2SeqConfig, TransformerConfig

    if settings["model"] == "transformer":
        return TransformerConfig.small(
            tokenizers[0],
            settings["max_len"],
            dropout_rate=settings["dropout_rate"],
        )
    return LSTMSeq2SeqConfig.small(
        tokenizers,
        settings["attention"],
        dropout_rate=settings["dropout_rate"],
        input_feeding=settings["input_feeding"],
    )


def fit(task):
    """Train on what the strategy has; return the number of steps made."""
    from minitransformer.runs.sessions import in_scope

    with in_scope(task["strategy"]):
        return fit_in_scope(task)


def fit_in_scope(task):
    """Make the model, and train it."""
    import keras

    from minitransformer import (
        LSTMSeq2Seq,
        Transformer,
        WarmupInverseRoot,
        compile_evaluation,
        make_optimizer,
    )
    from minitransformer.data.buckets import (
        all_pairs,
        by_length,
        random_pairs,
    )
    from minitransformer.learning.losses import masked_accuracy
    from minitransformer.runs.compilation import xla_works
    from minitransformer.runs.sessions import resume_and_train

    settings, tokenizers = task["settings"], task["tokenizers"]
    keras.utils.set_random_seed(settings["seed"])
    kind = (
        Transformer if settings["model"] == "transformer" else LSTMSeq2Seq
    )
    model = task["model"] = kind(config(tokenizers, settings))
    width, warmup = model.config.d_model, settings["warmup_steps"]
    optimizer = make_optimizer(
        model,
        learning_rate=WarmupInverseRoot(
            d_model=width,
            warmup_steps=warmup,
            factor=settings["learning_rate"] * (width * warmup) ** 0.5,
        ),
        weight_decay=0.0,
        beta_2=0.98,
        epsilon=1e-9,
    )
    train, valid = task["encoded"]
    print(
        f"pairs       {task['name']}: {len(train):,} to train on, "
        f"{len(valid):,} to validate, {len(task['parts'][2]):,} to test"
    )
    print(
        f"model       {settings['model']}, {model.count_params():,} "
        f"parameters, {tokenizers[1].vocab_size:,} pieces"
    )
    print(
        "settings    "
        + ", ".join(
            f"{name} {value}"
            for name, value in settings.items()
            if not name.endswith("sha256") and value is not None
        )
    )
    print(f"run         {task['folder']}", flush=True)

    pad_id = model.config.pad_id
    grouped = by_length(train, pad_id=pad_id, count=settings["buckets"])
    data = all_pairs(
        by_length(valid, pad_id=pad_id, count=settings["buckets"]),
        batch_size=128,
        pad_id=pad_id,
    )

    def batches(first):
        return random_pairs(
            grouped,
            batch_size=settings["batch_size"],
            seed=settings["seed"],
            pad_id=pad_id,
            run=10 * settings["accumulate"],
            first=first,
        )

    use_xla = settings["xla"] and xla_works()
    mean_loss = compile_evaluation(model, use_xla=use_xla)
    accuracy = compile_evaluation(
        model, use_xla=use_xla, measure=masked_accuracy
    )
    task["accuracy"] = lambda: accuracy(data)
    return resume_and_train(
        task,
        model,
        optimizer,
        batches,
        evaluate=lambda: mean_loss(data),
        keep=5,
        label_smoothing=settings["label_smoothing"],
        # So the last five are from the last tenth of a long training.
        checkpoint_every=max(10, settings["steps"] // 500 * 10),
    )


def finish(task):
    """Average the last states, translate the test part, draw, sum up."""
    if not task["chief"]:
        return
    from minitransformer import (
        curve_svg,
        exact_match,
        translate,
    )
    from minitransformer.runs.logs import curve
    from minitransformer.runs.saving import write_atomically
    from minitransformer.writing.evaluation import (
        bleu_installed,
        corpus_bleu,
    )
    from minitransformer.writing.translating import alignment_svg

    folder, model, log = task["folder"], task["model"], task["log"]
    settings, tokenizers = task["settings"], task["tokenizers"]
    task["checkpoints"].average(model.trainable_variables)
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
            y_label="loss (nats a token)",
            label="Training and validation loss",
        ),
    )
    last = log.rows[-1]
    print(
        f"validation  {last['valid_loss']:.4f} nats a token before the last "
        f"states were averaged; then {task['accuracy']():.2%} of the tokens "
        "right, given those before"
    )
    print(f"time        {last['seconds']:.0f} s of training and validation")
    sources, references = zip(*task["parts"][2], strict=True)
    print(f"translating {len(sources):,} sentences …", flush=True)
    translations = translate(
        model,
        tokenizers,
        sources,
        max_len=settings["max_len"],
        beam_size=settings["beam_size"],
        use_xla=settings["xla"],
    )
    rows = list(zip(sources, translations, references, strict=True))
    write_atomically(
        folder / "translations.tsv",
        "".join("\t".join(row) + "\n" for row in rows),
    )
    print(f"exact match: {exact_match(translations, references):.3f}")
    if settings["pairs"] and bleu_installed():
        print(f"BLEU: {corpus_bleu(translations, references):.2f}")
    for source, ours, theirs in rows[:5]:
        note = "" if ours == theirs else f"   (reference: {theirs})"
        print(f"  {source}  →  {ours}{note}")
    if (
        settings["model"] == "transformer"
        or settings["attention"] != "none"
    ):
        write_atomically(
            folder / "alignment.svg",
            alignment_svg(
                model,
                tokenizers,
                sources[0],
                translations[0],
                max_len=settings["max_len"],
            ),
        )
        print(
            f"drawn       {folder / 'alignment.svg'}, {folder / 'loss.svg'}"
        )
    other = Path(sys.argv[0]).with_name("translate.py")
    rival = "lstm" if settings["model"] == "transformer" else "transformer"
    same = []
    for name, default in DEFAULTS.items():
        if settings[name] != default and name in SHARED:
            same += ["--" + name.replace("_", "-"), settings[name]]
    print("\nNext, try")
    print(" ", command(other, "--run", folder, sources[0]))
    print(" ", command(sys.argv[0], "--model", rival, *same))


if __name__ == "__main__":
    sys.exit(main())
