"""Lens: what each layer and head says about the next token."""

from typing import Any

import keras
import tensorflow as tf

from minitransformer.inside.capture import capture
from minitransformer.normalization import LayerNorm


def logit_lens(model: keras.Model, inputs: Any) -> dict[str, tf.Tensor]:
    """Turn the stream after each block into logits, as if it were the last.

        logits = table · norm(x)

    Args:
        model: A GPT, or a Transformer. The blocks of a post-norm model
            end with a norm, so the lens adds none.
        inputs: Token ids, or a tuple with all inputs of the model.

    Returns:
        A dictionary from sites ("embeddings", "block0", …; with
        "decoder." before them for a Transformer) to logits
        `(batch, seq, vocab_size)`; the last are the model's own.

    References:
        nostalgebraist 2020, "interpreting GPT: the logit lens".
    """
    decoder = check_decoder(model, translators=True)
    side = "decoder." if hasattr(model, "encoder") else ""
    names = [
        "embeddings",
        *(f"block{i}" for i in range(len(decoder.blocks))),
    ]
    norm, table = decoder.final_norm or tf.identity, model.embedding
    found = capture(model, inputs, [side + name for name in names])
    return {name: table.logits(norm(x)) for name, x in found.items()}


def attribution(
    model: keras.Model, token_ids: Any, targets: Any
) -> dict[str, tf.Tensor]:
    """Split the logit of each target into what each part adds to it.

    The last stream x is a sum of vectors c, one per part. The final norm
    is linear, once the mean and the deviation of x are known:

        logit = Σ gain · (c − mean(c)) / √(variance(x) + ε) · row + bias

    Args:
        model: A GPT.
        token_ids: Integers `(batch, seq)`.
        targets: Integers `(batch, seq)`: the token whose logit is split at
            each position.

    Returns:
        A dictionary from "embeddings", "block0.head0", …, "block0.bias",
        "block0.feed_forward", …, "norm.bias" to `(batch, seq)`. Their sum
        is the logit of the target.

    References:
        Elhage et al. 2021, "A Mathematical Framework for Transformer
        Circuits", on direct paths from heads to logits.
    """
    names = ["embeddings", "*.heads", "*.feed_forward.output", "block*"]
    decoder = check_decoder(model)
    found, blocks = capture(model, token_ids, names), decoder.blocks
    parts = {"embeddings": found["embeddings"]}
    for i, block in enumerate(blocks):
        heads = found[f"block{i}.self.heads"]
        dense = block.self_attention.output_dense
        kernel = tf.reshape(dense.kernel, (*heads.shape[1::2], -1))
        for h in range(heads.shape[1]):
            parts[f"block{i}.head{h}"] = heads[:, h] @ kernel[h]
        bias = dense.bias if dense.use_bias else 0.0
        parts[f"block{i}.bias"] = tf.zeros_like(parts["embeddings"]) + bias
        site = f"block{i}.feed_forward"
        parts[site] = found[f"{site}.output"]
    norm, x = decoder.final_norm, found[f"block{len(blocks) - 1}"]
    variance = tf.math.reduce_variance(x, axis=-1, keepdims=True)
    rows = tf.gather(
        model.embedding.table, targets
    )  # (batch, seq, d_model)
    scaled = norm.gain * rows * tf.math.rsqrt(variance + norm.epsilon)
    logits = {
        name: tf.reduce_sum((c - tf.reduce_mean(c, -1, True)) * scaled, -1)
        for name, c in parts.items()
    }
    bias = norm.bias if norm.use_bias else tf.zeros_like(norm.gain)
    return logits | {"norm.bias": tf.linalg.matvec(rows, bias)}


def check_decoder(model: keras.Model, translators: bool = False) -> Any:
    """Return a GPT's decoder, or if allowed a translator's.

    Raises:
        TypeError: if the model is another one.
    """
    decoder = getattr(model, "decoder", None)
    norm = getattr(decoder, "final_norm", "no stack of blocks")
    fits = type(norm) is LayerNorm and hasattr(model, "embedding")
    if hasattr(model, "encoder"):
        fits = translators and (fits or norm is None)
    if not fits:
        kinds = "a GPT or a Transformer" if translators else "a GPT"
        raise TypeError(
            f"The model is of the class {type(model).__name__}, whose last "
            f"norm or whose logits are not those of {kinds}: give {kinds}."
        )
    return decoder
