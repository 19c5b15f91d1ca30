"""Byte-pair encoding."""

from minitransformer.coursework.exercise import (
    Call,
    Exercise,
    Mistake,
    Property,
)

PAGE = "modules/tokenizers/merges.md"
ORDER = """
    for new_id, pair in enumerate(merges, 256):
        ids = merge(ids, pair, new_id)
"""
LEFTMOST = """
    known = {pair: new_id for new_id, pair in enumerate(merges, 256)}
    place = 0
    while place < len(ids) - 1:
        pair = tuple(ids[place : place + 2])
        if pair in known:
            ids[place : place + 2] = [known[pair]]
            place = -1
        place += 1
"""
PASSES = """
    known = {pair: new_id for new_id, pair in enumerate(merges, 256)}
    before = None
    while ids != before:
        before, ids, place = ids, [], 0
        while place < len(before):
            pair = tuple(before[place : place + 2])
            ids.append(known.get(pair, before[place]))
            place += 2 if pair in known else 1
"""
LONGEST = """
    pieces = {i: [i] for i in range(256)}
    for new_id, (left, right) in enumerate(merges, 256):
        pieces[new_id] = pieces[left] + pieces[right]
    rest, ids = ids, []
    while rest:
        longest = max(
            (i for i in pieces if pieces[i] == rest[: len(pieces[i])]),
            key=lambda i: len(pieces[i]),
        )
        ids.append(longest)
        rest = rest[len(pieces[longest]) :]
"""


def letters(rng, count):
    """Draw some letters, in the order of the alphabet."""
    return "".join(sorted(map(chr, rng.choice(26, count, False) + 97)))


def learned(*pieces):
    """Make merges of texts: each is joined of earlier ones, or bytes."""
    known = {bytes([byte]): byte for byte in range(256)}
    merges = []
    for left, right in pieces:
        left, right = left.encode(), right.encode()
        merges.append((known[left], known[right]))
        known[left + right] = 255 + len(merges)
    return merges


def calls(rng):
    a, b, c, d = letters(rng, 4)
    n = int(rng.integers(2, 6))

    def train(text, num_merges):
        return Call(
            "train_byte_pairs", {"text": text, "num_merges": num_merges}
        )

    def spell(text, merges):
        return Call("encode", {"text": text, "merges": merges})

    def write(ids, merges):
        return Call("decode", {"ids": ids, "merges": merges})

    yield train(a + b, 1)
    yield train(b + a + b + c + a, 1)  # all once
    yield train(c + a + b, 2)
    yield train(a + a + a + b + c + b + c, 1)  # aa twice, with an overlap
    yield train(a * 3 + b + a * 3 + c + a * 3, 3)
    yield train((a + b + c) * n + d, n + 9)  # more than there are
    yield train((b + a) * 2 + (c + d) * 3 + (a + b) * n, 4)
    yield train(a + b * (n + 3) + a * (n + 4) + c, n)
    yield train("하나 하늘 하루 " * n, 3 * n)
    yield train("🦉🦉 é 🦉" * n, n + 2)
    yield train("", n)
    yield train(a, n)
    yield train(a + b, 0)

    yield spell(a + b, learned((a, b)))
    yield spell(a + b + a + b, learned((a, b)))
    yield spell(a * (2 * n + 1), learned((a, a)))
    yield spell(a * (4 * n + 3), learned((a, a), (a + a, a + a)))
    # b and c were joined first: a stays alone, though ab is known, too.
    merges = learned((b, c), (a, b), (a + b, c), (c, d))
    yield spell(a + b + c + d + a + b, merges)
    yield spell((d + c + b + a) * n + a + b + d, merges)
    # Known is abcd, but it is never reached: bc is joined first.
    merges = learned((a, b), (c, d), (a + b, c + d), (b, c), (c, c + d))
    yield spell(a + b + c + c + d + b + c, merges)
    merges = learned((b, c), (a, b), (c, d), (a + b, c + d))
    yield spell(a + b + c + d, merges)
    merges = learned((c, d), (a, b), (a + b, c), (b, c + d), (a, b + c + d))
    yield spell(a + b + c + d, merges)
    yield spell((a + b + c) * n + a + b + d + c + d, merges)
    hangul = list("하".encode())
    merges = [(hangul[0], hangul[1]), (256, hangul[2]), (257, hangul[0])]
    yield spell("하하 é🦉" + a * n, merges)
    yield spell("", merges)
    yield spell(a + "하" + b, [])

    yield write([ord(a), ord(b)], [])
    yield write([256, ord(a), 256], learned((a, b)))
    merges = learned((a, b), (c, d), (a + b, c + d), (a + b + c + d, a))
    yield write([259, 256, 258, ord(d)] * n, merges)
    yield write(hangul + list("é🦉".encode()), [])
    merges = [(hangul[1], hangul[2])]
    yield write([hangul[0], 256, ord(a)], merges)
    yield write([ord(a), hangul[0], hangul[1], ord(b)], [])
    yield write([256, ord(a), 255, hangul[0]], merges)
    yield write([], merges)


