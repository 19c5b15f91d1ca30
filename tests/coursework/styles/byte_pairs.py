"""Byte-pair encoding, in other people's styles."""

import heapq
import itertools
from collections import Counter, defaultdict

# As minbpe does: statistics, and the pair of the lowest rank.


def joined(ids, pair, new_id):
    out = []
    for i in ids:
        if out and (out[-1], i) == pair:
            out[-1] = new_id  # no old id, so it joins nothing more
        else:
            out.append(i)
    return out


def counted_train(text, num_merges):
    ids = list(text.encode("utf-8"))
    merges = {}
    for new_id in range(256, 256 + num_merges):
        stats = Counter(itertools.pairwise(ids))
        if not stats:
            break
        most = max(stats.values())
        pair = sorted(p for p in stats if stats[p] == most)[0]
        ids = joined(ids, pair, new_id)
        merges[pair] = new_id
    return list(merges)


def counted_encode(text, merges):
    ranks = {pair: 256 + i for i, pair in enumerate(merges)}
    ids = [int(byte) for byte in text.encode("utf-8")]
    while len(ids) >= 2:
        pair = min(itertools.pairwise(ids), key=lambda p: ranks.get(p, 1e9))
        if pair not in ranks:
            break
        ids = joined(ids, pair, ranks[pair])
    return ids


def counted_decode(ids, merges):
    def spread(i):
        if i < 256:
            return [i]
        left, right = merges[i - 256]
        return spread(left) + spread(right)

    return bytes(b for i in ids for b in spread(i)).decode(errors="replace")


# Ids are the characters of a string, and Python's `replace` joins them.


def string_train(text, num_merges):
    row = text.encode().decode("latin-1")
    merges = []
    for _ in range(num_merges):
        pairs = [row[i : i + 2] for i in range(len(row) - 1)]
        if not pairs:
            break
        pairs.sort()
        best = max(dict.fromkeys(pairs), key=pairs.count)
        row = row.replace(best, chr(256 + len(merges)))
        merges.append((ord(best[0]), ord(best[1])))
    return merges


def string_encode(text, merges):
    row = text.encode().decode("latin-1")
    for i, (left, right) in enumerate(merges):
        row = row.replace(chr(left) + chr(right), chr(256 + i))
    return [ord(character) for character in row]


def string_decode(ids, merges):
    row = "".join(map(chr, ids))
    for i in reversed(range(len(merges))):
        left, right = merges[i]
        row = row.replace(chr(256 + i), chr(left) + chr(right))
    return row.encode("latin-1").decode("utf-8", "replace")


# A linked list, in which nothing is moved, and a heap of places.


class Linked:
    def __init__(self, ids):
        self.ids = dict(enumerate(ids))
        self.before = {i: i - 1 for i in self.ids}
        self.behind = {i: i + 1 for i in self.ids}

    def pair(self, place):
        if place in self.ids and self.behind[place] in self.ids:
            return self.ids[place], self.ids[self.behind[place]]
        return None

    def join(self, place, new_id):
        gone = self.behind[place]
        del self.ids[gone]
        self.ids[place] = new_id
        self.behind[place] = self.behind[gone]
        if self.behind[gone] in self.ids:
            self.before[self.behind[gone]] = place
        return [p for p in (self.before[place], place) if p in self.ids]


def linked_train(text, num_merges):
    row = Linked(text.encode())
    places = defaultdict(set)
    for place in row.ids:
        places[row.pair(place)].add(place)
    merges = []
    places.pop(None, None)
    while places and len(merges) < num_merges:
        best = sorted(places, key=lambda p: (-len(places[p]), *p))[0]
        new_id = 256 + len(merges)
        merges.append(best)
        for place in sorted(places[best]):
            if row.pair(place) == best:
                row.join(place, new_id)
        places = defaultdict(set)
        for place in row.ids:
            if row.pair(place):
                places[row.pair(place)].add(place)
    return merges


def linked_encode(text, merges):
    ranks = {tuple(pair): i for i, pair in enumerate(merges)}
    row = Linked(text.encode())
    heap = [(ranks[row.pair(p)], p) for p in row.ids if row.pair(p) in ranks]
    heapq.heapify(heap)
    while heap:
        rank, place = heapq.heappop(heap)
        if ranks.get(row.pair(place)) != rank:
            continue  # meanwhile it is another one
        for p in row.join(place, 256 + rank):
            if row.pair(p) in ranks:
                heapq.heappush(heap, (ranks[row.pair(p)], p))
    return [row.ids[p] for p in sorted(row.ids)]


def linked_decode(ids, merges):
    stack, out = list(ids)[::-1], bytearray()
    while stack:
        i = stack.pop()
        if i < 256:
            out.append(i)
        else:
            stack.extend(reversed(merges[i - 256]))
    return str(out, "utf-8", "replace")


STYLES = {
    "minbpe": {
        "train_byte_pairs": counted_train,
        "encode": counted_encode,
        "decode": counted_decode,
    },
    "strings": {"train_byte_pairs": string_train, "encode": string_encode, "decode": string_decode},
    "linked": {"train_byte_pairs": linked_train, "encode": linked_encode, "decode": linked_decode},
}
