"""Labelled: sentences, and the class of each."""

import collections
from pathlib import Path

import numpy as np

from minitransformer.data.corpora import python_documents
from minitransformer.data.pairs import Pairs, read_columns

LIBRARY = {  # parts of Python's library, and the modules of each part
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
    """Read a list of (sentence, label), as `read_columns` does."""
    return read_columns(path, "label")


def library_sentences() -> Pairs:
    """Pair each paragraph of a docstring with its part of the library.

    Returns:
        A list of (paragraph, part), a few thousand. It differs between
        Python versions.
    """
    part_of = {m: p for p, group in LIBRARY.items() for m in group.split()}
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
        The list of labels; the place of a label is its number.

    Raises:
        ValueError: if there is only one label, a label of `rows` occurs
            only once, or a label of the other lists is not in `rows`.
    """
    counts = collections.Counter(label for _, label in rows)
    if len(counts) < 2:
        raise ValueError(
            f"All sentences have the label {next(iter(counts))!r:.60}: "
            "add sentences with another label."
        )
    once = sorted(label for label, count in counts.items() if count == 1)
    if once:
        raise ValueError(
            f"The label {once[0]!r:.60} occurs once: add sentences with "
            "this label, or leave it out."
        )
    measured = {label for part in others for _, label in part}
    if unknown := sorted(measured - {*counts}):
        raise ValueError(
            f"The label {unknown[0]!r:.60} is to be measured, but no "
            "sentence to learn from has it."
        )
    return sorted(counts)


def hold_out_labelled(
    rows: Pairs, *, share: float, seed: int
) -> tuple[Pairs, Pairs]:
    """Hold out some sentences of each label, to measure on.

    Args:
        rows: A list of (sentence, label); repeated ones count once.
        share: Share of the sentences of each label; at least one sentence,
            at most half of them.
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
