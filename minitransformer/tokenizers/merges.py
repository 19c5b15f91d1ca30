"""Byte-pair encoding, the idea: join the most frequent pair, and repeat.

A text is cut into words, and words into bytes. The pairs that are learned
from one text spell any other text, in the order in which they were learned.
"""

import collections
import heapq
from collections.abc import Mapping, Sequence
from itertools import pairwise

import regex

WORD = regex.compile(
    r"'(?:[sdmt]|ll|ve|re)"  # of don't: the part that follows "don"
    r"| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+"  # letters, digits, other signs
    r"|\s+(?!\S)|\s+"  # white space, but not the last before a word
)
LONGEST = 100  # characters; longer words are cut for learning
Pair = tuple[bytes, bytes]


def split(text: str) -> list[str]:
    """Cut a text into words, as GPT-2 does; a space begins a word.

    The words, joined, are the text again.

    Examples:
        >>> split("I don't know.")
        ['I', ' don', "'t", ' know', '.']

    References:
        Radford et al. 2019, §2.2, and the code published with it.
    """
    return WORD.findall(text)


def single_bytes(word: str) -> list[bytes]:
    """List the UTF-8 bytes of a word.

    Half a surrogate pair is not a character and becomes "?".

    Examples:
        >>> single_bytes("low")
        [b'l', b'o', b'w']
    """
    return [bytes([byte]) for byte in word.encode("utf-8", "replace")]


def merge(parts: Sequence[bytes], pair: Pair) -> list[bytes]:
    """Join a pair wherever it occurs, from left to right.

    Examples:
        >>> merge([b"l", b"o", b"l", b"o", b"l"], (b"l", b"o"))
        [b'lo', b'lo', b'l']
    """
    merged, place = [], 0
    while place < len(parts):
        if tuple(parts[place : place + 2]) == pair:
            merged.append(pair[0] + pair[1])
            place += 2
        else:
            merged.append(parts[place])
            place += 1
    return merged


def learn_merges(text: str, count: int) -> list[Pair]:
    """Find the pairs that are frequent enough to become pieces.

    Args:
        text: A string.
        count: Number of pairs to learn; each makes one new piece.

    Returns:
        A list of pairs of bytes objects, in the order of learning. If
        several pairs are equally frequent, the first in the order of their
        bytes is taken. The list is shorter if no pair occurs twice.

    Examples:
        >>> learn_merges("low lower lowest", 2)
        [(b'l', b'o'), (b'lo', b'w')]

    References:
        Sennrich, Haddow & Birch 2016, §3.2, algorithm 1. Differs from the
        paper: bytes, not characters; no mark at the end of a word.
    """
    times = collections.Counter(
        word[i : i + LONGEST]
        for word in split(text)
        for i in range(0, len(word), LONGEST)
    )
    words = {word: single_bytes(word) for word in times}
    counts: collections.Counter[Pair] = collections.Counter()
    holders = collections.defaultdict(set)  # pair → words that have it

    def add(word, sign):
        for pair in pairwise(words[word]):
            counts[pair] += sign * times[word]
            holders[pair].add(word)

    for word in words:
        add(word, 1)
    merges: list[Pair] = []
    while len(merges) < count:
        # best = argmax Σ times(word) · number of places of pair in word
        #        pair   word
        most = max(counts.values(), default=0)
        if most < 2:
            break
        best = min(pair for pair, n in counts.items() if n == most)
        merges.append(best)
        for word in holders.pop(best):  # no other word changes
            add(word, -1)
            words[word] = merge(words[word], best)
            add(word, 1)
    return merges


def apply_merges(
    parts: Sequence[bytes], ranks: Mapping[Pair, int]
) -> Sequence[bytes]:
    """Join the bytes of a word in the order in which pairs were learned.

    `ranks` has the place of each pair in this order.

    Examples:
        >>> ranks = {(b"l", b"o"): 0, (b"lo", b"w"): 1}
        >>> apply_merges([b"s", b"l", b"o", b"w"], ranks)
        [b's', b'low']
    """
    while len(parts) > 1:
        pair = min(pairwise(parts), key=lambda p: ranks.get(p, len(ranks)))
        if pair not in ranks:
            break
        parts = merge(parts, pair)
    return parts


def apply_merges_fast(
    parts: Sequence[bytes], ranks: Mapping[Pair, int]
) -> Sequence[bytes]:
    """Same as `apply_merges`, but fast for long words as well.

    A heap holds all pairs, so the smallest rank is found without a search:
    the time grows almost in proportion to the length of the word.
    """
    pieces = [*parts, b""]  # the last one marks the end
    right = [*range(1, len(pieces)), 0]  # of each piece: its neighbours
    left = [0, *range(len(parts))]
    waiting: list[tuple[int, int]] = []  # (rank, place of the left piece)
    changed = [*range(len(parts))]  # where new pairs may begin
    while True:
        for i in changed:
            if (pair := (pieces[i], pieces[right[i]])) in ranks:
                heapq.heappush(waiting, (ranks[pair], i))
        if not waiting:
            return [piece for piece in pieces if piece]
        changed, rank = [], waiting[0][0]
        while waiting and waiting[0][0] == rank:  # from left to right
            _, i = heapq.heappop(waiting)
            j = right[i]
            if pieces[i] and ranks.get((pieces[i], pieces[j])) == rank:
                pieces[i], pieces[j] = pieces[i] + pieces[j], b""
                right[i] = right[j]
                left[right[j]] = i
                changed += [left[i], i]
