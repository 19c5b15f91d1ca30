"""The simplest tokenizer: every character is a token."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from minitransformer.runs.given import one_string, read_json
from minitransformer.runs.saving import write_atomically

UNKNOWN = "\N{REPLACEMENT CHARACTER}"


class CharTokenizer:
    """Number the characters of a text.

    Id 0 stands for any character that is not among them.

    Args:
        characters: The known characters, in the order of their ids.

    Examples:
        >>> tokenizer = CharTokenizer.train("cab")
        >>> tokenizer.encode("abcd"), tokenizer.decode([3, 1, 2])
        ([1, 2, 3, 0], 'cab')
    """

    file_name = "characters.json"
    unk_id = 0

    def __init__(self, characters: Iterable[str]) -> None:
        self.characters = [UNKNOWN, *characters]
        self.ids = {c: i for i, c in enumerate(self.characters) if i}

    @classmethod
    def train(cls, text: str) -> Self:
        """Make a tokenizer that knows each character of a text.

        Args:
            text: A string.
        """
        text = one_string("text", text)
        return cls(sorted(set(text) - {UNKNOWN}))

    @property
    def vocab_size(self) -> int:
        """Number of ids, the unknown one included."""
        return len(self.characters)

    def encode(self, text: str) -> list[int]:
        """Turn text into ids.

        Returns:
            A list of integers, as long as the text; `unk_id` for unknown
            characters.
        """
        text = one_string("text", text)
        return [self.ids.get(c, self.unk_id) for c in text]

    def decode(self, token_ids: Iterable[int]) -> str:
        """Turn ids into text; never raises.

        Args:
            token_ids: Integers, in a list or an array `(seq,)`.

        Returns:
            A string: "\N{REPLACEMENT CHARACTER}" for the unknown id and for
            ids that do not exist.
        """
        known = range(len(self.characters))
        return "".join(
            self.characters[i] if i in known else UNKNOWN
            for i in map(int, token_ids)
        )

    def unknown(self, text: str) -> list[str]:
        """List the characters of a text that have no id of their own."""
        return sorted(set(text) - self.ids.keys())

    def save(self, path: str | Path) -> None:
        """Write the characters as JSON."""
        write_atomically(path, json.dumps(self.characters[1:]) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ValueError: if the file is damaged.
        """
        known = read_json(path, list)
        if not all(
            isinstance(c, str) and len(c) == 1 for c in known
        ) or len({UNKNOWN, *known}) <= len(known):
            raise ValueError(f"{path} is damaged: no list of characters.")
        return cls(known)
