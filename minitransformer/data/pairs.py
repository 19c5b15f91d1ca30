"""Pairs: sentences and their translations, as text."""

import importlib.util
import json
import warnings
from pathlib import Path

import numpy as np

from minitransformer.data.corpora import read_text


def read_pairs(path):
    """Read a file with two columns, sentence and translation.

    Args:
        path: A UTF-8 file: on each line a sentence, a tab, its translation.
            Further columns are not read. Empty lines are left out, and a
            warning says how many there were.

    Returns:
        A list of (source, target), with one space between words.

    Raises:
        ValueError: if it cannot be read, or a line has no second column or
            an empty one; the message has the line's number.
    """
    pairs, empty = [], 0
    lines = read_text(path).rstrip("\n").split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            empty += 1
            continue
        source, _, rest = line.partition("\t")
        target = rest.partition("\t")[0]
        pair = " ".join(source.split()), " ".join(target.split())
        if not all(pair):
            raise ValueError(
                f"{path}, line {number}: give a sentence, a tab and its "
                "translation on each line."
            )
        pairs.append(pair)
    if empty:
        warnings.warn(
            f"{path}: empty lines are left out, {empty:,} of "
            f"{len(lines):,}.",
            stacklevel=2,
        )
    return pairs


def hold_out(pairs, *, share, seed):
    """Keep some pairs for validation and as many for a test.

    No source sentence is in two of the parts, however often it comes.

    Args:
        pairs: A list of (source, target).
        share: Share of the different sources in each of the two parts.
        seed: Integer; the same seed gives the same parts.

    Returns:
        Three lists: training, validation, test.

    Raises:
        ValueError: if there are fewer than 3 different sources.
    """
    sources = sorted({source for source, _ in pairs})
    if len(sources) < 3:
        raise ValueError(
            f"There are {len(sources)} different sentences: training, "
            "validation and test need one each, at least."
        )
    order = np.random.default_rng(seed).permutation(len(sources))
    count = min(max(1, round(share * len(sources))), len(sources) // 3)
    part_of = {sources[i]: 1 for i in order[:count]}
    part_of |= {sources[i]: 2 for i in order[count : 2 * count]}
    parts = [], [], []
    for pair in pairs:
        parts[part_of.get(pair[0], 0)].append(pair)
    return parts


def looks_swapped(pairs, reference):
    """Tell whether the columns of some pairs are the other way round.

    Args:
        pairs: A list of (source, target).
        reference: Pairs whose columns are right, such as the training's.

    Returns:
        True if the words of `pairs` are found in the other column of
        `reference` more often than in their own.
    """
    known = [
        {word for pair in reference for word in pair[side].split()}
        for side in (0, 1)
    ]

    def found(side, column):
        words = [word for pair in pairs for word in pair[side].split()]
        return sum(word in known[column] for word in words)

    return found(0, 1) + found(1, 0) > found(0, 0) + found(1, 1)


def interface_pairs(language):
    """Read the texts of JupyterLab's menus, and their translations.

    Args:
        language: Such as "ko-KR" or "fr-FR"; its package
            `jupyterlab-language-pack-ko-KR`, … must be installed.

    Returns:
        A list of (English, translation), some thousands.

    Raises:
        ValueError: if the package is not installed.
    """
    package = "jupyterlab_language_pack_" + language.replace("-", "_")
    found = package.isidentifier() and importlib.util.find_spec(package)
    if not found or not found.origin:
        raise ValueError(
            f"There is no language pack {language}: install it with pip "
            f"install jupyterlab-language-pack-{language}."
        )
    pairs = set()
    folder = Path(found.origin).parent / "locale"
    for path in sorted(folder.rglob("*.json")):
        catalog = json.loads(path.read_text(encoding="utf-8"))
        catalog.pop("", None)  # about the file
        for english, translated in catalog.items():
            translated = translated[0] if translated else ""
            english = english.rpartition("\4")[2]  # behind its context
            pair = " ".join(english.split()), " ".join(translated.split())
            if all(pair):
                pairs.add(pair)
    return sorted(pairs)
