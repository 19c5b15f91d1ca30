"""Byte-level byte-pair encoding, as in GPT-2.

Pieces are joined bytes, so any text can be spelled, and decoding gives back
exactly the same text. Pieces are learned from a text or read from GPT-2's
files.
"""

import json
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from minitransformer.runs.given import (
    one_string,
    read_json,
    read_text,
    whole,
)
from minitransformer.runs.saving import write_atomically
from minitransformer.tokenizers.merges import (
    Pair,
    apply_merges_fast,
    learn_merges,
    single_bytes,
    split,
)

# Names of pieces and merges: OpenAI's, and Hugging Face's.
GPT2_FILES = ("encoder.json", "vocab.bpe"), ("vocab.json", "merges.txt")
END = "<|endoftext|>"
ENDS = END, "</s>"  # end of a text, in GPT-2 and in other models
SPECIAL = re.compile(r"<.+>|\[.+\]")  # how special tokens are spelled
UNKNOWN = "\N{REPLACEMENT CHARACTER}".encode()
REMEMBERED = 100_000  # words whose ids are kept


def byte_characters() -> list[str]:
    """List a visible character for each byte, as GPT-2 does.

    Returns:
        256 characters: the one with the byte's number if it is visible,
        otherwise the next from 256 on. A space is "Ġ", a newline "Ċ".
    """
    seen = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(b if b in seen else next(others)) for b in range(256)]


CHARACTERS = byte_characters()
BYTES = {character: byte for byte, character in enumerate(CHARACTERS)}


def to_characters(piece: bytes) -> str:
    """Write bytes in visible characters: b" low" becomes "Ġlow"."""
    return "".join(CHARACTERS[byte] for byte in piece)


def to_bytes(characters: str) -> bytes:
    """Undo `to_characters`; raise ValueError for other characters."""
    if not BYTES.keys() >= set(characters):
        raise ValueError(f"{reprlib.repr(characters)} stands for no bytes.")
    return bytes(BYTES[character] for character in characters)


def check(
    ids: Mapping[bytes, int],
    merges: Iterable[Pair],
    special: Mapping[str, int],
) -> None:
    """Raise ValueError unless pieces, merges and ids fit together."""
    numbers = [*ids.values(), *special.values()]
    made = {bytes([byte]) for byte in range(256)}
    for pair in merges:
        if len(pair) != 2 or not made.issuperset(pair):
            joined = reprlib.repr(" ".join(map(to_characters, pair)))
            raise ValueError(
                f"The merge {joined} joins no two earlier pieces."
            )
        made.add(pair[0] + pair[1])
    for piece in sorted(made ^ ids.keys())[:1]:
        raise ValueError(
            f"The piece {reprlib.repr(to_characters(piece))} is in the "
            "merges or in the vocabulary, not in both."
        )
    if len(set(map(str, numbers))) < len(numbers) or not all(
        type(i) is int and i >= 0 for i in numbers
    ):
        raise ValueError("Each piece needs an id of its own, from 0 on.")


