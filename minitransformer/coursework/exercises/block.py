"""Feed-forward, and a pre-norm block."""

import numpy as np

from minitransformer.coursework.exercise import (
    Call,
    Exercise,
    Mistake,
    Property,
)

PAGE = "modules/blocks.md"
FEED = "modules/feed_forward.md"
NORM = "modules/normalization.md"
MASKS = "modules/masks.md"
ONE = 'layer_norm(x, weights["gain1"], weights["bias1"])'
TWO = 'layer_norm(x, weights["gain2"], weights["bias2"])'
HIDDEN = 'x @ weights["w1"] + weights["b1"]'
OUTPUT = 'hidden @ weights["w2"] + weights["b2"]'


def feed_weights(normal, d_model, d_ff):
    return {
        "w1": normal(d_model, d_ff) / np.float32(d_model**0.5),
        "b1": normal(d_ff),
        "w2": normal(d_ff, d_model) / np.float32(d_ff**0.5),
        "b2": normal(d_model),
    }


def drawing(rng):
    """Make a function that draws float32 numbers of a shape."""
    return lambda *shape: rng.normal(size=shape).astype("float32")


def some_keys(rng, *shape):
    """Draw a mask with at least one True, and one False, in each row."""
    lots = rng.random(shape)
    mask = lots < 0.5
    mask |= lots == lots.min(axis=-1, keepdims=True)
    return mask & (lots < lots.max(axis=-1, keepdims=True))


def feed_question(rng, batch, seq, d_model, d_ff):
    normal = drawing(rng)
    return Call("feed_forward", {
        "x": normal(batch, seq, d_model),
        "weights": feed_weights(normal, d_model, d_ff),
    })  # fmt: skip


def block_question(rng, batch, seq, d_model, d_ff, mask=None, size=2.0):
    normal = drawing(rng)
    matrices = ("w_q", "w_k", "w_v", "w_o")
    if mask is None:
        mask = some_keys(rng, batch, seq, seq)
    return Call("pre_norm_block", {
        "x": np.float32(size) * (normal(batch, seq, d_model) + 1),
        "mask": mask,
        "weights": {
            name: normal(d_model, d_model) / np.float32(d_model**0.5)
            for name in matrices
        } | {
            "gain1": 1 + normal(d_model) / 2, "bias1": normal(d_model),
            "gain2": 1 + normal(d_model) / 2, "bias2": normal(d_model),
        } | feed_weights(normal, d_model, d_ff),
    })  # fmt: skip


def calls(rng):
    batch, seq, d_model, d_ff = rng.permutation(np.arange(3, 9))[:4]
    yield feed_question(rng, 1, 1, 2, 3)
    yield feed_question(rng, batch, seq, d_model, d_ff)
    yield feed_question(rng, seq, d_ff, batch, d_model)
    yield block_question(rng, 1, 2, 3, 4)
    yield block_question(rng, batch, seq, d_model, d_ff)
    yield block_question(rng, seq, d_ff, batch + 2, d_model)
    # So small that the norm's epsilon shows.
    yield block_question(rng, 2, seq, d_model, d_ff, size=3e-3)


def slow(rng):
    return block_question(rng, 8, 64, 24, 96)


def with_zeros(call, *names):
    """Give the arguments of a call, with some weights set to zero."""
    weights = call.args["weights"]
    zeros = {name: np.zeros_like(weights[name]) for name in names}
    return call.args | {"weights": weights | zeros}


def carries(ask, rng):
    call = block_question(rng, 1, 2, 3, 4)
    args = with_zeros(call, "w_o", "w2", "b2")
    output = ask(call.function, **args)
    if not np.allclose(output, args["x"], atol=1e-4):
        return (
            "with w_o, w2 and b2 all zero, both parts add nothing, and x "
            "must come out as it went in; it was changed"
        )
    return None


def from_the_norm(ask, rng):
    call = block_question(rng, 1, 2, 3, 4)
    for part, silent in (
        ("attention", ("w2", "b2")), ("feed-forward", ("w_o",))
    ):  # fmt: skip
        args = with_zeros(call, *silent)
        x = args["x"]
        added = ask(call.function, **args) - x
        other = ask(call.function, **args | {"x": 10 * x}) - 10 * x
        if not np.allclose(added, other, atol=1e-2):
            return (
                f"with {' and '.join(silent)} zero, only {part} adds to x; "
                "x · 10 has the same norm, yet something else was added"
            )
    return None


