"""Pieces of words, as BERT reads them: the longest known piece first.

Text is cleaned; it is also lower-cased and its accents are removed, unless
the model is cased. Then each word is cut into the longest pieces of a fixed
vocabulary. A piece that continues a word begins with "##".
"""

import collections
import json
import re
import string
import unicodedata
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from minitransformer.runs.given import (
    one_string,
    read_json,
    read_text,
    whole,
)
from minitransformer.runs.saving import write_atomically
from minitransformer.tokenizers.sentencepieces import learn

SPECIAL = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
UNKNOWN = "[UNK]"
CONTINUES = "##"
LONGEST_WORD = 100  # characters; longer words become [UNK]
CHINESE = re.compile(  # each of these characters is a word of its own
    "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df"
    "\U0002a700-\U0002ceaf\U0002f800-\U0002fa1f]"
)
# Settings in a published tokenizer_config.json, and their defaults.
SETTINGS = {
    "do_lower_case": True,
    "strip_accents": None,  # same as do_lower_case
    "tokenize_chinese_chars": True,
}
SETTINGS_FILE = "tokenizer_config.json"
MUST_BE = {
    "do_basic_tokenize": True,
    "word_tokenizer_type": "basic",
    "subword_tokenizer_type": "wordpiece",
}
CAPITALS = re.compile("[a-z]*[A-Z][A-Za-z]*")  # words of a cased model


def words(
    text: str,
    *,
    do_lower_case: bool = True,
    strip_accents: bool | None = None,
    tokenize_chinese_chars: bool = True,
) -> list[str]:
    """Clean a text and cut it into words and punctuation marks.

    Args:
        text: A string.
        do_lower_case: Whether capitals become small letters.
        strip_accents: Whether to remove accents; None means the value of
            `do_lower_case`.
        tokenize_chinese_chars: Whether each Chinese character is a word.

    Returns:
        A list of strings. Each punctuation mark is a word of its own;
        control characters are removed.

    Examples:
        >>> words("Ça va? 你好!")
        ['ca', 'va', '?', '你', '好', '!']
    """
    spaced = []
    for character in text:
        kind = unicodedata.category(character)
        if character in "\t\n\r" or kind == "Zs":
            spaced.append(" ")
        elif character == "\ufffd" or kind.startswith("C"):
            continue  # not a character, or an invisible one
        elif tokenize_chinese_chars and CHINESE.match(character):
            spaced.append(f" {character} ")
        else:
            spaced.append(character.lower() if do_lower_case else character)
    plain = "".join(spaced)
    if strip_accents is None:
        strip_accents = do_lower_case
    if strip_accents:
        # NFD separates a letter from its accent; the accent's kind is Mn.
        plain = unicodedata.normalize("NFD", plain)
    marked = []
    for character in plain:
        if is_punctuation(character):
            marked.append(f" {character} ")
        elif not (
            strip_accents and unicodedata.category(character) == "Mn"
        ):
            marked.append(character)
    return "".join(marked).split()


def is_punctuation(character: str) -> bool:
    """Tell whether a character is a mark: all ASCII signs count."""
    if character.isascii():
        return character in string.punctuation
    return unicodedata.category(character).startswith("P")


