"""Tokenizers: from text to token ids and back."""

from pathlib import Path
from typing import Any


def load_tokenizer(folder: str | Path) -> Any:
    """Load the tokenizer in a run's folder, or in GPT-2's.

    A published folder may hold one SentencePiece model of any name, such
    as `tokenizer.model`.

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
    for pieces, merges in bpe.GPT2_FILES:
        if (Path(folder) / pieces).is_file():
            return kinds[2].from_gpt2(folder, pieces, merges)
    if len(models := [*Path(folder).glob("*.model")]) == 1:
        return sentencepieces.SentencePieceTokenizer.load(models[0])
    raise ValueError(f"{folder} has no tokenizer: give a run's folder.")
