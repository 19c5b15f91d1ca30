"""Evaluation: how good are translations?"""

import importlib.util


def exact_match(translations, references):
    """Measure the share of translations that are right, letter by letter.

    Args:
        translations, references: Lists of strings, equally long.

    Returns:
        A float from 0 to 1.

    Raises:
        ValueError: if the lists are empty, or not equally long.
    """
    check(translations, references)
    pairs = zip(translations, references, strict=True)
    return sum(ours == theirs for ours, theirs in pairs) / len(references)


def corpus_bleu(translations, references):
    """Measure how many word sequences are shared with the references.

    Args:
        translations, references: Lists of strings, equally long.

    Returns:
        BLEU, a float from 0 to 100, over all sentences together.

    Raises:
        ValueError: if the lists are empty or not equally long, or sacrebleu
            is not installed.

    References:
        Papineni et al. 2002, §2; Post 2018 for sacrebleu, which splits the
        words.
    """
    check(translations, references)
    if not bleu_installed():
        raise ValueError("BLEU needs sacrebleu: pip install sacrebleu.")
    import sacrebleu

    return sacrebleu.corpus_bleu(translations, [references]).score


def bleu_installed():
    """Tell whether sacrebleu is there."""
    return importlib.util.find_spec("sacrebleu") is not None


def by_source_length(sources, translations, references, measure, limits):
    """Measure short and long sentences apart.

    Args:
        sources, translations, references: Lists of strings, equally long.
        measure: `exact_match` or `corpus_bleu`.
        limits: Numbers of words: the first group has up to the first
            number of words in its source, and so on. Longer sources than
            the last one are in no group.

    Returns:
        A list of (limit, number of sentences, measure) for each group that
        has a sentence.
    """
    made, below = [], 0
    for limit in limits:
        rows = [
            (ours, theirs)
            for source, ours, theirs in zip(
                sources, translations, references, strict=True
            )
            if below < len(source.split()) <= limit
        ]
        if rows:
            ours, theirs = map(list, zip(*rows, strict=True))
            made.append((limit, len(rows), measure(ours, theirs)))
        below = limit
    return made


def check(translations, references):
    """Refuse lists that cannot be compared."""
    if not references or len(translations) != len(references):
        raise ValueError(
            f"{len(translations)} translations cannot be compared with "
            f"{len(references)} references."
        )
