"""A GPT's forward pass."""

import numpy as np

from minitransformer.coursework import properties, questions as q

NAME = "gpt_logits"
SMALL = {"layers": 1, "d_model": 4, "d_ff": 5, "vocab": 6, "max_len": 4}


def make_weights(
    rng, layers, d_model, d_ff, vocab, max_len, size=1.0, table_size=1.0
):
    """Draw all weights of a model; matrices grow with `size`."""
    return {
        "token_table": q.normal(rng, vocab, d_model, size=table_size),
        "position_table": q.normal(rng, max_len, d_model, size=table_size),
        "blocks": [
            q.matrices(rng, d_model, size)
            | q.norms(rng, d_model, gain=0.3, bias=0.3)
            | q.feed_weights(rng, d_model, d_ff, size, bias=0.3)
            for _ in range(layers)
        ],
        "final_gain": q.normal(rng, d_model, size=0.3, mean=1),
        "final_bias": q.normal(rng, d_model, size=0.3),
    }


def draw(rng, batch, seq, heads, weights):
    vocab = len(weights["token_table"])
    return q.question(
        NAME,
        token_ids=rng.integers(0, vocab, (batch, seq)),
        weights=weights,
        num_heads=heads,
    )


def small(rng, seq=2, **more):
    return draw(rng, 1, seq, 2, make_weights(rng, **SMALL | more))


def calls(rng):
    layers, heads, head_dim = q.sizes(rng, 3, 2, 5)
    d_model = heads * head_dim
    others = [n for n in range(7, 17) if n != d_model]
    seq, *more = sorted(rng.choice(others, 4, replace=False).tolist())
    max_len, d_ff, vocab = rng.permutation(more).tolist()
    large = layers, d_model, d_ff, vocab, max_len
    yield draw(rng, 1, 1, 1, make_weights(rng, 1, 3, 4, 5, 2))
    yield small(rng)
    yield draw(rng, 5, seq, heads, make_weights(rng, *large))
    # Small initial weights, like those of GPT-2, show the ε.
    fresh = make_weights(rng, *large, size=0.1, table_size=0.02)
    fresh["final_gain"] = 30 * fresh["final_gain"]
    yield draw(rng, 5, seq - 1, heads, fresh)
    # Where the forms of GELU differ most.
    shifted = make_weights(rng, *large)
    for block in shifted["blocks"]:
        block["w1"], block["w2"] = 0.3 * block["w1"], 30 * block["w2"]
        block["b1"] = block["b1"] - np.float32(2.6)
    yield draw(rng, 1, seq, heads, shifted)
    yield small(rng, seq=3, max_len=3)  # full
    yield small(rng, seq=5, max_len=3)  # too long


def slow(rng):
    return draw(rng, 3, 96, 4, make_weights(rng, 2, 32, 128, 50, 96))


def given(rng, *rows, layers=2):
    return q.changed(small(rng, layers=layers), token_ids=np.array(rows))


no_later_token_counts = properties.causal(
    lambda rng: [given(rng, [0, 3, 1, 4])], "token_ids", "logits"
)
alone_as_in_a_batch = properties.rows_are_independent(
    lambda rng: [given(rng, [0, 1], [2, 3])], "token_ids"
)


def places_count(ask, rng):
    call = given(rng, [1, 1], layers=1)
    logits = np.asarray(ask(NAME, **call.args))
    if np.allclose(logits[0, 0], logits[0, 1], atol=1e-4):
        yield "the same token has the same logits at positions 0 and 1"


def logits_belong_to_embeddings(ask, rng):
    call = small(rng)
    table = call.args["weights"]["token_table"]
    table[1] = table[0]
    logits = np.asarray(ask(NAME, **call.args))
    for t, (a, b) in enumerate(logits[0, :, :2]):
        if abs(a - b) > 1e-3:
            yield (
                "tokens 0 and 1 have the same row in the table, but at "
                f"position {t} the logits {a:.3g} and {b:.3g}"
            )
