"""Byte-pair encoding: join the pair that is most frequent, and again."""

import itertools


def train_byte_pairs(text, num_merges):
    """Learn which pairs to join.

    The text's bytes, in UTF-8, are the first ids, 0 to 255. Then, again
    and again: count each pair of neighbours, and join the most frequent
    pair, wherever it stands, to a new id. All of the text is one row:
    it is not cut into words.

    Args:
        text: A string, perhaps an empty one.
        num_merges: How many pairs to learn, 0 or more.

    Returns:
        A list of pairs `(left, right)` of ids, in the order in which they
        were learned; the pair number i, from 0, is joined to the id
        256 + i. Fewer than `num_merges` only where less than two ids are
        left to join: a pair that occurs once counts as well.

    Every two neighbours are a pair, so "aaa" has the pair (a, a) twice.
    Joined are pairs from left to right, and without overlap: "aaa" becomes
    two ids, first (a, a), then a. Of pairs that are equally frequent the
    smallest is taken: the one of the smaller left id; of the same left id,
    that of the smaller right id.
    """
    ids = list(text.encode())
    merges: list = []
    while len(merges) < num_merges and len(ids) > 1:
        counts: dict = {}
        for pair in itertools.pairwise(ids):
            counts[pair] = counts.get(pair, 0) + 1
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        ids = merge(ids, best, 256 + len(merges))
        merges.append(best)
    return merges


def merge(ids, pair, new_id):
    """Join a pair wherever it stands, from left to right."""
    merged, place = [], 0
    while place < len(ids):
        if tuple(ids[place : place + 2]) == pair:
            merged.append(new_id)
            place += 2
        else:
            merged.append(ids[place])
            place += 1
    return merged


def encode(text, merges):
    """Spell a text in the ids that were learned.

    Args:
        text: A string, perhaps an empty one.
        merges: As from `train_byte_pairs`, of this text or another.

    Returns:
        A list of ids: the text's bytes, in which each pair is joined as in
        training. The pair that was learned first is joined first, in all
        of the text, then the second one, and so on.
    """
    ids = list(text.encode())
    for new_id, pair in enumerate(merges, 256):
        ids = merge(ids, pair, new_id)
    return ids


def decode(ids, merges):
    """Write the text that ids stand for.

    Args:
        ids: A list of ids, perhaps an empty one.
        merges: As from `train_byte_pairs`.

    Returns:
        A string. Bytes that are no UTF-8, all ids together, become
        U+FFFD, as many as Python makes of them with `errors="replace"`.
    """
    pieces = {byte: bytes([byte]) for byte in range(256)}
    for new_id, (left, right) in enumerate(merges, 256):
        pieces[new_id] = pieces[left] + pieces[right]
    return b"".join(pieces[i] for i in ids).decode("utf-8", "replace")
