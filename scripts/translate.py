"""Translate a sentence with a trained translator. Only it goes to stdout."""

if __name__ == "__main__":  # before slower imports
    from minitransformer.runs.signals import begin

    begin()

import argparse
import itertools
from pathlib import Path

import minitransformer as mt
from minitransformer.figures import plain
from minitransformer.runs.commands import refuse, say, user_errors
from minitransformer.runs.flags import Parser, positive
from minitransformer.runs.folders import newest_run, read_settings
from minitransformer.runs.given import checked, read_text, whole
from minitransformer.runs.saving import write_atomically
from minitransformer.runs.shipped import named_folder


def parse(argv):
    parser = Parser(description=__doc__)
    parser.add_argument("sentence", help="the sentence to translate")
    parser.add_argument(
        "--run",
        metavar="DIR",
        help="a run of train_translation.py, or a trained translator of dates that came with the "
        "package: 'shipped' for the Transformer, 'shipped-lstm' (default: the newest in runs/)",
    )
    parser.add_argument(
        "--picture",
        metavar="FILE",
        help="where to draw the attention, as SVG (default: alignment.svg in "
        "the current folder, or the next name that is free)",
    )
    parser.add_argument(
        "--beam-size",
        type=positive,
        default=4,
        help="hypotheses to keep; 1 is greedy (default: %(default)s)",
    )
    parser.add_argument(
        "--xla", default=False, help="compile with XLA", action=argparse.BooleanOptionalAction
    )
    return parser.parse_args(argv)


def main(argv=None):
    flags = parse(argv)
    if not flags.sentence.strip():
        refuse("The sentence is empty: give at least one word.")
    with user_errors():
        run(flags)
    return 0


def run(flags):
    """Translate, print, and draw."""
    from minitransformer.writing.translating import alignment_svg

    if flags.run:
        folder = named_folder(flags.run, "transformer", "lstm")
    else:
        folder = newest_run("runs", ["target.model"])
    model, tokenizers, max_len = load(folder)
    if spelled_in_bytes(tokenizers[0], flags.sentence) > 0.5:
        say(
            "warning: most of this sentence is spelled in bytes, since the "
            "vocabulary was learned from another language."
        )
    elif swapped(folder, flags.sentence):
        say("warning: this looks like the language that the model translates into.")
    [translation] = mt.translate(
        model,
        tokenizers,
        [flags.sentence],
        max_len=max_len,
        beam_size=flags.beam_size,
        use_xla=flags.xla,
    )
    print(plain(translation), flush=True)
    if getattr(model.config, "attention", None) == "none":
        say("This model has no attention to draw.")
        return
    picture = Path(flags.picture) if flags.picture else free_name()
    write_atomically(
        picture, alignment_svg(model, tokenizers, flags.sentence, translation, max_len=max_len)
    )
    say(f"drawn: {picture}")


def spelled_in_bytes(tokenizer, sentence):
    """Measure how much of a sentence the vocabulary has no piece for.

    Returns:
        The share of its tokens that are single bytes, from 0 to 1.
    """
    ids = tokenizer.encode(sentence)
    return sum(map(tokenizer.processor.IsByte, ids)) / max(len(ids), 1)


def free_name():
    """Find a name that no file has, so that nothing is overwritten."""
    names = (f"alignment-{number}.svg" for number in itertools.count(2))
    candidates = map(Path, itertools.chain(["alignment.svg"], names))
    return next(path for path in candidates if not path.exists())


def swapped(folder, sentence):
    """Tell whether a sentence's words are those of the translations."""
    from minitransformer.data.pairs import looks_swapped

    path = Path(folder) / "translations.tsv"
    if not path.is_file():
        return False
    rows = [line.split("\t") for line in read_text(path).splitlines()]
    tested = [(row[0], row[-1]) for row in rows]
    return looks_swapped([(sentence, "")], tested)


def load(folder):
    """Load a run of `train_translation.py`.

    Returns:
        The model, its two tokenizers, and the largest number of tokens.
    """
    from minitransformer.writing.translating import SIDES, fingerprint

    folder = Path(folder)
    if not all((folder / side).is_file() for side in SIDES):
        raise ValueError(
            f"{folder} holds no translator: train one with "
            "train_translation.py, or name its folder with --run."
        )
    settings = read_settings(folder)
    try:
        max_len = whole("max_len", settings.get("max_len"))
        kinds = ("transformer", "lstm")
        kind = checked(
            str, "model", settings.get("model"), kinds.__contains__, "transformer or lstm"
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"The settings.json in {folder} is damaged: {error}") from None
    tokenizers = [mt.SentencePieceTokenizer.load(folder / s) for s in SIDES]
    if kind == "transformer":
        model = mt.Transformer.load(folder)
        sizes = [model.config.vocab_size] * 2
    else:
        model = mt.LSTMSeq2Seq.load(folder)
        config = model.config
        sizes = [config.source_vocab_size, config.target_vocab_size]
    for side, tokenizer, size in zip(SIDES, tokenizers, sizes, strict=True):
        if tokenizer.vocab_size != size:
            raise ValueError(
                f"{folder / side} has {tokenizer.vocab_size} pieces, but "
                f"the model was trained with {size}: it is another run's."
            )
    checksum = fingerprint(tokenizers)
    if settings.get("vocabulary_sha256", checksum) != checksum:
        raise ValueError(
            f"The vocabularies in {folder} are another run's: their pieces "
            "have other numbers than those the model was trained with."
        )
    return model, tokenizers, max_len


if __name__ == "__main__":
    main()
