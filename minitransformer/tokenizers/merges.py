"""Byte-pair encoding, the idea: join the most frequent pair, and again.

A text is cut into words, and these into bytes. What is learned from one
text, the pairs in the order in which they were joined, spells any other.
"""

import collections
from itertools import pairwise

import regex

WORD = regex.compile(
    r"'(?:[sdmt]|ll|ve|re)"  # of don't: what follows "don"
    r"| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+"  # letters, digits, the rest
    r"|\s+(?!\S)|\s+"  # white space, without the last before a word
)


def split(text):
    """Cut a text into words, as GPT-2 does; a space begins a word.

    Args:
        text: A string.

    Returns:
        A list of strings. Joined, they are the text again.

    References:
        Radford et al. 2019, §2.2, and the code published with it.
    """
    return WORD.findall(text)


def single_bytes(word):
    """List the bytes of a word.

    Args:
        word: A string.

    Returns:
        A list of bytes objects, of UTF-8. Half a surrogate pair is no
        character, and becomes "?".
    """
    return [bytes([byte]) for byte in word.encode("utf-8", "replace")]


def merge(parts, pair):
    """Join a pair wherever it stands, from left to right.

    Args:
        parts: A list of bytes objects.
        pair: A tuple of two of them.

    Returns:
        A new list.
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


def learn_merges(text, count):
    """Find the pairs that are worth a piece of their own.

    Args:
        text: A string.
        count: How many are wanted; each makes a new piece.

    Returns:
        A list of pairs of bytes objects, in the order of learning. Of pairs
        that are equally frequent, the first in the order of their bytes is
        taken. The list ends early where no pair occurs twice.

    References:
        Sennrich, Haddow & Birch 2016, §3.2, algorithm 1. Differs from the
        paper: bytes, not characters; no mark at the end of a word.
    """
    times = collections.Counter(split(text))
    words = {word: single_bytes(word) for word in times}
    counts = collections.Counter()
    holders = collections.defaultdict(set)  # pair → words that have it

    def add(word, sign):
        for pair in pairwise(words[word]):
            counts[pair] += sign * times[word]
            holders[pair].add(word)

    for word in words:
        add(word, 1)
    merges = []
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


def apply_merges(parts, ranks):
    """Join pairs in the order in which they were learned.

    Args:
        parts: The bytes of a word, a list of bytes objects.
        ranks: A dictionary from pairs to their places in that order.

    Returns:
        A list of pieces, bytes objects.
    """
    while len(parts) > 1:
        pair = min(pairwise(parts), key=lambda p: ranks.get(p, len(ranks)))
        if pair not in ranks:
            break
        parts = merge(parts, pair)
    return parts