def not_ahead(ask, rng):
    causal = np.tril(np.ones((1, 3, 3), bool))
    call = block_question(rng, 1, 3, 4, 5, mask=causal)
    output = ask(call.function, **call.args)
    x = call.args["x"].copy()
    x[:, 2, 0] += 1
    other = ask(call.function, **call.args | {"x": x})
    for i in (0, 1):
        if not np.allclose(output[:, i], other[:, i], atol=1e-4):
            return (
                "with a causal mask, changing token 2 changed the output "
                f"at position {i}"
            )
    return None


def alone(ask, rng):
    call = feed_question(rng, 1, 2, 3, 4)
    output = ask(call.function, **call.args)
    x = call.args["x"].copy()
    x[:, 1] += 1
    other = ask(call.function, **call.args | {"x": x})
    if not np.allclose(output[:, 0], other[:, 0], atol=1e-4):
        return "changing token 1 changed what feed_forward makes of token 0"
    args = with_zeros(block_question(rng, 1, 3, 4, 5), "w_o")
    output = ask("pre_norm_block", **args)
    x = args["x"].copy()
    x[:, 1, 0] += 1
    other = ask("pre_norm_block", **args | {"x": x})
    if not np.allclose(output[:, 0], other[:, 0], atol=1e-4):
        return (
            "with w_o zero nothing of what attention read is used, but "
            "changing token 1 changed the output at position 0"
        )
    return None


def nothing_negative(ask, rng):
    call = feed_question(rng, 1, 1, 2, 3)
    args = with_zeros(call, "w1")
    args["weights"]["b1"] = np.full(3, -1, "float32")
    output = ask(call.function, **args)
    if not np.allclose(output, args["weights"]["b2"], atol=1e-4):
        return (
            "with w1 zero and each number of b1 −1, the ReLU is given only "
            "−1 and makes 0 of it, so b2 alone comes out; it did not"
        )
    return None


