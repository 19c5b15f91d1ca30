"""Byte-pair encoding."""

from itertools import pairwise

from minitransformer.coursework import questions as q

TEXTS = ("a", "ab", "aaa", "é", "owl", "하늘", "🦉🦉", "to be or not to be")


def learned(*pieces):
    """Make merges from pairs of texts: bytes or earlier merges."""
    known = {bytes([byte]): byte for byte in range(256)}
    merges = []
    for left, right in pieces:
        left, right = left.encode(), right.encode()
        merges.append((known[left], known[right]))
        known[left + right] = 255 + len(merges)
    return merges


def calls(rng):
    a, b, c, d = map(chr, sorted(rng.choice(26, 4, False) + 97))
    ab, cd = a + b, c + d
    n = int(rng.integers(2, 6))
    for text, num_merges in (
        (ab, 1),
        (b + a + b + c + a, 1),  # all once
        (c + ab, 2),
        (a + a + ab + c + b + c, 1),  # aa twice, overlapping
        (a * 3 + b + a * 3 + c + a * 3, 3),
        ((ab + c) * n + d, n + 9),  # more than there are
        ((b + a) * 2 + cd * 3 + ab * n, 4),
        (a + b * (n + 3) + a * (n + 4) + c, n),
        ("하나 하늘 하루 " * n, 3 * n),
        ("🦉🦉 é 🦉" * n, n + 2),
        ("", n),
        (a, n),
        (ab, 0),
    ):
        yield q.question(
            "train_byte_pairs", text=text, num_merges=num_merges
        )

    # b and c are joined first, so a stays alone, though ab is known.
    overlap = learned((b, c), (a, b), (ab, c), (c, d))
    # abcd is known, but never reached, because bc is joined first.
    unreached = learned((a, b), (c, d), (ab, cd), (b, c), (c, cd))
    crossed = learned((c, d), (a, b), (ab, c), (b, cd), (a, b + cd))
    hangul = list("하".encode())
    whole = [(hangul[0], hangul[1]), (256, hangul[2]), (257, hangul[0])]
    for text, merges in (
        (ab, learned((a, b))),
        (ab + ab, learned((a, b))),
        (a * (2 * n + 1), learned((a, a))),
        (a * (4 * n + 3), learned((a, a), (a + a, a + a))),
        (ab + cd + ab, overlap),
        ((d + c + b + a) * n + ab + d, overlap),
        (ab + c + cd + b + c, unreached),
        (ab + cd, learned((b, c), (a, b), (c, d), (ab, cd))),
        (ab + cd, crossed),
        ((ab + c) * n + ab + d + cd, crossed),
        ("하하 é🦉" + a * n, whole),
        ("", whole),
        (a + "하" + b, []),
    ):
        yield q.question("encode", text=text, merges=merges)

    nested = learned((a, b), (c, d), (ab, cd), (ab + cd, a))
    broken = [(hangul[1], hangul[2])]
    for ids, merges in (
        ([ord(a), ord(b)], []),
        ([256, ord(a), 256], learned((a, b))),
        ([259, 256, 258, ord(d)] * n, nested),
        (hangul + list("é🦉".encode()), []),
        ([hangul[0], 256, ord(a)], broken),
        ([ord(a), hangul[0], hangul[1], ord(b)], []),
        ([256, ord(a), 255, hangul[0]], broken),
        ([], broken),
    ):
        yield q.question("decode", ids=ids, merges=merges)


def train(ask, text, num_merges):
    merges = ask("train_byte_pairs", text=text, num_merges=num_merges)
    return [(int(left), int(right)) for left, right in merges]


def round_trip(ask, rng):
    merges = train(ask, "aaaab é 하늘 🦉", 6)
    for text in TEXTS:
        ids = [int(i) for i in ask("encode", text=text, merges=merges)]
        back = ask("decode", ids=ids, merges=merges)
        if back != text:
            yield (
                f"with the merges {merges}, {text!r} is encoded as {ids} "
                f"and decoded as {back!r}"
            )


def more_merges_go_on(ask, rng):
    for text in ("ab", "aab", "abcab", "aaaa", "to be or not to be"):
        before: list = []
        for count in range(1, 6):
            merges = train(ask, text, count)
            if merges[: len(before)] != before or len(merges) > count:
                yield (
                    f"for {text!r}, the first {count - 1} merges are "
                    f"{before}, but the first {count} are {merges}"
                )
            before = merges


def no_longer(ask, rng):
    merges = learned(("a", "a"), ("b", "c"), ("aa", "bc"))
    for text in ("a", "aa", "aaa", "bc", "aabc", "cba", "aaaaabcbc"):
        ids = [int(i) for i in ask("encode", text=text, merges=merges)]
        for left, right in pairwise(ids):
            if (left, right) in merges:
                yield (
                    f"with the merges {merges}, {text!r} becomes {ids}, "
                    f"in which {left} and {right} can still be joined"
                )
