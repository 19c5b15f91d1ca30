"""Evaluation: measure how good translations are."""

import importlib.util
from collections.abc import Sequence

from minitransformer.runs.given import check_strings


def exact_match(
    translations: Sequence[str], references: Sequence[str]
) -> float:
    """Measure the share of translations that equal their references.

    Args:
        translations, references: Lists of strings, equally long.

    Returns:
        A float from 0 to 1.

    Raises:
        TypeError, ValueError: if these are no such lists, or empty.
    """
    check_comparable(translations, references)
    pairs = zip(translations, references, strict=True)
    return sum(found == right for found, right in pairs) / len(references)


def corpus_bleu(
    translations: Sequence[str], references: Sequence[str]
) -> float:
    """Measure BLEU: how many word sequences the references share.

    Args:
        translations, references: Same as in `exact_match`.

    Returns:
        A float from 0 to 100, over all sentences together.

    Raises:
        TypeError, ValueError: Same as in `exact_match`, or if sacrebleu is
            not installed.

    References:
        Papineni et al. 2002, §2; Post 2018 for sacrebleu.
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
    """Refuse lists that are empty, not equally long, or not of strings."""
    translations = check_strings(translations, "translations")
    references = check_strings(references, "references")
    if not references or len(translations) != len(references):
        raise ValueError(
            f"Found {len(translations)} translations and {len(references)} "
            "references, expected one reference per translation."
        )