EXERCISE = Exercise(
    title="Feed-forward and a pre-norm block",
    goal=(
        "Let each token think for itself, then join attention and "
        "feed-forward to a block: each reads a normed copy of the stream, "
        "and adds to the stream what it found."
    ),
    page=PAGE,
    functions={
        "feed_forward": {"output": "batch seq d_model"},
        "pre_norm_block": {"output": "batch seq d_model"},
    },
    calls=calls,
    slow=slow,
    forbidden=(
        "MultiHeadAttention",
        "TransformerEncoder",
        "TransformerDecoder",
        "TransformerEncoderLayer",
        "TransformerEncoderBlock",
    ),
    hints=(
        "Keep two names apart: x is the stream, which only ever grows by "
        "sums; h is what a part reads, the norm of the stream.",
        "The attention of an earlier exercise wants an axis for the heads: "
        "`query[:, None]` makes one of size 1, and the mask needs it, too.",
        "h = norm₁(x); x = x + attention(h); h = norm₂(x), of the new x; "
        "x = x + feed_forward(h).",
    ),
    properties=(
        Property("ReLU lets nothing negative through", nothing_negative),
        Property("a token is normed and fed forward on its own", alone),
        Property("the stream is carried through", carries),
        Property("each part reads a norm of the stream", from_the_norm),
        Property("what is masked is not read", not_ahead),
    ),
    like=("feed_forward.FeedForward", "blocks.EncoderBlock"),
    mistakes=(
        Mistake(
            "the ReLU is missing", f"np.maximum({HIDDEN}, 0)", HIDDEN,
            "Nothing bends between the two matrices, so both together are "
            "no more than one. Negative numbers must become 0 there.",
            FEED,
        ),
        Mistake(
            "the ReLU comes after the second matrix",
            (f"np.maximum({HIDDEN}, 0)", OUTPUT),
            (HIDDEN, f"np.maximum({OUTPUT}, 0)"),
            "The ReLU belongs between the two matrices. Behind the second "
            "one, feed-forward could never add a negative number.",
            FEED,
        ),
        Mistake(
            "the first bias is missing", ' + weights["b1"]', "",
            "b1 is not added. It comes behind the first matrix, before the "
            "ReLU.",
            FEED,
        ),
        Mistake(
            "the second bias is missing", ' + weights["b2"]', "",
            "b2 is not added. It comes behind the second matrix.",
            FEED,
        ),
        Mistake(
            "post-norm",
            (
                f"h = {ONE}", 'x = x + read[:, 0] @ weights["w_o"]',
                f"h = {TWO}", "return x + feed_forward(h, weights)",
            ),
            (
                "h = x",
                'x = x + read[:, 0] @ weights["w_o"]\n    '
                f"x = {ONE}",
                "h = x",
                "x = x + feed_forward(h, weights)\n    "
                f"return {TWO}",
            ),
            "Your norms stand behind the sums, as in the paper of 2017: "
            "x ← norm(x + f(x)). Pre-norm is x ← x + f(norm(x)).",
            PAGE,
        ),
        Mistake(
            "no residual around attention", "x = x + read", "x = read",
            "What attention read takes the place of the stream. It must be "
            "added to x.",
            PAGE,
        ),
        Mistake(
            "attention is added to the normed stream",
            "x = x + read", "x = h + read",
            "The sum takes the normed copy, h. Only attention reads that; "
            "what it found is added to x itself.",
            PAGE,
        ),
        Mistake(
            "no residual around feed-forward",
            "return x + feed_forward", "return feed_forward",
            "What feed-forward made takes the place of the stream. It must "
            "be added to x.",
            PAGE,
        ),
        Mistake(
            "feed-forward is added to the normed stream",
            "return x + feed_forward", "return h + feed_forward",
            "The last sum takes the normed copy, h. Only feed-forward "
            "reads that; what it made is added to x itself.",
            PAGE,
        ),
        Mistake(
            "one norm's weights serve both", TWO, ONE,
            "Both norms use gain1 and bias1. The one before feed-forward "
            "has its own, gain2 and bias2.",
            PAGE,
        ),
        Mistake(
            "attention reads the stream without a norm",
            f"h = {ONE}\n    query", "h = x\n    query",
            "Attention is given x. In pre-norm it reads the norm of x.",
            PAGE,
        ),
        Mistake(
            "the values are not normed",
            'value = h @', "value = x @",
            "Queries and keys are made from the normed stream, and the "
            "values from x. All three come from the norm.",
            PAGE,
        ),
        Mistake(
            "only the queries are normed",
            ("key = h @", "value = h @"), ("key = x @", "value = x @"),
            "Queries are made from the normed stream, and keys and values "
            "from x. In self-attention all three come from the norm.",
            PAGE,
        ),
        Mistake(
            "feed-forward reads the stream without a norm",
            f"h = {TWO}", "h = x",
            "Feed-forward is given x. In pre-norm it reads the norm of x, "
            "with the second gain and bias.",
            PAGE,
        ),
        Mistake(
            "feed-forward does not see what attention read",
            ("query = h @", "\n\n    h = layer_norm(x,"),
            (
                "before = x\n    query = h @",
                "\n\n    h = layer_norm(before,",
            ),
            "The second norm is taken of the block's input. It belongs to "
            "the sum: feed-forward thinks about what attention has read.",
            PAGE,
        ),
        Mistake(
            "w_o is left out", ' @ weights["w_o"]', "",
            "What attention read is added as it is. It is multiplied by "
            "w_o first.",
            "modules/multi_head.md",
        ),
        Mistake(
            "no scaling", 'h @ weights["w_q"]',
            'x.shape[-1] ** 0.5 * h @ weights["w_q"]',
            "The scores are not divided by √d_model, the width of the one "
            "head.",
            "modules/attention.md",
        ),
        Mistake(
            "the mask is not used",
            "mask[:, None]", "np.ones_like(mask[:, None])",
            "Every token sees all others. Where the mask is False, no "
            "weight may fall.",
            MASKS,
        ),
        Mistake(
            "the mask is the wrong way round",
            "mask[:, None]", "~mask[:, None]",
            "True means “may attend” here. Your mask hides what may be "
            "seen, and shows the rest.",
            MASKS,
        ),
        Mistake(
            "the variance is a sample's",
            "(centred**2).mean(axis=-1, keepdims=True)",
            "(centred**2).sum(axis=-1, keepdims=True) / (x.shape[-1] - 1)",
            "The sum of squares is divided by d_model − 1, as PyTorch's "
            "std() does. The norm's variance is the mean: by d_model.",
            NORM,
        ),
        Mistake(
            "the epsilon is Keras'", "variance + 1e-5", "variance + 1e-3",
            "The norms add 1e-3 to the variance, which is what Keras does "
            "by itself; 1e-5 is wanted. It shows where x is small.",
            NORM,
        ),
    ),
)  # fmt: skip
