"""Labelled: sentences and the classes that they belong to."""

import collections
from pathlib import Path

import numpy as np

from minitransformer.data.corpora import python_documents
from minitransformer.data.pairs import Pairs, read_columns

LIBRARY = {  # parts of Python's library: the first names of their modules
    "asynchronous": "asyncio concurrent multiprocessing threading",
    "files": "_pyio os pathlib posixpath shutil tarfile tempfile zipfile "
    "glob fileinput",
    "graphics": "tkinter turtle",
    "network": "email ftplib http imaplib mailbox nntplib poplib smtplib "
    "socket socketserver ssl urllib wsgiref xmlrpc ipaddress",
    "numbers": "_pydecimal datetime _pydatetime fractions numbers random "
    "statistics",
    "testing": "bdb cProfile doctest pdb trace traceback unittest logging "
    "timeit",
    "text": "codecs configparser csv difflib encodings gettext html json "
    "string textwrap xml",
}


def read_labelled(path: str | Path) -> Pairs:
    """Read a file with two columns, sentence and label.

    Args:
        path: A UTF-8 file, as `read_columns` reads it.

    Returns:
        A list of (sentence, label), both strings.

    Raises:
        ValueError: if the file cannot be read, or a line does not have two
            columns; the message has the line's number.
    """
    return read_columns(path, "label")


def library_sentences() -> Pairs:
    """Ask which part of Python's library a docstring is about.

    Returns:
        A list of (paragraph, part), a few thousand. It differs between
        Python versions.

    Raises:
        ValueError: if this Python was installed without its documentation.
    """
    part_of = {
        module: part
        for part, group in LIBRARY.items()
        for module in group.split()
    }
    return [
        (paragraph, part_of[name.split(".")[0]])
        for name, paragraphs in python_documents().items()
        if name.split(".")[0] in part_of
        for paragraph in paragraphs
    ]


def number_labels(rows: Pairs, *others: Pairs) -> list[str]:
    """Give each label a number, in alphabetical order.

    Args:
        rows: A list of (sentence, label) to learn from.
        *others: More such lists, to measure on.

    Returns:
        The list of labels; their places are the numbers.

    Raises:
        ValueError: if there is only one label, a label of `rows` occurs
            once, or one of the others is not in `rows`.
    """
    counts = collections.Counter(label for _, label in rows)
    if len(counts) < 2:
        raise ValueError(
            f"All sentences have the label {next(iter(counts))!r:.60}: "
            "give some with another one."
        )
    once = sorted(label for label, count in counts.items() if count == 1)
    if once:
        raise ValueError(
            f"The label {once[0]!r:.60} occurs once: nothing can be "
            "learned from a single sentence, so add more or leave it out."
        )
    unknown = sorted(
        {label for part in others for _, label in part} - set(counts)
    )
    if unknown:
        raise ValueError(
            f"The label {unknown[0]!r:.60} is to be measured, but no "
            "sentence to learn from has it."
        )
    return sorted(counts)


def hold_out_labelled(
    rows: Pairs, *, share: float, seed: int
) -> tuple[Pairs, Pairs]:
    """Keep some of each label's sentences, to measure on.

    Args:
        rows: A list of (sentence, label); repeated ones count once.
        share: Share of each label's sentences; one at least, half at most.
        seed: Integer; the same seed gives the same parts.

    Returns:
        Two lists: to learn from, and held out.
    """
    rows = list(dict.fromkeys(rows))
    order = np.random.default_rng(seed).permutation(len(rows))
    counts = collections.Counter(label for _, label in rows)
    left = {
        label: min(max(1, round(share * count)), count // 2)
        for label, count in counts.items()
    }
    parts: tuple[Pairs, Pairs] = [], []
    for i in order:
        label = rows[i][1]
        held = left[label] > 0
        left[label] -= held
        parts[held].append(rows[i])
    return parts
