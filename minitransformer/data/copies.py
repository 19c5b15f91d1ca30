"""Copies: validation text that is also in the training text.

A model can learn such text by heart, so the validation loss no longer says
how well it reads new text.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence

from minitransformer.data.corpora import python_docs, read_text, shakespeare

PIECE = 60  # characters that are looked up in the training text
MOST = 400  # of these pieces


def compare_texts(settings: Mapping) -> str:
    """Look for validation text in the training text of a run.

    Args:
        settings: The run's settings, which say where its data are.

    Returns:
        A sentence, if a tenth or more of the validation text is also in
        the training text; else, or without the texts, "".
    """
    try:
        if "pairs" in settings:
            share = copied_share(*pair_files(settings))
        else:
            share = copied_share(*text_parts(settings))
    except ValueError:
        return ""
    if share < 0.1:
        return ""
    return (
        f"Of the validation text, {share:.0%} is also in the training "
        "text, word for word, so the validation loss does not show how "
        "well the model reads new text: delete the copies."
    )


def copied_share(train: Collection[str], valid: Sequence[str]) -> float:
    """Compute the share of pieces that are also in the training data.

    Args:
        train: The training text, or a set of lines.
        valid: Pieces of the validation text; some hundred are looked up.

    Examples:
        >>> copied_share("to be or not to be", ["or not", "no more"])
        0.5
    """
    pieces = valid[:: -(-len(valid) // MOST) or 1]
    found = sum(piece in train for piece in pieces)
    return found / len(pieces) if pieces else 0.0


def text_parts(settings: Mapping) -> tuple[str, list[str]]:
    """Read the training text, and the validation text in pieces.

    Raises:
        ValueError: if the text is gone, or is no longer the run's text.
    """
    source = settings.get("text")
    if source is None:
        text = python_docs()
    else:
        named = {"shakespeare": shakespeare}
        text = named[source]() if source in named else read_text(source)
    checksum = hashlib.sha256(text.encode()).hexdigest()
    if settings.get("text_sha256") != checksum:
        raise ValueError("The text has changed since: restore it.")
    place = int(0.9 * len(text))  # as the training scripts divide it
    starts = range(place, len(text) - PIECE + 1, PIECE)
    return text[:place], [text[i : i + PIECE] for i in starts]


def pair_files(settings: Mapping) -> tuple[set[str], list[str]]:
    """Read the lines of a translator's training and validation files.

    Raises:
        ValueError: if there are not two files. Then the script has made
            or divided the pairs itself, without copies.
    """
    pairs, valid = settings["pairs"], settings.get("valid")
    if pairs is None or valid is None:
        raise ValueError("There are no two files to compare.")
    lines = read_text(valid).split("\n")
    return {*read_text(pairs).split("\n")}, [x for x in lines if x.strip()]
