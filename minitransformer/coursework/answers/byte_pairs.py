"""Byte-pair encoding: join the most frequent pair, again and again."""

import itertools


def train_byte_pairs(text, num_merges):
    """Learn which pairs to join.

    The text's bytes, in UTF-8, are the first ids, 0 to 255. Then repeat:
    count each pair of neighbours, and join the most frequent pair to a
    new id, at every place. The text is one list of ids: do not cut it
    into words.

    Args:
        text: A string, perhaps an empty one.
        num_merges: How many pairs to learn, 0 or more.

    Returns:
        A list of pairs `(left, right)` of ids, in the order of learning;
        pair number i, counted from 0, is joined to the id 256 + i. Learn
        fewer than `num_merges` only when less than two ids are left: a
        pair that occurs once counts as well.

    Every two neighbours are a pair, so "aaa" has the pair (a, a) twice.
    Join pairs from left to right and without overlap: "aaa" becomes two
    ids, first (a, a), then a. Of equally frequent pairs, take the one with
    the smallest left id; if these are equal, the smallest right id.
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
    """Join a pair at every place, from left to right."""
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
    """Turn a text into learned ids.

    Args:
        text: A string, perhaps an empty one.
        merges: From `train_byte_pairs`, of this text or another.

    Returns:
        A list of ids: the text's bytes, with the pairs joined as in
        training. Join the first learned pair in all of the text, then
        the second one, and so on.
    """
    ids = list(text.encode())
    for new_id, pair in enumerate(merges, 256):
        ids = merge(ids, pair, new_id)
    return ids


def decode(ids, merges):
    """Turn ids back into a text.

    Args:
        ids: A list of ids, perhaps an empty one.
        merges: From `train_byte_pairs`.

    Returns:
        A string. Join the bytes of all ids first; bytes that are not
        valid UTF-8 become U+FFFD, as with Python's `errors="replace"`.
    """
    pieces = {byte: bytes([byte]) for byte in range(256)}
    for new_id, (left, right) in enumerate(merges, 256):
        pieces[new_id] = pieces[left] + pieces[right]
    return b"".join(pieces[i] for i in ids).decode("utf-8", "replace")
