"""Padding, causal and combined masks."""

import numpy as np

from minitransformer.coursework import questions as q

SIZES = ((1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (2, 5), (4, 6))


def tokens(rng, batch, seq, pad_id):
    """Draw ids, 0 among them, with padding at several places."""
    ids = rng.integers(1, 50, (batch, seq))
    ids[ids == pad_id] = 50
    ids[0, 1] = ids[1, 0] = 0
    ids[0, -1] = ids[1, 2] = ids[1, -1] = pad_id
    ids[2:, 0] = pad_id
    return ids


def with_padding(function, token_ids, pad_id):
    ids = np.array(token_ids, "int64")
    return q.question(function, token_ids=ids, pad_id=pad_id)


def calls(rng):
    batch, short, seq, longer = sorted(q.sizes(rng, 4, 3, 9))
    some, other = q.sizes(rng, 2, 51, 99)
    for i, j in (
        *((1, 1), (2, 2), (1, 3), (2, 3)),
        *((short, longer), (seq, seq)),
    ):
        yield q.question("causal_mask", query_len=i, key_len=j)
    for function in "padding_mask", "decoder_mask":
        yield with_padding(function, [[5, 9]], 9)
        yield with_padding(function, [[5, 3, 0], [4, 0, 0]], 0)
        yield with_padding(function, tokens(rng, batch, seq, some), some)
        yield with_padding(function, tokens(rng, 3, longer, 7), 7)
        yield with_padding(function, tokens(rng, 2, seq, other), 0)


def slow(rng):
    return with_padding("decoder_mask", tokens(rng, 8, 700, 7), 7)


def causal_cells(ask):
    """List each cell of small causal masks: later?, visible?, words."""
    for query_len, key_len in SIZES:
        mask = ask("causal_mask", query_len=query_len, key_len=key_len)
        for (i, j), seen in np.ndenumerate(np.asarray(mask)):
            place = key_len - query_len + i
            words = (
                f"with {query_len} queries and {key_len} keys, query {i} "
                f"has position {place} and {'sees' if seen else 'misses'} "
                f"key {j}"
            )
            yield j > place, seen, words


def no_future(ask, rng):
    cells = causal_cells(ask)
    return (words for later, seen, words in cells if later and seen)


def whole_past(ask, rng):
    cells = causal_cells(ask)
    return (words for later, seen, words in cells if not (later or seen))


def one_column(ask, rng):
    ids = np.array([[3, 4], [5, 6]])
    before = np.asarray(ask("padding_mask", token_ids=ids, pad_id=9))
    for b, *_, j in np.argwhere(~before):
        yield (
            f"key {j} of sequence {b} is hidden in {ids.tolist()}, though "
            "pad_id is 9"
        )
    for function in "padding_mask", "decoder_mask":
        before = np.asarray(ask(function, token_ids=ids, pad_id=9))
        for b, j in np.ndindex(2, 2):
            padded = ids.copy()
            padded[b, j] = 9
            after = ask(function, token_ids=padded, pad_id=9)
            expected = before.copy()
            expected[b, :, :, j] = False
            for other, _, i, k in np.argwhere(after != expected):
                verb = "hidden" if expected[other, 0, i, k] else "seen"
                yield (
                    f"when key {j} of sequence {b} is padding, {function} "
                    f"has key {k} of sequence {other} {verb} (row {i})"
                )


def both_at_once(ask, rng):
    for row in ([9], [5, 9], [9, 5], [5, 9, 4], [9, 4, 5]):
        seq, ids = len(row), np.array([row])
        mask = np.asarray(ask("decoder_mask", token_ids=ids, pad_id=9))
        real = np.asarray(ask("padding_mask", token_ids=ids, pad_id=9))
        seen = np.asarray(ask("causal_mask", query_len=seq, key_len=seq))
        for *_, i, j in np.argwhere(mask != (seen & real)):
            yield (
                f"for query {i} and key {j} in {row}, with pad_id 9, your "
                f"causal_mask is {bool(seen[i, j])}, your padding_mask "
                f"{bool(real[0, 0, 0, j])} and your decoder_mask "
                f"{bool(mask[0, 0, i, j])}"
            )