class WordPieceTokenizer:
    """Cut words into the longest pieces of a vocabulary.

    Args:
        pieces: The vocabulary, in the order of the ids: strings, with
            BERT's five special pieces among them.
        settings: The keyword arguments of `words`.

    Raises:
        ValueError: if a special piece is missing, a piece occurs twice, or
            a setting is neither true nor false.

    Examples:
        >>> special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        >>> tokenizer = WordPieceTokenizer([*special, "play", "##ing"])
        >>> tokenizer.encode("Playing plays"), tokenizer.decode([5, 6])
        ([5, 6, 1], 'playing')

    References:
        Devlin et al. 2019, §3, "Input/Output Representations"; Wu et al.
        2016, §4.1.
    """

    file_name = "vocab.txt"

    def __init__(
        self, pieces: Iterable[str], **settings: bool | None
    ) -> None:
        self.pieces = list(pieces)
        self.settings: dict[str, Any] = {**SETTINGS, **settings}
        words("", **self.settings)  # refuses a setting that does not exist
        for name, value in self.settings.items():
            if value not in (True, False, SETTINGS[name]):
                raise ValueError(
                    f"{name} is {value!r:.60}: give true or false."
                )
        self.ids = {piece: i for i, piece in enumerate(self.pieces)}
        missing = [piece for piece in SPECIAL if piece not in self.ids]
        if missing:
            raise ValueError(
                f"The vocabulary has no {', '.join(missing)}: give the "
                "vocab.txt of a BERT."
            )
        if len(self.ids) < len(self.pieces):
            twice = collections.Counter(self.pieces).most_common(1)[0][0]
            raise ValueError(f"The vocabulary has {twice!r:.60} twice.")
        self.special_ids = [self.ids[piece] for piece in SPECIAL]
        self.pad_id, self.unk_id, *others = self.special_ids
        self.cls_id, self.sep_id, self.mask_id = others
        self.vocab_size = len(self.pieces)

    @classmethod
    def train(cls, text: str, *, vocab_size: int) -> Self:
        """Learn the pieces of a text, with SentencePiece.

        Args:
            text: A string.
            vocab_size: Number of ids: the five special ones, each
                character twice (at a word's beginning and inside), and
                pieces. A short text may give fewer.

        Raises:
            ValueError: if `vocab_size` is too small for the text's
                characters, or the text has no words.
        """
        import sentencepiece

        lines = one_string("text", text).split("\n")
        vocab_size = whole("vocab_size", vocab_size)
        found = [w for line in lines for w in words(line)]
        found = [word for word in found if len(word) <= LONGEST_WORD]
        alphabet = sorted(set("".join(found)))
        if not alphabet:
            raise ValueError("This text has no words to learn pieces from.")
        known = [*SPECIAL, *alphabet, *(CONTINUES + c for c in alphabet)]
        if vocab_size < len(known):
            raise ValueError(
                f"vocab_size={vocab_size} is too small: this text needs "
                f"{len(known)} for its characters alone."
            )
        starts = range(0, len(found), 1000)
        model = learn(
            [" ".join(found[i : i + 1000]) for i in starts],
            vocab_size=vocab_size,
            model_type="bpe",
            character_coverage=1.0,
            max_sentence_length=1_000_000,  # bytes per line
            bos_id=-1,
            eos_id=-1,
        )
        learned = sentencepiece.SentencePieceProcessor(model_proto=model)
        for i in range(learned.GetPieceSize()):  # the most frequent first
            piece = learned.IdToPiece(i)
            begins = piece.startswith("\N{LOWER ONE EIGHTH BLOCK}")
            piece = piece[1:] if begins else CONTINUES + piece
            if piece and not learned.IsUnknown(i):
                known.append(piece)
        return cls(list(dict.fromkeys(known))[:vocab_size])

    def encode(self, text: str) -> list[int]:
        """Turn text into ids, without [CLS] and [SEP].

        No special id but that of [UNK] is among them: "[MASK]" is text.
        """
        cut = words(one_string("text", text), **self.settings)
        return [i for word in cut for i in self.encode_word(word)]

    def encode_word(self, word: str) -> list[int]:
        """Cut one word into ids; [UNK] alone if a part has no piece."""
        ids: list[int] = []
        begin = 0
        while begin < len(word) <= LONGEST_WORD:
            prefix = CONTINUES if begin else ""
            for end in range(len(word), begin, -1):
                piece = prefix + word[begin:end]
                if piece in self.ids:
                    break
            else:
                return [self.unk_id]
            ids.append(self.ids[piece])
            begin = end
        return ids or [self.unk_id]

    def decode(self, token_ids: Iterable[int]) -> str:
        """Turn ids, a list or an array `(seq,)`, into text; never raises.

        Words get one space between them; ids that do not exist become
        "[UNK]". Capitals, accents and spacing are lost.
        """
        known = range(self.vocab_size)
        text = " ".join(
            self.pieces[i] if i in known else UNKNOWN
            for i in map(int, token_ids)
        )
        return text.replace(" " + CONTINUES, "")

    def unknown(self, text: str) -> list[str]:
        """List the words of a text that have no pieces."""
        cut = set(words(text, **self.settings))
        return sorted(w for w in cut if self.unk_id in self.encode_word(w))

    def save(self, path: str | Path) -> None:
        """Write the vocabulary, one piece per line, and the settings."""
        write_atomically(path, "\n".join(self.pieces) + "\n")
        settings = json.dumps(self.settings, indent=2) + "\n"
        write_atomically(Path(path).with_name(SETTINGS_FILE), settings)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read the file that `save` wrote, or a published `vocab.txt`.

        Args:
            path: The vocabulary. A `tokenizer_config.json` beside it has
                the settings; without it, text is lower-cased.

        Raises:
            ValueError: if a file is missing or damaged, or has a setting
                that is not supported.
        """
        settings, beside = {}, Path(path).with_name(SETTINGS_FILE)
        pieces = read_text(path).rstrip("\n").split("\n")
        if beside.exists():
            published = read_json(beside)
            settings = {k: v for k, v in published.items() if k in SETTINGS}
            for name, value in MUST_BE.items():
                if published.get(name, value) != value:
                    raise ValueError(
                        f"{beside} has {name} {published[name]!r:.60}; "
                        f"only {value!r} is supported."
                    )
        elif cased := next(filter(CAPITALS.fullmatch, pieces), None):
            warnings.warn(
                f"{path} has {cased!r:.60} and no {SETTINGS_FILE} beside "
                "it, so text is lower-cased. If the model is cased, write "
                '{"do_lower_case": false} into that file.',
                stacklevel=2,
            )
        try:
            return cls(pieces, **settings)
        except ValueError as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
