"""A GPT's forward pass."""

import numpy as np

from minitransformer.coursework.exercise import (
    Call,
    Exercise,
    Mistake,
    Property,
)

PAGE = "modules/models/gpt.md"
BLOCKS = "modules/blocks.md"
STACKS = "modules/stacks.md"
POSITIONS = "modules/positions.md"
NORM = "modules/normalization.md"
HEADS = "modules/multi_head.md"
FEED_FORWARD = "modules/feed_forward.md"


def make_weights(
    rng, *, layers, d_model, d_ff, vocab, max_len, size=1.0, table_size=1.0
):
    """Draw all weights of a model; matrices grow with `size`."""

    def normal(*shape, size, mean=0.0):
        return (mean + size * rng.normal(size=shape)).astype("float32")

    def square():
        return normal(d_model, d_model, size=size * d_model**-0.5)

    blocks = [
        {
            "w_q": square(), "w_k": square(), "w_v": square(),
            "w_o": square(),
            "gain1": normal(d_model, size=0.3, mean=1),
            "bias1": normal(d_model, size=0.3),
            "gain2": normal(d_model, size=0.3, mean=1),
            "bias2": normal(d_model, size=0.3),
            "w1": normal(d_model, d_ff, size=size * d_model**-0.5),
            "b1": normal(d_ff, size=0.3 * size),
            "w2": normal(d_ff, d_model, size=size * d_ff**-0.5),
            "b2": normal(d_model, size=0.3 * size),
        }
        for _ in range(layers)
    ]  # fmt: skip
    return {
        "token_table": normal(vocab, d_model, size=table_size),
        "position_table": normal(max_len, d_model, size=table_size),
        "blocks": blocks,
        "final_gain": normal(d_model, size=0.3, mean=1),
        "final_bias": normal(d_model, size=0.3),
    }


def question(rng, batch, seq, heads, weights):
    vocab = len(weights["token_table"])
    return Call("gpt_logits", {
        "token_ids": rng.integers(0, vocab, (batch, seq)),
        "weights": weights,
        "num_heads": int(heads),
    })  # fmt: skip


def small(rng, seq=2, max_len=4, layers=1):
    weights = make_weights(
        rng, layers=layers, d_model=4, d_ff=5, vocab=6, max_len=max_len
    )
    return question(rng, 1, seq, 2, weights)


def calls(rng):
    layers, heads, head_dim = map(int, rng.permutation((2, 3, 4)))
    d_model = heads * head_dim
    others = [n for n in range(7, 17) if n != d_model]
    seq, *more = sorted(map(int, rng.choice(others, 4, replace=False)))
    max_len, d_ff, vocab = map(int, rng.permutation(more))
    sizes = {
        "layers": layers, "d_model": d_model, "d_ff": d_ff, "vocab": vocab,
        "max_len": max_len,
    }  # fmt: skip
    yield question(rng, 1, 1, 1, make_weights(
        rng, layers=1, d_model=3, d_ff=4, vocab=5, max_len=2
    ))  # fmt: skip
    yield small(rng)
    yield question(rng, 5, seq, heads, make_weights(rng, **sizes))
    # Small first weights, as GPT-2's: here ε counts.
    fresh = make_weights(rng, **sizes, size=0.1, table_size=0.02)
    fresh["final_gain"] = 30 * fresh["final_gain"]
    yield question(rng, 5, seq - 1, heads, fresh)
    # Where the forms of gelu differ most.
    bent = make_weights(rng, **sizes)
    for block in bent["blocks"]:
        block["w1"], block["w2"] = 0.3 * block["w1"], 30 * block["w2"]
        block["b1"] = block["b1"] - np.float32(2.6)
    yield question(rng, 1, seq, heads, bent)
    yield small(rng, seq=3, max_len=3)  # full
    yield small(rng, seq=5, max_len=3)  # too long


def slow(rng):
    weights = make_weights(
        rng, layers=2, d_model=32, d_ff=128, vocab=50, max_len=96
    )
    return question(rng, 3, 96, 4, weights)


def no_later_token_counts(ask, rng):
    call = small(rng, seq=4, layers=2)
    ids = call.args["token_ids"]
    logits = np.asarray(ask(call.function, **call.args))
    for j in range(1, ids.shape[1]):
        other = ids.copy()
        other[0, j] = (other[0, j] + 1) % 6
        after = ask(call.function, **call.args | {"token_ids": other})
        moved = np.abs(after - logits).max(axis=-1)[0] > 1e-3
        if moved[:j].any():
            return (
                f"changing token {j} changed the logits at position "
                f"{int(np.argmax(moved))}"
            )
    return None


def alone_as_in_a_batch(ask, rng):
    call = small(rng, layers=2)
    ids = np.array([[0, 1], [2, 3]])
    both = np.asarray(ask(call.function, **call.args | {"token_ids": ids}))
    for row in range(2):
        args = call.args | {"token_ids": ids[row : row + 1]}
        alone = np.asarray(ask(call.function, **args))
        if not np.allclose(alone[0], both[row], atol=1e-3):
            return (
                f"sequence {row} of a batch of two has other logits when "
                "it is alone"
            )
    return None


