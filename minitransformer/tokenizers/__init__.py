"""Tokenizers: from text to token ids and back."""

from pathlib import Path
from typing import Any


def load_tokenizer(folder: str | Path) -> Any:
    """Load the tokenizer in a run's folder, whatever its kind.

    Args:
        folder: A run's folder.

    Returns:
        A `CharTokenizer`, `SentencePieceTokenizer`,
        `BytePairTokenizer` or `WordPieceTokenizer`.

    Raises:
        ValueError: if there is none.
    """
    from minitransformer.tokenizers import (
        bpe,
        characters,
        sentencepieces,
        wordpiece,
    )

    kinds: list[Any] = [
        characters.CharTokenizer,
        sentencepieces.SentencePieceTokenizer,
        bpe.BytePairTokenizer,
        wordpiece.WordPieceTokenizer,
    ]
    for kind in kinds:
        path = Path(folder) / kind.file_name
        if path.is_file():
            return kind.load(path)
    raise ValueError(f"{folder} has no tokenizer: give a run's folder.")
