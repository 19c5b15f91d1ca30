"""Attention with a key/value cache."""

import numpy as np

from minitransformer.coursework.exercise import (
    Call,
    Exercise,
    Mistake,
    Property,
)

PAGE = "modules/writing/generation.md"
HEADS = "modules/multi_head.md"
MASKS = "modules/masks.md"
NAME = "attend_with_cache"


def question(rng, batch, new, past, heads, head_dim):
    def normal(*shape, size=1.0):
        return (size * rng.normal(size=shape)).astype("float32")

    d_model = heads * head_dim
    return Call(NAME, {
        "x": normal(batch, new, d_model),
        "keys": normal(batch, heads, past, head_dim),
        "values": normal(batch, heads, past, head_dim),
        "weights": {
            name: normal(d_model, d_model, size=d_model**-0.5)
            for name in ("w_q", "w_k", "w_v", "w_o")
        },
        "num_heads": int(heads),
    })  # fmt: skip


def calls(rng):
    batch, heads, head_dim = map(int, rng.permutation((2, 3, 4)))
    others = [n for n in range(5, 10) if n != heads * head_dim]
    few, many = sorted(map(int, rng.choice(others, 2, replace=False)))
    sizes = {"batch": batch, "heads": heads, "head_dim": head_dim}
    yield question(rng, 1, 1, 0, 1, 2)
    yield question(rng, 1, 1, 2, 1, 3)
    yield question(rng, 1, 2, 3, 1, 4)
    yield question(rng, new=few, past=0, **sizes)
    yield question(rng, new=1, past=many, **sizes)
    yield question(rng, new=few, past=many, **sizes)
    yield question(rng, new=many, past=few, **sizes)


def slow(rng):
    return question(rng, 3, 64, 128, 4, 16)


def no_later_token_counts(ask, rng):
    for past in (0, 1):
        call = question(rng, 1, 3, past, 1, 2)
        output, _, _ = ask(NAME, **call.args)
        for j in (1, 2):
            x = call.args["x"].copy()
            x[0, j] += 1
            other, _, _ = ask(NAME, **call.args | {"x": x})
            moved = (
                np.abs(np.subtract(other, output))[0].max(axis=-1) > 1e-4
            )
            if moved[:j].any():
                return (
                    f"behind {past} old tokens, changing new token {j} "
                    f"changed the output of new token "
                    f"{int(np.argmax(moved))}"
                )
    return None


def old_entries_stay(ask, rng):
    for past in (1, 2):
        call = question(rng, 1, 1, past, 1, 2)
        _, keys, values = ask(NAME, **call.args)
        for name, cache in (("keys", keys), ("values", values)):
            kept = np.asarray(cache)[:, :, :past]
            if not np.allclose(kept, call.args[name], atol=1e-4):
                return (
                    f"after one new token, the {name} of the first {past} "
                    "positions are no longer those that were given"
                )
    return None


def pieces_equal_the_whole(ask, rng):
    call = question(rng, 1, 4, 0, 2, 2)
    x, empty = call.args["x"], call.args["keys"]
    whole, all_keys, all_values = ask(NAME, **call.args)
    keys = values = empty
    for t in range(x.shape[1]):
        piece = {"x": x[:, t : t + 1], "keys": keys, "values": values}
        output, keys, values = ask(NAME, **call.args | piece)
        if not np.allclose(output[0][0], whole[0][t], atol=1e-4):
            return (
                f"the output at position {t} is another when written token "
                "by token"
            )
    for name, a, b in (
        ("keys", keys, all_keys), ("values", values, all_values)
    ):  # fmt: skip
        if not np.allclose(a, b, atol=1e-4):
            return (
                f"the {name} in the cache are others when written token by "
                "token"
            )
    return None