def places_count(ask, rng):
    call = small(rng)
    args = call.args | {"token_ids": np.array([[1, 1]])}
    logits = np.asarray(ask(call.function, **args))
    if np.allclose(logits[0, 0], logits[0, 1], atol=1e-4):
        return (
            "the same token twice has the same logits at positions 0 and "
            "1, as if both stood in one place"
        )
    return None


def logits_belong_to_embeddings(ask, rng):
    call = small(rng)
    table = call.args["weights"]["token_table"].copy()
    table[1] = table[0]
    weights = call.args["weights"] | {"token_table": table}
    logits = np.asarray(
        ask(call.function, **call.args | {"weights": weights})
    )
    for t in range(logits.shape[1]):
        if abs(logits[0, t, 0] - logits[0, t, 1]) > 1e-3:
            return (
                f"tokens 0 and 1 have the same row in the table, and at "
                f"position {t} the logits {logits[0, t, 0]:.3g} and "
                f"{logits[0, t, 1]:.3g}"
            )
    return None


ATTEND = (
    'h = layer_norm(x, block["gain1"], block["bias1"])\n'
    "        x = x + attention(h, block, num_heads)"
)
THINK = (
    'h = layer_norm(x, block["gain2"], block["bias2"])\n'
    "        x = x + feed_forward(h, block)"
)

