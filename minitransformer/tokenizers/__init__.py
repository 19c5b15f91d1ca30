"""Tokenizers: from text to token ids and back."""

from pathlib import Path
from typing import Any


def load_tokenizer(folder: str | Path) -> Any:
    """Load the tokenizer that a run's folder holds, of any kind.

    Args:
        folder: A run's folder.

    Returns:
        A `CharTokenizer`, `SentencePieceTokenizer`,
        `BytePairTokenizer` or `WordPieceTokenizer`.

    Raises:
        ValueError: if there is none.
    """
    from minitransformer.tokenizers.bpe import BytePairTokenizer
    from minitransformer.tokenizers.characters import CharTokenizer
    from minitransformer.tokenizers.sentencepieces import (
        SentencePieceTokenizer,
    )
    from minitransformer.tokenizers.wordpiece import WordPieceTokenizer

    kinds: list[Any] = [CharTokenizer, SentencePieceTokenizer]
    kinds += [BytePairTokenizer, WordPieceTokenizer]
    for kind in kinds:
        path = Path(folder) / kind.file_name
        if path.is_file():
            return kind.load(path)
    raise ValueError(f"{folder} holds no tokenizer: is it a run's folder?")
