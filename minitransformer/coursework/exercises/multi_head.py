"""Multi-head attention."""

import numpy as np

from minitransformer.coursework.exercise import (
    Call,
    Exercise,
    Mistake,
    Property,
)

PAGE = "modules/multi_head.md"
ATTENTION = "modules/attention.md"
MASKS = "modules/masks.md"
NAME = "multi_head_attention"


def normal(rng, *shape):
    return rng.normal(size=shape).astype("float32")


def matrices(rng, d_model):
    size = np.float32(1.5 / np.sqrt(d_model))
    return {
        name: size * normal(rng, d_model, d_model)
        for name in ("w_q", "w_k", "w_v", "w_o")
    }


def attend(rng, batch, queries, keys, heads, d_model, mask):
    return Call(NAME, {
        "query": normal(rng, batch, queries, d_model),
        "memory": normal(rng, batch, keys, d_model),
        "mask": mask,
        "weights": matrices(rng, d_model),
        "num_heads": int(heads),
    })  # fmt: skip


def split(rng, batch, seq, heads, d_model):
    x = normal(rng, batch, seq, d_model)
    return Call("split_heads", {"x": x, "num_heads": int(heads)})


def some_keys(rng, *shape):
    """Draw a mask with at least one True, and one False, in each row."""
    lots = rng.random(shape)
    mask = lots < 0.5
    mask |= lots == lots.min(axis=-1, keepdims=True)
    return mask & (lots < lots.max(axis=-1, keepdims=True))


def calls(rng):
    heads, seq, other, head_dim = rng.permutation(np.arange(3, 8))[:4]
    d_model = heads * head_dim
    everything = np.ones((1, 1, 1, 1), bool)
    yield split(rng, 1, 3, 2, 4)
    yield split(rng, 1, 2, 1, 3)
    yield split(rng, 2, seq, heads, d_model)
    yield split(rng, 1, 2, 2, 3)  # six numbers, which 2 would divide
    yield split(rng, 2, other, heads, d_model + 1)
    yield Call("merge_heads", {"x": normal(rng, 1, 2, 3, 2)})
    yield Call("merge_heads", {"x": normal(rng, 2, heads, seq, head_dim)})
    yield attend(rng, 1, 2, 2, 1, 3, everything)
    yield attend(rng, 1, 2, 2, 2, 4, everything)
    yield attend(rng, 2, seq, other, heads, d_model, everything)
    for mask in (
        np.tril(np.ones((seq, seq), bool))[None, None],
        some_keys(rng, 2, 1, 1, seq),  # padding
        some_keys(rng, 2, heads, seq, seq),
    ):
        yield attend(rng, 2, seq, seq, heads, d_model, mask)
    yield attend(rng, 2, seq, other, heads, d_model + 1, everything)


def slow(rng):
    mask = np.tril(np.ones((128, 128), bool))[None, None]
    return attend(rng, 2, 128, 128, 4, 64, mask)


def a_split_can_be_undone(ask, rng):
    for seq, heads, d_model in ((1, 2, 2), (2, 2, 2), (2, 2, 4), (3, 2, 6)):
        x = np.arange(seq * d_model, dtype="float32")
        x = x.reshape(1, seq, d_model)
        split = np.asarray(ask("split_heads", x=x, num_heads=heads))
        back = np.asarray(ask("merge_heads", x=split))
        wrong = np.argwhere(back != x)
        if len(wrong):
            _, i, j = wrong[0]
            return (
                f"{heads} heads of {x[0].tolist()} are "
                f"{split[0].tolist()}; merged again, token {i} has "
                f"{back[0, i, j]:g} for {x[0, i, j]:g}"
            )
    return None


def a_token_stays_in_its_place(ask, rng):
    for seq, heads, d_model in ((2, 2, 2), (2, 2, 4), (3, 2, 4)):
        x = np.zeros((1, seq, d_model), "float32")
        x[0, 1] = 1
        split = np.asarray(ask("split_heads", x=x, num_heads=heads))
        for h, i in np.argwhere(split[0].any(-1)):
            if i != 1:
                return (
                    f"of {seq} tokens and {heads} heads, head {h} has "
                    f"numbers of token 1 at position {i}"
                )
    return None


def a_query_is_alone(ask, rng):
    mask = np.ones((1, 1, 1, 1), bool)
    args = attend(rng, 1, 2, 2, 2, 4, mask).args
    output, _ = ask(NAME, **args)
    query = args["query"].copy()
    query[:, 1] += 1
    other, _ = ask(NAME, **args | {"query": query})
    first, again = np.asarray(output)[0, 0], np.asarray(other)[0, 0]
    if not np.allclose(first, again, atol=1e-4):
        return "changing query 1 changed the output of query 0"
    return None


def memory_is_read(ask, rng):
    mask = np.ones((1, 1, 1, 1), bool)
    args = attend(rng, 1, 1, 2, 2, 4, mask).args
    output, _ = ask(NAME, **args)
    other, _ = ask(NAME, **args | {"memory": args["memory"] + 1})
    if np.allclose(output, other, atol=1e-4):
        return "changing the memory did not change the output"
    return None


def masked_is_not_read(ask, rng):
    mask = np.array([True, True, False])[None, None, None]
    args = attend(rng, 1, 1, 3, 2, 4, mask).args
    output, _ = ask(NAME, **args)
    memory = args["memory"].copy()
    memory[:, 2] += 1
    other, _ = ask(NAME, **args | {"memory": memory})
    if not np.allclose(output, other, atol=1e-4):
        return "changing key 2, which is masked, changed the output"
    return None