EXERCISE = Exercise(
    title="GPT: from token ids to logits",
    goal=(
        "Put embeddings, positions, blocks and a last norm together: given "
        "the weights of a trained model, this is the whole GPT."
    ),
    page=PAGE,
    functions={"gpt_logits": {"logits": "batch seq vocab"}},
    calls=calls,
    slow=slow,
    forbidden=(
        "GPT",
        "GPT2Model",
        "GPT2LMHeadModel",
        "GPT2Backbone",
        "GPT2CausalLM",
        "TransformerDecoder",
        "MultiHeadAttention",
        "LayerNormalization",
        "dot_product_attention",
        "scaled_dot_product_attention",
    ),
    hints=(
        "A table and ids: `table[token_ids]` is the lookup. The position "
        "table is cut to seq rows, and is the same for the whole batch.",
        "A block is two lines: x = x + attention(norm(x)), and x = x + "
        "feed_forward(norm(x)). Write the norm, the attention and the "
        "feed-forward layer as functions of their own, each of the same "
        "shape in and out.",
        "After the last block nothing has normalized x yet: one more norm, "
        "then a product with the transposed token table. No softmax.",
    ),
    properties=(
        Property("a token sees none after it", no_later_token_counts),
        Property("the sequences of a batch are apart", alone_as_in_a_batch),
        Property("the place of a token counts", places_count),
        Property(
            "equal embeddings have equal logits",
            logits_belong_to_embeddings,
        ),
    ),
    like=("models.gpt.GPT",),
    mistakes=(
        Mistake(
            "no norm at the end",
            'layer_norm(x, weights["final_gain"], weights["final_bias"])',
            "x",
            "In a pre-norm model nothing has normalized the sum of all "
            "blocks. One more norm comes before the logits.",
            STACKS,
        ),
        Mistake(
            "later tokens are seen",
            "scores = np.where(np.tri(seq, dtype=bool), scores, -1e30)",
            "pass",
            "Attention has no causal mask: a position reads the token that "
            "it should guess. Position i may see 0 … i only.",
            "modules/masks.md",
        ),
        Mistake(
            "no positions", " + positions[:seq]", "",
            "The position embeddings are not added, so the model sees the "
            "tokens and not where they stand.",
            POSITIONS,
        ),
        Mistake(
            "positions count from 1",
            "positions[:seq]", "positions[np.arange(1, seq + 1)]",
            "The first token gets row 1 of the position table. Positions "
            "count from 0; and for a text of max_len tokens there is no "
            "row max_len.",
            POSITIONS,
        ),
        Mistake(
            "the slice of positions begins at 1",
            "positions[:seq]", "positions[1 : seq + 1]",
            "The first token gets row 1 of the position table. Positions "
            "count from 0; and for a text of max_len tokens the slice is "
            "one row short.",
            POSITIONS,
        ),
        Mistake(
            "embeddings are multiplied by √d_model",
            "x = table[token_ids]",
            "x = table[token_ids] * table.shape[1] ** 0.5",
            "The Transformer of 2017 multiplies its embeddings by "
            "√d_model. A GPT does not.",
            "modules/embeddings.md",
        ),
        Mistake(
            "ReLU for gelu",
            "z = z / 2 * (1 + np.tanh(inner))", "z = np.maximum(z, 0)",
            "The feed-forward layers bend with a ReLU. GPT uses a gelu, "
            "which lets a little through below 0.",
            FEED_FORWARD,
        ),
        Mistake(
            "no activation",
            "z = z / 2 * (1 + np.tanh(inner))", "pass",
            "Nothing bends between the two matrices of the feed-forward "
            "layer, so they are as good as one. A gelu belongs there.",
            FEED_FORWARD,
        ),
        Mistake(
            "the exact gelu for its tanh form",
            "np.tanh(inner)",
            "np.vectorize(__import__('math').erf)(z / 2**0.5)",
            "Your gelu is the exact one, with erf. It differs from the "
            "tanh form, which this model was trained with, by up to "
            "0.0005.",
            FEED_FORWARD,
        ),
        Mistake(
            "post-norm blocks",
            (ATTEND, THINK),
            (
                "x = x + attention(x, block, num_heads)\n"
                '        x = layer_norm(x, block["gain1"], block["bias1"])',
                "x = x + feed_forward(x, block)\n"
                '        x = layer_norm(x, block["gain2"], block["bias2"])',
            ),
            "The norm comes after each sum, as in the paper of 2017. Here "
            "it comes before attention and before the feed-forward layer, "
            "and the sum itself is not normalized.",
            BLOCKS,
        ),
        Mistake(
            "the norms come before both, and into the sum",
            ("x = x + attention(h", "x = x + feed_forward(h"),
            ("x = h + attention(h", "x = h + feed_forward(h"),
            "The result of attention is added to the normalized x. Keep x: "
            "the norm is only for what goes into the sublayer.",
            BLOCKS,
        ),
        Mistake(
            "no residual around attention",
            "x = x + attention(", "x = attention(",
            "Attention's result replaces x. It should be added to it.",
            BLOCKS,
        ),
        Mistake(
            "no residual around the feed-forward layer",
            "x = x + feed_forward(", "x = feed_forward(",
            "The feed-forward layer's result replaces x. It should be "
            "added to it.",
            BLOCKS,
        ),
        Mistake(
            "one norm for both sublayers",
            'block["gain2"], block["bias2"]',
            'block["gain1"], block["bias1"]',
            "The norm before the feed-forward layer has a gain and a bias "
            "of its own, gain2 and bias2.",
            BLOCKS,
        ),
        Mistake(
            "blocks in reverse",
            'in weights["blocks"]', 'in weights["blocks"][::-1]',
            "The last block is applied first. Take the list in its order.",
            STACKS,
        ),
        Mistake(
            "every block has the first one's weights",
            'in weights["blocks"]',
            'in [weights["blocks"][0]] * len(weights["blocks"])',
            "The same weights are used in every block. Each has its own.",
            STACKS,
        ),
        Mistake(
            "only the first block is applied",
            'in weights["blocks"]', 'in weights["blocks"][:1]',
            "The result of the first block is taken for that of all. Each "
            "block goes on with what the one before it made.",
            STACKS,
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
                "projected.reshape(batch, seq, num_heads, head_dim)",
                "return heads.swapaxes(1, 2)",
            ),
            (
                "projected.reshape(batch, num_heads, seq, head_dim)",
                "return heads",
            ),
            "A reshape straight to (batch, heads, seq, head_dim) gives a "
            "head a part of the sequence. Reshape to (batch, seq, heads, "
            "head_dim), then exchange two axes.",
            HEADS,
        ),
        Mistake(
            "the heads are merged without a transposition",
            "(shares @ value).swapaxes(1, 2).reshape(",
            "(shares @ value).reshape(",
            "The heads' outputs are reshaped as they are, and mix "
            "positions. Exchange heads and seq first.",
            HEADS,
        ),
        Mistake(
            "ε of 1e-3", "variance + 1e-5", "variance + 1e-3",
            "Your norms have ε = 1e-3, which is Keras' default. Here it is "
            "1e-5, and with small weights that counts.",
            NORM,
        ),
        Mistake(
            "no ε under the root", "variance + 1e-5", "variance",
            "Your norms have no ε, or a much smaller one, or it is added "
            "after the root. It is 1e-5, added to the variance.",
            NORM,
        ),
        Mistake(
            "probabilities, not logits",
            "return x @ table.T",
            "x = np.exp(x @ table.T)\n"
            "    return x / x.sum(axis=-1, keepdims=True)",
            "There is a softmax at the end. Models return logits: the loss "
            "and the sampling make probabilities of them.",
            PAGE,
        ),
        Mistake(
            "a text that is too long is cut",
            'raise ValueError(f"{seq} tokens, but max_len is {max_len}.")',
            "token_ids = token_ids[:, :max_len]",
            "What is longer than max_len is cut without a word. Raise a "
            "ValueError: whoever calls must decide what to leave out.",
            PAGE,
        ),
        Mistake(
            "max_len tokens are refused",
            "if seq > max_len", "if seq >= max_len",
            "A text of exactly max_len tokens fits: there is a position "
            "for each.",
            PAGE,
        ),
    ),
)  # fmt: skip
