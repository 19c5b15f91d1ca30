"""Pieces of words, as BERT reads them: the longest known piece first.

Text is cleaned, lower-cased and stripped of its accents; then each word is
cut into the longest pieces of a fixed vocabulary. A piece that continues a
word begins with "##".
"""

import collections
import io
import string
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from minitransformer.runs.saving import write_atomically

PAD, UNKNOWN, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
GOES_ON = "##"
LONGEST_WORD = 100  # characters; longer words become [UNK]
CHINESE = (  # blocks whose characters are words of their own
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def words(text: str) -> list[str]:
    """Clean a text and cut it into words and punctuation marks.

    Args:
        text: A string.

    Returns:
        A list of strings, lower-cased and without accents. Each mark and
        each Chinese character is a word of its own; control characters are
        removed.

    Examples:
        >>> words("Ça va? 你好!")
        ['ca', 'va', '?', '你', '好', '!']
    """
    spaced = []
    for character in text:
        code, kind = ord(character), unicodedata.category(character)
        if character in "\t\n\r" or kind == "Zs":
            spaced.append(" ")
        elif code == 0xFFFD or kind.startswith("C"):
            continue  # not a character, or an invisible one
        elif any(first <= code <= last for first, last in CHINESE):
            spaced.append(f" {character} ")
        else:
            spaced.append(character.lower())
    # NFD separates a letter from its accent; the accent's kind is Mn.
    plain = unicodedata.normalize("NFD", "".join(spaced))
    marked = []
    for character in plain:
        if is_punctuation(character):
            marked.append(f" {character} ")
        elif unicodedata.category(character) != "Mn":
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
        pieces: The vocabulary, in the order of the ids: strings, BERT's
            five special ones among them.

    Raises:
        ValueError: if a special piece is missing or a piece occurs twice.

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

    def __init__(self, pieces: Iterable[str]) -> None:
        self.pieces = list(pieces)
        self.ids = {piece: i for i, piece in enumerate(self.pieces)}
        special = PAD, UNKNOWN, CLS, SEP, MASK
        missing = [piece for piece in special if piece not in self.ids]
        if missing:
            raise ValueError(
                f"The vocabulary has no {', '.join(missing)}: is it a "
                "BERT's vocab.txt?"
            )
        if len(self.ids) < len(self.pieces):
            twice = collections.Counter(self.pieces).most_common(1)[0][0]
            raise ValueError(f"The vocabulary has {twice!r} twice.")
        self.special_ids = [self.ids[piece] for piece in special]
        self.pad_id, self.unk_id, *others = self.special_ids
        self.cls_id, self.sep_id, self.mask_id = others

    @classmethod
    def train(cls, text: str, *, vocab_size: int) -> Self:
        """Learn the pieces of a text, with SentencePiece.

        Args:
            text: A string.
            vocab_size: Number of ids wanted: the five special ones, each
                character twice (at a word's beginning and inside), and
                pieces. A short text may yield fewer.

        Raises:
            ValueError: if `vocab_size` is too small for the text's
                characters, or the text has no words.
        """
        import sentencepiece

        found = [
            word
            for line in text.split("\n")
            for word in words(line)
            if len(word) <= LONGEST_WORD
        ]
        lines = [
            " ".join(found[i : i + 1000])
            for i in range(0, len(found), 1000)
        ]
        alphabet = sorted(set("".join(found)))
        known = [PAD, UNKNOWN, CLS, SEP, MASK, *alphabet]
        known += [GOES_ON + character for character in alphabet]
        if not alphabet:
            raise ValueError("This text has no words to learn pieces from.")
        if vocab_size < len(known):
            raise ValueError(
                f"vocab_size={vocab_size} is too small: this text needs "
                f"{len(known)} for its characters alone."
            )
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=iter(lines),
            model_writer=model,
            vocab_size=vocab_size,
            hard_vocab_limit=False,
            model_type="bpe",
            character_coverage=1.0,
            normalization_rule_name="identity",
            max_sentence_length=1_000_000,  # bytes of a line
            bos_id=-1,
            eos_id=-1,
            num_threads=1,
            minloglevel=2,
        )
        learned = sentencepiece.SentencePieceProcessor()
        learned.LoadFromSerializedProto(model.getvalue())
        for i in range(learned.GetPieceSize()):  # the most frequent first
            piece = learned.IdToPiece(i)
            begins = piece.startswith("\N{LOWER ONE EIGHTH BLOCK}")
            piece = piece[1:] if begins else GOES_ON + piece
            if piece and not learned.IsUnknown(i):
                known.append(piece)
        return cls(list(dict.fromkeys(known))[:vocab_size])

    @property
    def vocab_size(self) -> int:
        """Number of ids, special ones included."""
        return len(self.pieces)

    def encode(self, text: str) -> list[int]:
        """Turn text into ids.

        Returns:
            A list of integers, without [CLS] and [SEP]. The only special
            id among them is [UNK]'s: text that spells "[MASK]" is text.
        """
        return [i for word in words(text) for i in self.encode_word(word)]

    def encode_word(self, word: str) -> list[int]:
        """Cut one word, the longest known piece first.

        Returns:
            A list of ids; only [UNK]'s if a part of the word has no piece.
        """
        ids: list[int] = []
        begin = 0
        while begin < len(word) <= LONGEST_WORD:
            prefix = GOES_ON if begin else ""
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
        """Turn ids into text; never raises.

        Args:
            token_ids: Integers, in a list or an array `(seq,)`.

        Returns:
            A string with a space between words; "[UNK]" for ids that do
            not exist. Capitals, accents and spacing are lost.
        """
        known = range(self.vocab_size)
        text = " ".join(
            self.pieces[i] if i in known else UNKNOWN
            for i in map(int, token_ids)
        )
        return text.replace(" " + GOES_ON, "")

    def unknown(self, text: str) -> list[str]:
        """List the words of a text that have no pieces."""
        return sorted(
            {w for w in words(text) if self.unk_id in self.encode_word(w)}
        )

    def save(self, path: str | Path) -> None:
        """Write the vocabulary, one piece per line."""
        write_atomically(path, "\n".join(self.pieces) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote, or a published BERT's `vocab.txt`.

        Raises:
            ValueError: if the file is missing, not UTF-8, not a vocabulary
                or a cased model's: text is lower-cased here, and would not
                find its pieces.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
            tokenizer = cls(text.removesuffix("\n").split("\n"))
        except (ValueError, OSError) as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
        for piece in tokenizer.pieces:
            if piece != piece.lower() and not piece.startswith("["):
                raise ValueError(
                    f"{path} is a cased model's vocabulary (it has "
                    f"{piece!r}): only uncased ones can be read."
                )
        return tokenizer