EXERCISE = Exercise(
    title="A key/value cache",
    goal=(
        "A model that writes needs the keys and values of all tokens for "
        "each new one. Keep them, and compute only what is new."
    ),
    page=PAGE,
    functions={
        NAME: {
            "output": "batch new d_model",
            "keys": "batch heads past+new head_dim",
            "values": "batch heads past+new head_dim",
        }
    },
    calls=calls,
    slow=slow,
    forbidden=(
        "MultiHeadAttention",
        "CachedMultiHeadAttention",
        "dot_product_attention",
        "scaled_dot_product_attention",
    ),
    hints=(
        "Only the new tokens are projected. Their keys and values are put "
        "behind the old ones, on the axis of positions.",
        "There are `new` queries and `past + new` keys: the mask is not "
        "square.",
        "Query i stands at position past + i, so it may see key j if "
        "j ≤ past + i.",
    ),
    properties=(
        Property("a token sees none after it", no_later_token_counts),
        Property("old entries stay as they are", old_entries_stay),
        Property("token by token is all at once", pieces_equal_the_whole),
    ),
    like=(
        "multi_head.write_cache",
        "multi_head.MultiHeadAttention.keys_and_values",
        "multi_head.MultiHeadAttention.attend",
    ),
    mistakes=(
        Mistake(
            "new tokens see those after them",
            "scores = np.where(np.arange(past + new) <= position, scores, "
            "-1e30)",
            "pass",
            "There is no causal mask: when several tokens come at once, "
            "the first of them reads the others. One at a time nothing is "
            "wrong.",
            MASKS,
        ),
        Mistake(
            "the mask begins at position 0",
            "position = past + np.arange(new)", "position = np.arange(new)",
            "The first new token is taken for position 0, so it sees the "
            "first old token only. It stands at position past.",
            MASKS,
        ),
        Mistake(
            "a new token does not see itself",
            "np.arange(past + new) <= position",
            "np.arange(past + new) < position",
            "Your mask ends one position before the token's own. A token "
            "may see itself.",
            MASKS,
        ),
        Mistake(
            "the old tokens are not looked at",
            (
                "scores = query @ keys.swapaxes(-1, -2)",
                "np.arange(past + new) <= position",
                "(shares @ values)",
            ),
            (
                "scores = query @ key.swapaxes(-1, -2)",
                "past + np.arange(new) <= position",
                "(shares @ value)",
            ),
            "The new tokens attend to one another only. What was cached is "
            "returned, but not read.",
            PAGE,
        ),
        Mistake(
            "new entries before the old",
            ("[keys, key]", "[values, value]"),
            ("[key, keys]", "[value, values]"),
            "The new keys and values are put in front of the old ones. The "
            "cache is in the order of positions: they belong behind.",
            PAGE,
        ),
        Mistake(
            "the cache comes back without the new entries",
            "return output, keys, values",
            "return output, keys[:, :, :past], values[:, :, :past]",
            "The output is right, but the cache is returned as it came. "
            "The next call needs the new keys and values, too.",
            PAGE,
        ),
        Mistake(
            "the cache comes back without the old entries",
            "return output, keys, values",
            "return output, keys[:, :, past:], values[:, :, past:]",
            "The output is right, but only the new keys and values are "
            "returned. The next call needs all of them.",
            PAGE,
        ),
        Mistake(
            "the values of the old are not kept",
            "return output, keys, values",
            "return output, keys, values[:, :, past:]",
            "All keys are returned, but only the new values. Each key "
            "needs its value.",
            PAGE,
        ),
        Mistake(
            "the keys are returned as values",
            "return output, keys, values", "return output, keys, keys",
            "The third result is the keys once more. It should be the "
            "values.",
            PAGE,
        ),
        Mistake(
            "keys and values are returned in each other's place",
            "return output, keys, values", "return output, values, keys",
            "The output is followed by the values, then the keys. Keys "
            "come first.",
            PAGE,
        ),
        Mistake(
            "what is cached is projected once more",
            ("[keys, key]", "[values, value]"),
            (
                "[split(keys.swapaxes(1, 2).reshape(batch, past, d_model) "
                '@ weights["w_k"]), key]',
                "[split(values.swapaxes(1, 2).reshape(batch, past, d_model)"
                ' @ weights["w_v"]), value]',
            ),
            "The cache holds projected keys and values already. Only those "
            "of the new tokens go through w_k and w_v.",
            PAGE,
        ),
        Mistake(
            "keys projected as values",
            '("w_q", "w_k", "w_v")', '("w_q", "w_k", "w_k")',
            "The new values are made with w_k. They have a matrix of their "
            "own, w_v.",
            HEADS,
        ),
        Mistake(
            "the last token's output only",
            "return output, keys, values",
            "return output[:, -1:], keys, values",
            "Only the last new token's output is returned. Each new token "
            "has one.",
            PAGE,
        ),
        Mistake(
            "√d_model for √head_dim", "head_dim**0.5", "d_model**0.5",
            "The scores are divided by the root of d_model. A head's dot "
            "product has head_dim terms, so it is the root of that.",
            HEADS,
        ),
        Mistake(
            "no scaling", " / head_dim**0.5", "",
            "The scores are not divided by √head_dim.",
            "modules/attention.md",
        ),
        Mistake(
            "heads are cut without a transposition",
            (
                "projected.reshape(batch, -1, num_heads, head_dim)",
                "return heads.swapaxes(1, 2)",
            ),
            (
                "projected.reshape(batch, num_heads, -1, head_dim)",
                "return heads",
            ),
            "A reshape straight to (batch, heads, new, head_dim) gives a "
            "head a part of the sequence. Reshape to (batch, new, heads, "
            "head_dim), then exchange two axes.",
            HEADS,
        ),
        Mistake(
            "the heads are merged without a transposition",
            "(shares @ values).swapaxes(1, 2).reshape(",
            "(shares @ values).reshape(",
            "The heads' outputs are reshaped as they are, and mix "
            "positions. Exchange heads and positions first.",
            HEADS,
        ),
        Mistake(
            "no output projection",
            'output = merged @ weights["w_o"]', "output = merged",
            "The merged heads are returned. They still have to go through "
            "w_o.",
            HEADS,
        ),
    ),
)  # fmt: skip
