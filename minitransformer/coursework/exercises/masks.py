"""Padding, causal and combined masks."""

import numpy as np

from minitransformer.coursework.exercise import (
    Call,
    Exercise,
    Mistake,
    Property,
)

PAGE = "modules/masks.md"


def tokens(rng, batch, seq, pad_id):
    """Draw ids, 0 among them, with filling before, between and behind."""
    ids = rng.integers(1, 50, (batch, seq))
    ids[ids == pad_id] = 50
    ids[0, 1] = ids[1, 0] = 0
    ids[0, -1] = ids[1, 2] = ids[1, -1] = pad_id
    ids[2:, 0] = pad_id
    return ids


def causal(query_len, key_len):
    sizes = {"query_len": int(query_len), "key_len": int(key_len)}
    return Call("causal_mask", sizes)


def with_padding(function, token_ids, pad_id):
    token_ids = np.array(token_ids, "int64")
    return Call(function, {"token_ids": token_ids, "pad_id": int(pad_id)})


def calls(rng):
    batch, short, seq, longer = np.sort(
        rng.permutation(np.arange(3, 9))[:4]
    )
    some, other = rng.permutation(np.arange(51, 99))[:2]
    yield causal(1, 1)
    yield causal(2, 2)
    yield causal(1, 3)
    yield causal(2, 3)
    yield causal(short, longer)
    yield causal(seq, seq)
    for function in "padding_mask", "decoder_mask":
        yield with_padding(function, [[5, 9]], 9)
        yield with_padding(function, [[5, 3, 0], [4, 0, 0]], 0)
        yield with_padding(function, tokens(rng, batch, seq, some), some)
        yield with_padding(function, tokens(rng, 3, longer, 7), 7)
        yield with_padding(function, tokens(rng, 2, seq, other), 0)


def slow(rng):
    return with_padding("decoder_mask", tokens(rng, 8, 700, 7), 7)


def where(i, query_len, key_len):
    position = key_len - query_len + i
    return (
        f"with {query_len} queries and {key_len} keys, query {i} stands at "
        f"position {position}"
    )


