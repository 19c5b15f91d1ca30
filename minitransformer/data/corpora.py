"""Texts to learn from: Python's documentation, Shakespeare, your own."""

import ast
import hashlib
import random
import re
import sys
import sysconfig
import unicodedata
from pathlib import Path

from minitransformer.runs.given import read_text as read_file
from minitransformer.runs.saving import write_atomically

CLEANING = 1  # part of the cached file's name; raise it with each change
SHAKESPEARE = (
    "https://storage.googleapis.com/download.tensorflow.org/data/"
    "shakespeare.txt"
)
SHAKESPEARE_SHA256 = (
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
)
LEFT_OUT = (  # folders: installed packages, tests, and others
    "site-packages dist-packages test tests idle_test lib2to3 pydoc_data "
    "turtledemo"
)
DOCUMENTED = (
    ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
)


def cache_folder() -> Path:
    """Name this package's folder in the user's cache; it may not exist."""
    import platformdirs

    return platformdirs.user_cache_path("minitransformer", appauthor=False)


def read_text(path: str | Path) -> str:
    """Read a text file of your own.

    Args:
        path: A file in UTF-8, with or without a byte-order mark, or in
            UTF-16 with one.

    Returns:
        The text, with line ends as "\\n".

    Raises:
        ValueError: if it is missing, not an ordinary file, empty, or not
            text in such an encoding.
    """
    text = read_file(path)
    if not text.strip():
        raise ValueError(f"{path} is empty: give a file with text in it.")
    return text


def shakespeare() -> str:
    """Fetch tiny Shakespeare (1.1 MB) once, into the user's cache folder.

    Returns:
        The text, 1,115,394 characters. Its checksum is verified each time.

    Raises:
        ValueError: if it cannot be fetched, or has another checksum.
    """
    path = cache_folder() / "shakespeare.txt"
    if path.is_file():  # also where nothing may be written
        text = path.read_bytes()
        if hashlib.sha256(text).hexdigest() == SHAKESPEARE_SHA256:
            return read_text(path)
    import keras

    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        keras.utils.get_file(
            path.name,
            SHAKESPEARE,
            file_hash=SHAKESPEARE_SHA256,
            hash_algorithm="sha256",
            cache_dir=cache_folder(),
            cache_subdir="",
        )
    except Exception as error:  # Keras raises the bare class when offline
        raise ValueError(
            f"Shakespeare could not be fetched ({error}). Try again "
            "online, give a file of your own with --text FILE, or leave "
            "--text out for the built-in text."
        ) from error
    return read_text(path)


def python_docs() -> str:
    """Read Python's own documentation: no download, about 1.4 M characters.

    This is the language reference that `help()` shows, and the docstrings
    of the standard library: only paragraphs of prose, each once, in ASCII.
    The documents are shuffled, so that the end of the text resembles its
    beginning. The text differs between Python versions; it is kept in the
    user's cache folder.

    Returns:
        The text: one line per paragraph, an empty one between documents.

    Raises:
        ValueError: if this Python was installed without its topics.
    """
    version = "{}.{}.{}".format(*sys.version_info[:3])
    path = cache_folder() / f"python-docs-{version}-{CLEANING}.txt"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    documents = [
        "".join(paragraph + "\n" for paragraph in paragraphs)
        for paragraphs in python_documents().values()
    ]
    random.Random(0).shuffle(documents)
    text = "\n".join(documents)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    except OSError:
        pass  # without a cache, the next call reads everything again
    return text


def python_documents() -> dict[str, list[str]]:
    """Read the documents of `python_docs`, with their names.

    Returns:
        A dictionary from names to lists of paragraphs. A name is that of a
        module, such as "json.decoder", or a topic, such as "topic with".
    """
    named = {f"topic {name}": text for name, text in topics().items()}
    seen, documents = set(), {}
    for name, text in (named | docstrings()).items():
        paragraphs = []
        for paragraph in map(clean, re.split(r"\n\s*\n", text)):
            if paragraph and paragraph.lower() not in seen:
                seen.add(paragraph.lower())
                paragraphs.append(paragraph)
        if paragraphs:
            documents[name] = paragraphs
    return documents


def topics() -> dict[str, str]:
    """Find the topics of `help()`: a dictionary from names to texts."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise ValueError(
            "This Python came without its documentation topics (Debian's "
            "-minimal packages leave them out). Install the full package, "
            "for example libpython3-stdlib, or give --text FILE."
        ) from None
    return dict(sorted(topics.items()))


def docstrings() -> dict[str, str]:
    """Find the docstrings of the standard library.

    Returns:
        A dictionary from modules, such as "json.decoder", to all their
        docstrings, with empty lines between them.
    """
    library, documents = Path(sysconfig.get_path("stdlib")), {}
    for path in sorted(library.rglob("*.py")):
        inside = path.relative_to(library)
        if {*LEFT_OUT.split()} & {*inside.parts}:
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, OSError):
            continue
        texts = [
            ast.get_docstring(node) or ""
            for node in ast.walk(tree)
            if isinstance(node, DOCUMENTED)
        ]
        name = ".".join(inside.with_suffix("").parts)
        documents[name.removesuffix(".__init__")] = "\n\n".join(texts)
    return documents


def clean(paragraph: str) -> str:
    """Turn a paragraph of prose into one line of ASCII, others into "".

    Examples:
        >>> clean("Return the number\\n  of “sub” in this list.")
        'Return the number of "sub" in this list.'
    """
    if ">>>" in paragraph or "::=" in paragraph:
        return ""  # a session or a grammar
    quotes = str.maketrans("“”‘’–—", "\"\"''--")
    line = " ".join(paragraph.translate(quotes).split())
    line = unicodedata.normalize("NFKD", line)
    line = line.encode("ascii", "ignore").decode()
    letters = sum(c.isalpha() or c == " " for c in line)
    sentence = re.match(r"[A-Z\"'*(]", line) and re.search(
        r"[.!?:)]$", line
    )
    prose = len(line) > 30 and letters > 0.85 * len(line) and sentence
    return line if prose else ""
