"""Evaluation: how good are translations?"""

import importlib.util
from collections.abc import Sequence

from minitransformer.runs.given import check_strings


def exact_match(
    translations: Sequence[str], references: Sequence[str]
) -> float:
    """Measure the share of translations that are right, letter by letter.

    Args:
        translations, references: Lists of strings, equally long.

    Returns:
        A float from 0 to 1.

    Raises:
        TypeError: if they are no lists of strings.
        ValueError: if the lists are empty, or not equally long.
    """
    check_comparable(translations, references)
    pairs = zip(translations, references, strict=True)
    return sum(found == right for found, right in pairs) / len(references)


def corpus_bleu(
    translations: Sequence[str], references: Sequence[str]
) -> float:
    """Measure how many word sequences are shared with the references.

    Args:
        translations, references: Lists of strings, equally long.

    Returns:
        BLEU, a float from 0 to 100, over all sentences together.

    Raises:
        TypeError: if they are no lists of strings.
        ValueError: if the lists are empty or not equally long, or sacrebleu
            is not installed.

    References:
        Papineni et al. 2002, §2; Post 2018 for sacrebleu, which splits the
        words.
    """
    check_comparable(translations, references)
    if not bleu_installed():
        raise ValueError("BLEU needs sacrebleu: pip install sacrebleu.")
    import sacrebleu

    return sacrebleu.corpus_bleu(translations, [references]).score


def bleu_installed() -> bool:
    """Tell whether sacrebleu is installed."""
    return importlib.util.find_spec("sacrebleu") is not None


def check_comparable(
    translations: Sequence[str], references: Sequence[str]
) -> None:
    """Refuse lists that are empty, not equally long, or of no strings."""
    translations = check_strings(translations, "translations")
    references = check_strings(references, "references")
    if not references or len(translations) != len(references):
        raise ValueError(
            f"{len(translations)} translations cannot be compared with "
            f"{len(references)} references."
        )
