"""Pairs: sentences and their translations, as text."""

import contextlib
import csv
import importlib.util
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from minitransformer.data.corpora import read_text

Pairs = list[tuple[str, str]]


def read_columns(path: str | Path, what: str) -> Pairs:
    """Read the first two columns of a file, with a tab between them.

    Args:
        path: A text file. Further columns, which often name an author, are
            not read. Empty lines are left out, with one warning that counts
            them. A spreadsheet's quotes, ";" in place of the tab and,
            in a file named .csv, "," are accepted with a warning.
        what: Name of the second column, such as "translation".

    Returns:
        The rows, without spaces around the columns.

    Raises:
        ValueError: if the file cannot be read, or a line has an empty first
            or second column; the message has the line's number.
    """
    rows, empty, lines = [], 0, read_text(path).rstrip("\n").split("\n")
    table = csv.reader(lines, **dialect(path, lines))
    try:
        for columns in table:
            first, second, *_ = [*map(str.strip, columns), "", ""]
            if first and second:
                rows.append((first, second))
            elif any(map(str.strip, columns)):
                raise ValueError(
                    f"{path}, line {table.line_num}: found "
                    f"{bool(first) + bool(second)} of 2 columns. Give a "
                    f"sentence, a tab and its {what} on each line."
                )
            else:
                empty += 1
    except csv.Error as error:  # a column of more than 131,072 characters
        place = f"{path}, line {table.line_num}"
        raise ValueError(f"{place}: {error}.") from None
    if empty:
        counts = f"{empty:,} of {len(lines):,}"
        message = f"{path}: empty lines are left out, {counts}."
        warnings.warn(message, stacklevel=3)
    return rows


def dialect(path: str | Path, lines: list[str]) -> dict[str, Any]:
    """Find out how a table was written, as options of `csv.reader`.

    Quotes are letters of the text, unless a spreadsheet added them: around
    a column whose own quotes are doubled, around all columns, or around
    exactly those with a comma.
    """
    cells = [cell for line in lines for cell in line.split("\t") if cell]
    wrapped = [
        cell
        for cell in cells
        if cell[0] == cell[-1] == '"' != cell
        and '"' not in cell[1:-1].replace('""', "")
    ]
    quoted = bool(wrapped) and (
        len(wrapped) == len(cells)
        or any('"' in cell[1:-1] for cell in wrapped)
        or set(wrapped) == {cell for cell in cells if "," in cell}
    )
    delimiter = "\t"
    if not any("\t" in line for line in lines):
        full = [line for line in lines if line]
        for mark in ";," if Path(path).suffix == ".csv" else ";":
            with contextlib.suppress(csv.Error):
                rows = csv.reader(full, delimiter=mark)
                sizes = {len(row) for row in rows}
                if len(sizes) == 1 and sizes != {1}:
                    delimiter, quoted = mark, True
                    break
    if quoted:
        warnings.warn(
            f"{path} is read as a spreadsheet's table, with {delimiter!r} "
            "between columns; quotes around a column are removed.",
            stacklevel=4,
        )
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    return {"delimiter": delimiter, "quoting": quoting}


def read_pairs(path: str | Path) -> Pairs:
    """Read sentences and their translations, as `read_columns` does.

    Returns:
        A list of (source, target), with one space between words.
    """
    return [
        (" ".join(source.split()), " ".join(target.split()))
        for source, target in read_columns(path, "translation")
    ]


def hold_out(pairs: Pairs, *, share: float, seed: int) -> tuple[Pairs, ...]:
    """Hold out some pairs for validation, and as many for a test.

    All pairs with the same source sentence go into the same part.

    Args:
        pairs: A list of (source, target).
        share: Share of the different sources, for each of the two.
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
            "validation and test need at least one each."
        )
    order = np.random.default_rng(seed).permutation(len(sources))
    count = min(max(1, round(share * len(sources))), len(sources) // 3)
    part_of = {sources[i]: 1 for i in order[:count]}
    part_of |= {sources[i]: 2 for i in order[count : 2 * count]}
    return tuple(
        [pair for pair in pairs if part_of.get(pair[0], 0) == part]
        for part in range(3)
    )


def looks_swapped(pairs: Pairs, reference: Pairs) -> bool:
    """Tell whether the two columns of `pairs` are exchanged.

    True if their words occur in the other column of `reference`, pairs
    whose columns are right, more often than in the same column.
    """
    known = [
        {word for pair in reference for word in pair[side].split()}
        for side in (0, 1)
    ]

    def found(side, column):
        words = [word for pair in pairs for word in pair[side].split()]
        return sum(word in known[column] for word in words)

    return found(0, 1) + found(1, 0) > found(0, 0) + found(1, 1)


def interface_pairs(language: str) -> Pairs:
    """Read JupyterLab's menus and messages, with their translations.

    Args:
        language: A language such as "ko-KR"; its package, here
            `jupyterlab-language-pack-ko-KR`, must be installed.

    Returns:
        A list of (English, translation), usually some thousands.

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
        catalog.pop("", None)  # facts about the file
        for english, translated in catalog.items():
            english = english.rpartition("\4")[2]  # without its context
            texts = english, *translated[:1]
            pair = tuple(" ".join(text.split()) for text in texts)
            if len(pair) == 2 and all(pair):
                pairs.add(pair)
    return sorted(pairs)