class BytePairTokenizer:
    """Spell text in pieces that were joined from bytes.

    Args:
        ids: From each piece, a bytes object, to its id: all single bytes,
            and the pieces that the merges make.
        merges: Pairs of pieces, in the order of learning.
        special: From each special token, a string, to its id; text never
            makes these ids.

    Raises:
        ValueError: if the three do not fit together.

    Examples:
        >>> tokenizer = BytePairTokenizer.train("low low", vocab_size=259)
        >>> tokenizer.encode("low slow")  # 257 is "low", 32 is " "
        [257, 32, 115, 257]

    References:
        Sennrich, Haddow & Birch 2016, §3.2; Radford et al. 2019, §2.2.
    """

    file_name = "bpe.json"

    def __init__(
        self,
        ids: Mapping[bytes, int],
        merges: Sequence[Pair],
        special: Mapping[str, int],
    ) -> None:
        check(ids, merges, special)
        self.ids, self.special_ids = dict(ids), dict(special)
        ends = [self.special_ids[e] for e in ENDS if e in self.special_ids]
        self.eos_id = ends[0] if ends else None
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.pieces = {i: piece for piece, i in self.ids.items()}
        self.pieces |= {i: s.encode() for s, i in self.special_ids.items()}
        self.known: dict[str, list[int]] = {}  # word → its ids

    @classmethod
    def train(
        cls, text: str, *, vocab_size: int, special: Sequence[str] = (END,)
    ) -> Self:
        """Learn the pieces of a text.

        Args:
            text: A string.
            vocab_size: Number of ids: 256 bytes, the special tokens, and
                pieces. A short text may give fewer.
            special: Special tokens, which get the last ids.

        Raises:
            ValueError: if `vocab_size` is too small for the bytes, or the
                text is empty.
        """
        if not one_string("text", text):
            raise ValueError("The text is empty: give a longer one.")
        fixed = 256 + len(special)
        count = whole("vocab_size", vocab_size, fixed) - fixed
        merges = learn_merges(text, count)
        pieces = [bytes([byte]) for byte in range(256)]
        pieces += [left + right for left, right in merges]
        ids = {piece: i for i, piece in enumerate(pieces)}
        names = {name: len(ids) + i for i, name in enumerate(special)}
        return cls(ids, merges, names)

    @property
    def vocab_size(self) -> int:
        """Number of ids, special ones and bytes included."""
        return max(self.pieces) + 1

    def encode(self, text: str) -> list[int]:
        """Turn text into ids, never special ones: "</s>" is text."""
        ids: list[int] = []
        for word in split(one_string("text", text)):
            if word not in self.known:
                if len(self.known) == REMEMBERED:
                    self.known.clear()
                pieces = apply_merges_fast(single_bytes(word), self.ranks)
                self.known[word] = [self.ids[piece] for piece in pieces]
            ids += self.known[word]
        return ids

    def decode(self, token_ids: Iterable[int]) -> str:
        """Turn ids, a list or an array `(seq,)`, into text; never raises.

        Special tokens are written as they are called. Bytes that make no
        character and unknown ids become "\N{REPLACEMENT CHARACTER}".
        """
        data = [self.pieces.get(i, UNKNOWN) for i in map(int, token_ids)]
        return b"".join(data).decode("utf-8", "replace")

    def unknown(self, text: str) -> list[str]:
        """List the characters without an id: none, thanks to the bytes."""
        return []

    def save(self, path: str | Path) -> None:
        """Write the pieces, the merges and the special tokens as JSON."""
        data = {
            "pieces": {to_characters(p): i for p, i in self.ids.items()},
            "merges": [
                " ".join(map(to_characters, pair)) for pair in self.ranks
            ],
            "special": self.special_ids,
        }
        write_atomically(path, json.dumps(data) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read the file that `save` wrote.

        Raises:
            ValueError: if the file is missing or damaged.
        """
        data = read_json(path)
        names = "pieces", "merges", "special"
        return cls.parse(path, *map(data.get, names))

    @classmethod
    def from_gpt2(
        cls,
        folder: str | Path,
        pieces: str = "encoder.json",
        merges: str = "vocab.bpe",
    ) -> Self:
        """Read the tokenizer of GPT-2, or another in the same two files.

        A piece that no merge makes and that is spelled `<…>` or `[…]` is a
        special token.

        Args:
            folder: The folder with both files.
            pieces: Name of the first; Hugging Face's is "vocab.json".
            merges: Name of the second; Hugging Face's is "merges.txt".

        Raises:
            ValueError: if a file is missing or damaged, or the two do not
                fit together.
        """
        ids = read_json(Path(folder) / pieces)
        lines = read_text(Path(folder) / merges).split("\n")
        del lines[: lines[0].startswith("#version")]  # a line or none
        lines = [line for line in lines if line]
        made = {line.replace(" ", "") for line in lines}
        special = {
            name: ids.pop(name)
            for name in sorted(ids.keys() - made)
            if SPECIAL.fullmatch(name)
        }
        return cls.parse(folder, ids, lines, special)

    @classmethod
    def parse(
        cls, path: str | Path, pieces: Any, merges: Any, special: Any
    ) -> Self:
        """Make a tokenizer from what files hold; name them in errors."""
        try:
            ids = {to_bytes(piece): i for piece, i in pieces.items()}
            pairs = [tuple(map(to_bytes, s.split(" "))) for s in merges]
            return cls(ids, pairs, special)  # type: ignore[arg-type]
        except ValueError as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
        except (TypeError, AttributeError) as error:
            raise ValueError(f"{path} holds no such vocabulary.") from error
