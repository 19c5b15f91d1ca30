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

    Id 0 stands for every character that has no number.

    Args:
        characters: The known characters; the first one gets id 1.

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
        self.vocab_size = len(self.characters)  # the unknown id included

    @classmethod
    def train(cls, text: str) -> Self:
        """Make a tokenizer that knows each character of a text."""
        text = one_string("text", text)
        return cls(sorted(set(text) - {UNKNOWN}))

    def encode(self, text: str) -> list[int]:
        """Turn text into ids, one per character; 0 if it is unknown."""
        text = one_string("text", text)
        return [self.ids.get(c, self.unk_id) for c in text]

    def decode(self, token_ids: Iterable[int]) -> str:
        """Turn ids, a list or an array `(seq,)`, into text; never raises.

        Ids that do not exist become "\N{REPLACEMENT CHARACTER}".
        """
        known = dict(enumerate(self.characters))
        return "".join(known.get(int(i), UNKNOWN) for i in token_ids)

    def unknown(self, text: str) -> list[str]:
        """List the characters of a text that have no id of their own."""
        return sorted(set(text) - self.ids.keys())

    def save(self, path: str | Path) -> None:
        """Write the characters as JSON."""
        write_atomically(path, json.dumps(self.characters[1:]) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read the file that `save` wrote.

        Raises:
            ValueError: if the file is missing or damaged.
        """
        known = read_json(path, list)
        if not all(
            isinstance(c, str) and len(c) == 1 for c in known
        ) or len({UNKNOWN, *known}) <= len(known):
            raise ValueError(
                f"{path} is damaged: expected a list of characters, each "
                "once."
            )
        return cls(known)
