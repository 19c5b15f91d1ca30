"""Tokenizers: from text to token ids and back."""

from pathlib import Path


def load_tokenizer(folder):
    """Load whichever tokenizer a run's folder holds.

    Args:
        folder: A run's folder.

    Returns:
        A `CharTokenizer` or a `SentencePieceTokenizer`.

    Raises:
        ValueError: if there is none.
    """
    from minitransformer.tokenizers.characters import CharTokenizer
    from minitransformer.tokenizers.sentencepieces import (
        SentencePieceTokenizer,
    )

    for kind in (CharTokenizer, SentencePieceTokenizer):
        path = Path(folder) / kind.file_name
        if path.is_file():
            return kind.load(path)
    raise ValueError(f"{folder} holds no tokenizer: is it a run's folder?")