def round_trip(ask, rng):
    texts = (
        "a",
        "ab",
        "aaa",
        "é",
        "owl",
        "하늘",
        "🦉🦉",
        "to be or not to be",
    )
    for text in texts:
        merges = ask(
            "train_byte_pairs", text="aaaab é 하늘 🦉", num_merges=6
        )
        merges = [(int(left), int(right)) for left, right in merges]
        ids = [int(i) for i in ask("encode", text=text, merges=merges)]
        back = ask("decode", ids=ids, merges=merges)
        if back != text:
            return (
                f"{text!r} is encoded as {ids}, with the merges {merges}, "
                f"and decoded as {back!r}"
            )
    return None


def more_merges_go_on(ask, rng):
    for text in ("ab", "aab", "abcab", "aaaa", "to be or not to be"):
        before = []
        for count in range(1, 6):
            merges = ask("train_byte_pairs", text=text, num_merges=count)
            merges = [(int(left), int(right)) for left, right in merges]
            if merges[: len(before)] != before or len(merges) > count:
                return (
                    f"of {text!r}, {count - 1} merges are {before}, and "
                    f"{count} are {merges}"
                )
            before = merges
    return None


def no_longer(ask, rng):
    merges = learned(("a", "a"), ("b", "c"), ("aa", "bc"))
    for text in ("a", "aa", "aaa", "bc", "aabc", "cba", "aaaaabcbc"):
        ids = [int(i) for i in ask("encode", text=text, merges=merges)]
        for i in range(len(ids) - 1):
            if (ids[i], ids[i + 1]) in merges:
                return (
                    f"with the merges {merges}, {text!r} becomes {ids}, "
                    f"where {ids[i]} and {ids[i + 1]} could be joined"
                )
    return None