EXERCISE = Exercise(
    title="Multi-head attention",
    goal=(
        "Cut the width into heads, let each attend on its own, put the "
        "results side by side again, and mix them."
    ),
    page=PAGE,
    functions={
        "split_heads": {"heads": "batch heads seq head_dim"},
        "merge_heads": {"merged": "batch seq d_model"},
        NAME: {
            "output": "batch query d_model",
            "weights": "batch heads query key",
        },
    },
    calls=calls,
    slow=slow,
    forbidden=(
        "MultiHeadAttention",
        "MultiheadAttention",
        "GroupedQueryAttention",
        "GroupQueryAttention",
        "multi_head_attention_forward",
        "dot_product_attention",
    ),
    hints=(
        "A reshape reads the numbers in the same order. Cutting the last "
        "axis in two is a reshape; bringing the heads before the tokens "
        "is not.",
        "Split: reshape to (batch, seq, heads, head_dim), then exchange "
        "axes 1 and 2. Merge: the same two steps, backwards.",
        "Queries are query @ w_q, keys memory @ w_k, values memory @ w_v. "
        "Split all three, use your attention of the exercise before, "
        "merge, and multiply with w_o.",
    ),
    properties=(
        Property("merge_heads undoes split_heads", a_split_can_be_undone),
        Property("a token stays in its place", a_token_stays_in_its_place),
        Property("queries do not see each other", a_query_is_alone),
        Property("the memory is read", memory_is_read),
        Property("what is masked is not read", masked_is_not_read),
    ),
    like=(
        "multi_head.split_heads",
        "multi_head.merge_heads",
        "multi_head.MultiHeadAttention",
    ),
    mistakes=(
        Mistake(
            "split without the transposition",
            "pieces.transpose(0, 2, 1, 3)",
            "pieces.reshape(batch, num_heads, seq, -1)",
            "A reshape to (batch, heads, seq, head_dim) does not move "
            "numbers: your head 0 has the first tokens, not the first "
            "features. Cut the last axis, then exchange two axes.",
            PAGE,
        ),
        Mistake(
            "merged without the transposition",
            "x = x.transpose(0, 2, 1, 3)", "pass",
            "You reshape (batch, heads, seq, head_dim) straight to (batch, "
            "seq, d_model), which mixes tokens. Exchange heads and seq "
            "first.",
            PAGE,
        ),
        Mistake(
            "heads are split from every n-th feature",
            "x.reshape(batch, seq, num_heads, d_model // num_heads)",
            "x.reshape(batch, seq, -1, num_heads).swapaxes(2, 3)",
            "Your heads take turns: head 0 has features 0, h, 2h, … of h "
            "heads. A head has neighbouring features: cut into (heads, "
            "head_dim), not (head_dim, heads).",
            PAGE,
        ),
        Mistake(
            "heads are merged in turns",
            "x = x.transpose(0, 2, 1, 3)", "x = x.transpose(0, 2, 3, 1)",
            "You merge one number of each head, then the next of each. "
            "All features of head 0 come first, then those of head 1.",
            PAGE,
        ),
        Mistake(
            "heads that do not divide are accepted",
            "if d_model % num_heads:",
            "x = x[..., : d_model // num_heads * num_heads]\n    if False:",
            "If the heads do not divide d_model, your last features fall "
            "away in silence. Raise a ValueError.",
            PAGE,
        ),
        Mistake(
            "no scaling", "        queries, keys,",
            "        queries * queries.shape[-1] ** 0.5, keys,",
            "The scores are not divided by √head_dim.", ATTENTION,
        ),
        Mistake(
            "scaled by √d_model", "        queries, keys,",
            "        queries / num_heads**0.5, keys,",
            "The scores are divided by the root of d_model. A dot product "
            "runs over one head, so it is √head_dim.",
            PAGE,
        ),
        Mistake(
            "keys and values are exchanged",
            ('keys = split_heads(memory @ weights["w_k"]',
             'values = split_heads(memory @ weights["w_v"]'),
            ('keys = split_heads(memory @ weights["w_v"]',
             'values = split_heads(memory @ weights["w_k"]'),
            "Your queries are compared with the values, and the keys are "
            "mixed. Keys (w_k) say where to look, values (w_v) what is "
            "read there.",
            PAGE,
        ),
        Mistake(
            "the keys are projected with w_q",
            'weights["w_k"]', 'weights["w_q"]',
            "Queries and keys have the same matrix in your code; the "
            "keys' own is w_k.",
            PAGE,
        ),
        Mistake(
            "the memory is ignored", "(memory @", "(query @",
            "Your keys and values come from the query, as in "
            "self-attention. They must come from the memory.",
            PAGE,
        ),
        Mistake(
            "the queries come from the memory",
            '(query @ weights["w_q"]', '(memory @ weights["w_q"]',
            "Who looks is `query`, what is looked at is `memory`: yours "
            "makes the queries from the memory.",
            PAGE,
        ),
        Mistake(
            "the mask is ignored", "values, mask\n", "values, True\n",
            "Your heads see all keys: the mask does not reach attention.",
            MASKS,
        ),
        Mistake(
            "no output projection",
            'merge_heads(heads) @ weights["w_o"]', "merge_heads(heads)",
            "The merged heads are returned as they are. The last product, "
            "with w_o, mixes what the heads found.",
            PAGE,
        ),
        Mistake(
            "the weights are averaged over the heads",
            ", shares\n", ", shares.mean(axis=1)\n",
            "Each head looks elsewhere, so its weights are its own: return "
            "them all, (batch, heads, query, key), and not their mean.",
            PAGE,
        ),
        Mistake(
            "the matrices are transposed", '"]', '"].T',
            "You multiply with Wᵀ, as in PyTorch, where a matrix is kept "
            "as (out, in). Here a vector v becomes v W.",
            PAGE,
        ),
    ),
)  # fmt: skip
