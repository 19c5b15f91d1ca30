"""Pieces of words, learned by SentencePiece from a text of your own.

Frequent strings become one token; rare words are spelled in smaller pieces,
and new characters in bytes. So decoding gives back any text exactly.
"""

import io
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from minitransformer.runs.given import one_string, read_bytes, whole
from minitransformer.runs.saving import write_atomically

# SentencePiece writes a space as this character. A real one in a text is
# spelled in bytes; otherwise it would come back as a space.
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
SPACE_BYTES = [f"<0x{byte:02X}>" for byte in SPACE.encode()]
RESERVED = "\N{LOWER FIVE EIGHTHS BLOCK}"  # lines with it are not learned
# Published models often change these: spaces, line ends, rare characters.
PROBE = f" two  spaces,\nﬁve ก{SPACE}"
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
SMALLEST = 320  # 256 bytes, 4 special ids and some pieces


class SentencePieceTokenizer:
    """Split text into learned pieces.

    Args:
        model: A SentencePiece model, as bytes, from `train` or `load`.

    References:
        Kudo & Richardson 2018; Kudo 2018 for the unigram model.
    """

    file_name = "sentencepiece.model"

    def __init__(self, model: bytes) -> None:
        import sentencepiece

        self.model = model
        self.processor = sentencepiece.SentencePieceProcessor()
        self.processor.LoadFromSerializedProto(model)
        self.pad_id = self.processor.pad_id()
        self.unk_id = self.processor.unk_id()
        self.bos_id = self.processor.bos_id()
        self.eos_id = self.processor.eos_id()
        self.space_ids = list(map(self.processor.PieceToId, SPACE_BYTES))

    @classmethod
    def train(cls, text: str, *, vocab_size: int) -> Self:
        """Learn the pieces of a text.

        Args:
            text: A string.
            vocab_size: Number of ids, at least 320: the bytes and the
                special ids need 260. A short text may give fewer.

        Raises:
            ValueError: if `vocab_size` is too small for the text's
                characters, or the text is empty.
        """
        text = one_string("text", text)
        vocab_size = whole("vocab_size", vocab_size)
        if vocab_size < SMALLEST:
            raise ValueError(
                f"vocab_size={vocab_size} is too small: give at least "
                f"{SMALLEST}."
            )
        parts = (
            line[i : i + 1000]
            for line in text.replace(SPACE, " ").split("\n")
            for i in range(0, len(line), 1000)
        )
        model = learn(
            parts,
            vocab_size=vocab_size,
            model_type="unigram",
            byte_fallback=True,
            character_coverage=0.9995,
            required_chars=SPACE,  # even if the text has none
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            user_defined_symbols=["\n"],
            pad_id=0,
            unk_id=1,
            bos_id=2,
            eos_id=3,
        )
        return cls(model)

    @property
    def vocab_size(self) -> int:
        """Number of ids, special ones and bytes included."""
        return self.processor.GetPieceSize()

    def encode(self, text: str) -> list[int]:
        """Turn text into ids, never special ones: "</s>" is text."""
        text = one_string("text", text)
        # UTF-8 cannot write half a surrogate pair: it becomes "?".
        text = text.encode("utf-8", "replace").decode("utf-8")
        ids: list[int] = []
        for i, part in enumerate(text.split(SPACE)):
            ids += self.space_ids if i else []
            ids += self.processor.EncodeAsIds(part)
        return ids

    def decode(self, token_ids: Iterable[int]) -> str:
        """Turn ids, a list or an array `(seq,)`, into text; never raises.

        Special ids are left out. Bytes that make no character and unknown
        ids become "\N{REPLACEMENT CHARACTER}".
        """
        data = b""
        for i in map(int, token_ids):
            if i == self.unk_id or not 0 <= i < self.vocab_size:
                data += UNKNOWN.encode()
            elif self.processor.IsByte(i):
                data += bytes([int(self.processor.IdToPiece(i)[3:-1], 16)])
            elif not self.processor.IsControl(i):
                piece = self.processor.IdToPiece(i).replace(SPACE, " ")
                data += piece.encode()
        return data.decode("utf-8", "replace")

    def unknown(self, text: str) -> list[str]:
        """List the characters without an id: none if it has bytes."""
        return sorted(c for c in set(text) if self.unk_id in self.encode(c))

    def save(self, path: str | Path) -> None:
        """Write the SentencePiece model."""
        write_atomically(path, self.model)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read the file that `save` wrote, or a published model.

        If a published model changes texts, a warning shows an example.

        Raises:
            ValueError: if the file is damaged.
        """
        data = read_bytes(path, 2**28)
        try:
            tokenizer = cls(data)
            tokenizer.decode(range(tokenizer.vocab_size))  # all can be read
            again = tokenizer.decode(tokenizer.encode(PROBE))
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error
        if again != PROBE:
            warnings.warn(
                f"{path} is not exact: {PROBE!r} comes back as {again!r}.",
                stacklevel=2,
            )
        return tokenizer


def learn(lines: Iterable[str], vocab_size: int, **options: Any) -> bytes:
    """Let SentencePiece learn pieces from lines; return a model's bytes.

    `options` are those of SentencePiece's trainer.

    Raises:
        ValueError: if it cannot learn from these lines.
    """
    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=(
                line.replace(RESERVED, " ") for line in lines
            ),
            model_writer=model,
            vocab_size=vocab_size,
            hard_vocab_limit=False,
            normalization_rule_name="identity",
            num_threads=1,
            minloglevel=2,
            **options,
        )
    except RuntimeError as error:
        raise ValueError(
            f"SentencePiece cannot learn {vocab_size} pieces from this "
            f"text: try another vocab_size or a longer text ({error})"
        ) from error
    return model.getvalue()