EXERCISE = Exercise(
    title="Byte-pair encoding",
    goal=(
        "Learn from a text which bytes often stand side by side, and join "
        "them to pieces: so a tokenizer finds words, and any text can be "
        "spelled. Plain Python is enough."
    ),
    page=PAGE,
    functions={
        "train_byte_pairs": {"merges": "merge side"},
        "encode": {"ids": "token"},
        "decode": {"text": ""},
    },
    calls=calls,
    forbidden=(
        "BytePairTokenizer",
        "ByteLevelBPETokenizer",
        "BpeTrainer",
        "SentencePieceTrainer",
        "tiktoken",
        "sentencepiece",
    ),
    hints=(
        "Write a helper first that joins one pair in a list of ids. "
        "Training and encoding both need it.",
        "Count anew after each merge: it makes new pairs, and others "
        "vanish. Encoding counts nothing; it goes through the merges.",
        "For decoding make a table from each id to its bytes. A new id's "
        "bytes are those of its two parts, which the table already has.",
    ),
    properties=(
        Property("decoding gives back the text", round_trip),
        Property("more merges only go on from fewer", more_merges_go_on),
        Property("no pair that was learned is left", no_longer),
    ),
    like=(
        "tokenizers.merges.learn_merges",
        "tokenizers.merges.apply_merges",
    ),
    mistakes=(
        Mistake(
            "of equals the first seen", "(-counts[pair], pair)",
            "-counts[pair]",
            "Of pairs that are equally frequent you take the one that "
            "comes first in the text; the smallest is asked for.",
            PAGE,
        ),
        Mistake(
            "of equals the largest", "(-counts[pair], pair)",
            "(-counts[pair], -pair[0], -pair[1])",
            "Of pairs that are equally frequent you take the largest, as "
            "max() of (count, pair) does; the smallest is asked for.",
            PAGE,
        ),
        Mistake(
            "pairs are counted only once",
            ("best = min(counts,", ")\n        ids = merge("),
            (
                "return sorted(counts,",
                ")[:num_merges]\n        ids = merge(",
            ),
            "You count the pairs of bytes once and take the most frequent "
            "ones. After each merge the pairs are others, with new ids "
            "among them: count again.",
            PAGE,
        ),
        Mistake(
            "counted without overlaps",
            "counts.get(pair, 0) + 1",
            "len(ids) - len(merge(ids, pair, -1))",
            "You count how often a pair can be joined: once in “aaa”. "
            "Asked for is at how many places it stands, which is twice.",
            PAGE,
        ),
        Mistake(
            "a pair that occurs once is not learned",
            "        ids = merge(ids, best,",
            "        if counts[best] < 2:\n"
            "            break\n"
            "        ids = merge(ids, best,",
            "You stop when no pair occurs twice. Pairs that occur once are "
            "joined, too, until there is nothing left to join.",
            PAGE,
        ),
        Mistake(
            "training fails when nothing is left to join",
            " and len(ids) > 1", "",
            "When a single id is left, or none, there is no pair, and the "
            "most frequent of none is an error. Stop and return what has "
            "been learned.",
            PAGE,
        ),
        Mistake(
            "only the first occurrence is joined",
            "merged.append(new_id)\n            place += 2",
            "return [*merged, new_id, *ids[place + 2 :]]",
            "A pair is joined at its first place only. Join it wherever it "
            "stands before you go on to the next.",
            PAGE,
        ),
        Mistake(
            "the right half of a pair stays", "place += 2", "place += 1",
            "After a pair has been joined, its right half is read again: "
            "“ab” becomes two ids, and “aaa” is joined twice. Skip both.",
            PAGE,
        ),
        Mistake(
            "joined from the right",
            ("merged, place = [], 0", "return merged"),
            (
                "ids, pair = ids[::-1], pair[::-1]\n"
                "    merged, place = [], 0",
                "return merged[::-1]",
            ),
            "“aaa” becomes a, (a, a): you join from right to left. Asked "
            "for is from left to right: (a, a), a.",
            PAGE,
        ),
        Mistake(
            "characters, not bytes",
            "list(text.encode())", "[ord(c) for c in text]",
            "Your first ids are the numbers of characters. Beyond ASCII "
            "these are no bytes, and from 256 on they collide with the "
            "new ids. Take the bytes of the text in UTF-8.",
            PAGE,
        ),
        Mistake(
            "the leftmost pair is joined first", ORDER, LEFTMOST,
            "You join the first pair in the text that is known. In "
            "training other pairs may have come first: go through the "
            "merges in the order in which they were learned.",
            PAGE,
        ),
        Mistake(
            "any pair that is known is joined, in passes", ORDER, PASSES,
            "You go over the text and join whatever is known, again and "
            "again. All of the first merge comes before any of the "
            "second: go through the merges in the order of learning.",
            PAGE,
        ),
        Mistake(
            "the longest piece is taken, not the merges in their order",
            ORDER, LONGEST,
            "At each place you take the longest piece that fits, as "
            "WordPiece does. Byte-pair encoding does again what training "
            "did: merge after merge, in the order of learning.",
            PAGE,
        ),
        Mistake(
            "new ids from 257",
            ("256 + len(merges)", "enumerate(merges, 256)"),
            ("257 + len(merges)", "enumerate(merges, 257)"),
            "Bytes are 0 to 255, so the first new id is 256. Yours is 257.",
            PAGE,
        ),
        Mistake(
            "a merge of merges is not taken apart",
            "pieces[left] + pieces[right]", "bytes([left, right])",
            "You take an id apart once. Its halves may be joined ones "
            "themselves: go on until there are bytes.",
            PAGE,
        ),
        Mistake(
            "bytes that are no UTF-8 raise an error", ', "replace"', "",
            "A model may write half a character. Decoding must not fail "
            "then, but write U+FFFD.",
            PAGE,
        ),
        Mistake(
            "bytes that are no UTF-8 vanish", '"replace"', '"ignore"',
            "What is no UTF-8 is dropped. It should become U+FFFD, so that "
            "one sees that something was there.",
            PAGE,
        ),
        Mistake(
            "each id is decoded alone",
            'b"".join(pieces[i] for i in ids).decode("utf-8", "replace")',
            '"".join(pieces[i].decode("utf-8", "replace") for i in ids)',
            "A character may be spread over several ids, and half of it "
            "is no UTF-8. Join the bytes of all ids, then decode.",
            PAGE,
        ),
    ),
)  # fmt: skip