SIZES = ((1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (2, 5), (4, 6))


def no_future(ask, rng):
    for query_len, key_len in SIZES:
        mask = ask("causal_mask", query_len=query_len, key_len=key_len)
        for i, row in enumerate(np.asarray(mask)):
            for j in range(key_len - query_len + i + 1, key_len):
                if row[j]:
                    return (
                        f"{where(i, query_len, key_len)} and sees key {j}"
                    )
    return None


def whole_past(ask, rng):
    for query_len, key_len in SIZES:
        mask = ask("causal_mask", query_len=query_len, key_len=key_len)
        for i, row in enumerate(np.asarray(mask)):
            for j in range(key_len - query_len + i + 1):
                if not row[j]:
                    return (
                        f"{where(i, query_len, key_len)} and does not see "
                        f"key {j}"
                    )
    return None


def one_column(ask, rng):
    for function in "padding_mask", "decoder_mask":
        ids = np.array([[3, 4], [5, 6]])
        before = np.asarray(ask(function, token_ids=ids, pad_id=9))
        if function == "padding_mask" and not before.all():
            b, *_, j = np.argwhere(~before)[0]
            return (
                f"key {j} of sequence {b} is hidden in {ids.tolist()}, "
                "where the filling would be 9"
            )
        for b, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
            padded = ids.copy()
            padded[b, j] = 9
            after = ask(function, token_ids=padded, pad_id=9)
            wanted = before.copy()
            wanted[b, :, :, j] = False
            if np.all(np.asarray(after) == wanted):
                continue
            other, _, i, k = np.argwhere(np.asarray(after) != wanted)[0]
            verb = "hidden" if wanted[other, 0, i, k] else "seen"
            return (
                f"when key {j} of sequence {b} is filling, {function} has "
                f"key {k} of sequence {other} {verb} (row {i})"
            )
    return None


def both_at_once(ask, rng):
    for ids in ([[9]], [[5, 9]], [[9, 5]], [[5, 9, 4], [9, 4, 5]]):
        ids = np.array(ids)
        seq = ids.shape[1]
        mask = np.asarray(ask("decoder_mask", token_ids=ids, pad_id=9))
        real = np.asarray(ask("padding_mask", token_ids=ids, pad_id=9))
        seen = np.asarray(ask("causal_mask", query_len=seq, key_len=seq))
        wrong = np.argwhere(mask != (seen & real))
        if len(wrong):
            b, _, i, j = wrong[0]
            yours = [
                f"{name} says {bool(value)}"
                for name, value in (
                    ("causal_mask", seen[i, j]),
                    ("padding_mask", real[b, 0, 0, j]),
                    ("decoder_mask", mask[b, 0, i, j]),
                )
            ]
            return (
                f"of query {i} and key {j} in {ids[b].tolist()}, where 9 "
                f"is the filling, your {', '.join(yours)}"
            )
    return None


EXERCISE = Exercise(
    title="Padding and causal masks",
    goal=(
        "Say who may look where: nobody at the filling, nobody at the "
        "future, and both at once. True = may attend."
    ),
    page=PAGE,
    functions={
        "padding_mask": {"mask": "batch heads query key"},
        "causal_mask": {"mask": "query key"},
        "decoder_mask": {"mask": "batch heads query key"},
    },
    calls=calls,
    slow=slow,
    forbidden=(
        "compute_causal_mask",
        "merge_padding_and_attention_mask",
        "generate_square_subsequent_mask",
        "make_causal_mask",
        "make_attention_mask",
    ),
    hints=(
        "A mask answers one question for each pair of a query and a key. "
        "Rows are queries, columns are keys; all comes from comparisons.",
        "Write the position of each query upright, (query, 1), and of each "
        "key flat, (1, key): one comparison fills the matrix. The first "
        "query stands at key_len - query_len.",
        "Padding is a matter of the keys, so its axis is the last; None in "
        "an index makes the two axes between. A key must pass both masks: "
        "`&` broadcasts them.",
    ),
    properties=(
        Property("no query sees a later key", no_future),
        Property("a query sees itself and all before it", whole_past),
        Property("the decoder's mask is both masks at once", both_at_once),
        Property("filling hides its own key and no other", one_column),
    ),
    like=(
        "masks.causal_mask",
        "masks.padding_mask",
        "masks.widen_padding_mask",
    ),
    mistakes=(
        Mistake(
            "True means hidden",
            ("token_ids != ", "<= query_position", "causal & "),
            ("token_ids == ", "> query_position", "causal | "),
            "All your masks are the wrong way round: they are True where "
            "nobody may look. Here True means “may attend”.",
            PAGE,
        ),
        Mistake(
            "the padding mask is the wrong way round",
            "token_ids != ", "token_ids == ",
            "Your padding mask is True for the filling; it must be True "
            "for the real tokens, which may be read.",
            PAGE,
        ),
        Mistake(
            "the causal mask is the wrong way round",
            "<= query_position", "> query_position",
            "Your causal mask is True exactly where it must be False: "
            "each token sees the later ones, and not itself or the past.",
            PAGE,
        ),
        Mistake(
            "the future is seen, not the past",
            "<= query_position", ">= query_position",
            "Each of your tokens sees itself and what comes after it: the "
            "triangle is the upper one. It must see what came before.",
            PAGE,
        ),
        Mistake(
            "a token does not see itself",
            "<= query_position", "< query_position",
            "The diagonal is False. A token may see its own position: it "
            "is to guess the next one, and the first would see nothing.",
            PAGE,
        ),
        Mistake(
            "the queries stand at the beginning",
            "key_len - query_len + ", "",
            "With more keys than queries, your first query stands at "
            "position 0. The queries are the last positions, as when a "
            "model writes on with a cache.",
            PAGE,
        ),
        Mistake(
            "queries and keys are exchanged",
            ("(query_len)[:, None]", "(key_len)[None, :]"),
            ("(query_len)[None, :]", "(key_len)[:, None]"),
            "Your causal mask has keys for rows and queries for columns. "
            "Its shape is (query, key), as that of the scores.",
            PAGE,
        ),
        Mistake(
            "the filling is taken to be 0",
            " pad_id\n    return real", " 0\n    return real",
            "You compare with 0. The id of the filling is the argument "
            "pad_id: in another vocabulary, 0 is a word.",
            PAGE,
        ),
        Mistake(
            "the filling is taken to stand at the end",
            "return real", "real = np.sort(real)[:, ::-1]\n    return real",
            "You count the real tokens, and show as many keys from the "
            "left. The filling may stand anywhere: look at each token.",
            PAGE,
        ),
        Mistake(
            "padding hides queries",
            "real[:, None, None, :]", "real[:, None, :, None]",
            "Your padding runs along the query axis: rows are hidden. "
            "What must not be read is a key, so its axis is the last.",
            PAGE,
        ),
        Mistake(
            "the padding mask has no axis for the heads",
            "real[:, None, None, :]", "real[:, None, :]",
            "Your padding mask is (batch, 1, key). Scores have four axes, "
            "so the batch would meet the heads: (batch, 1, 1, key).",
            PAGE,
        ),
        Mistake(
            "the padding mask has two axes",
            "real[:, None, None, :]", "real",
            "Your padding mask is (batch, key), and the batch would meet "
            "the queries. Put two axes of 1 between: (batch, 1, 1, key).",
            PAGE,
        ),
        Mistake(
            "combined by “or”", "causal & ", "causal | ",
            "A key is seen in your decoder if it is not later or not "
            "filling. Both must hold: combine them by “and”.",
            PAGE,
        ),
        Mistake(
            "padded queries are hidden as well",
            "causal = causal_mask(seq, seq)",
            "causal = causal_mask(seq, seq) & "
            "padding_mask(token_ids, pad_id).swapaxes(2, 3)",
            "In your decoder's mask the rows of the filling are False, "
            "too. Only keys are hidden: nothing reads a padded query.",
            PAGE,
        ),
    ),
)  # fmt: skip
