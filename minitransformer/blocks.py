"""Blocks: attention and feed-forward, each with residual and norm.

A flag says where the norm stands; both forms are below, line by line:

    post-norm  (norm_first=False)   x ← LayerNorm(x + f(x))
    pre-norm   (norm_first=True)    x ← x + f(LayerNorm(x))

The paper of 2017 and BERT are post-norm. GPT-2 and most models since are
pre-norm, which trains without warm-up (Xiong et al. 2020).
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import layers

from minitransformer.feed_forward import FeedForward
from minitransformer.multi_head import (
    MultiHeadAttention,
    roll_cache,
    write_cache,
)
from minitransformer.normalization import LayerNorm
from minitransformer.runs.given import rate, whole


class Block(layers.Layer):
    """Hold the parts of a block; its two kinds differ in their call.

    Args: Same as in `EncoderBlock` and `DecoderBlock`.
    """

    def __init__(
        self,
        *,
        d_model: int,
        num_heads: int,
        d_ff: int,
        norm_first: bool,
        cross_attention: bool,
        dropout_rate: float = 0.0,
        attention_dropout_rate: float = 0.0,
        activation: str | Callable[[tf.Tensor], tf.Tensor] = "relu",
        use_bias: bool = True,
        epsilon: float = 1e-5,
        rotary: bool = False,
        band: int | None = None,
        num_kv_heads: int | None = None,
        norm: type[LayerNorm] | None = None,
        feed_forward: type[FeedForward] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        common: Any = {"use_bias": use_bias, "dtype": self.dtype_policy}
        width = common | {"d_model": d_model}

        def attention(name, **options):
            return MultiHeadAttention(
                num_heads=num_heads,
                dropout_rate=attention_dropout_rate,
                name=name,
                **width,
                **options,
            )

        def make_norm(name):
            # Keras cannot save a class, so the default is None.
            return (norm or LayerNorm)(epsilon=epsilon, name=name, **common)

        def make_feed_forward():
            return (feed_forward or FeedForward)(
                d_ff=d_ff,
                activation=activation,
                name="feed_forward",
                **width,
            )

        dropout_rate = rate("dropout_rate", dropout_rate, below=1)
        self.norm_first = norm_first
        self.band = band if band is None else whole("band", band)
        self.self_attention = attention(
            "self_attention", rotary=rotary, num_kv_heads=num_kv_heads
        )
        encoder = isinstance(self, EncoderBlock)
        if encoder:  # the order of weights that its checkpoints have
            self.feed_forward = make_feed_forward()
        self.attention_norm = make_norm("attention_norm")
        self.cross_attention = None
        if cross_attention:
            self.cross_attention = attention("cross_attention")
            self.cross_attention_norm = make_norm("cross_attention_norm")
        if not encoder:
            self.feed_forward = make_feed_forward()
        self.feed_forward_norm = make_norm("feed_forward_norm")
        self.dropout = layers.Dropout(dropout_rate, dtype=self.dtype_policy)

    def build(self, x_shape: tuple) -> None:
        self.attention_norm.build(x_shape)
        self.self_attention.build(x_shape, x_shape, x_shape)
        if self.cross_attention is not None:
            self.cross_attention_norm.build(x_shape)
            self.cross_attention.build(x_shape, x_shape, x_shape)
        self.feed_forward_norm.build(x_shape)
        self.feed_forward.build(x_shape)


class EncoderBlock(Block):
    """Attend from every token to all tokens, then feed each forward.

    Args:
        d_model: Width of the residual stream.
        num_heads: Number of heads.
        d_ff: Width inside the feed-forward layer.
        norm_first: True = pre-norm, False = post-norm.
        dropout_rate: Share dropped from each sublayer's output.
        attention_dropout_rate: Share dropped from the attention weights:
            0 in the paper; in GPT-2 and BERT the same as
            `dropout_rate`.
        activation: Same as in `FeedForward`.
        use_bias: Whether Dense layers and norms have biases.
        epsilon: ε of the norms.
        num_kv_heads: Same as in `MultiHeadAttention`, for self-attention.
        norm: The class of the norms, such as `RMSNorm`; `LayerNorm` if
            None.
        feed_forward: The class of the feed-forward layer, such as
            `GatedFeedForward`; `FeedForward` if None.

    Call arguments:
        x: `(batch, seq, d_model)`.
        attention_mask: Same as in `MultiHeadAttention`.

    Returns:
        output: `(batch, seq, d_model)`.
        weights: `(batch, heads, seq, seq)`.

    References:
        Vaswani et al. 2017, §3.1 and §5.4; Xiong et al. 2020 for pre-norm.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            cross_attention=False, rotary=False, band=None, **options
        )

    def call(
        self, x: tf.Tensor, attention_mask: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        h = self.attention_norm(x) if self.norm_first else x
        h, weights = self.self_attention(
            query=h, key=h, value=h, attention_mask=attention_mask
        )
        x = x + self.dropout(h)
        x = x if self.norm_first else self.attention_norm(x)

        h = self.feed_forward_norm(x) if self.norm_first else x
        x = x + self.dropout(self.feed_forward(h))
        x = x if self.norm_first else self.feed_forward_norm(x)
        return x, weights


class DecoderBlock(Block):
    """Attend to earlier tokens, then to a source, then feed each forward.

    Args:
        **options: Same as in `EncoderBlock`.
        cross_attention: Whether there is a source to attend to. A GPT has
            none.
        rotary: Whether self-attention rotates queries and keys by their
            positions.
        band: Number of positions that self-attention reaches, its own
            included: the cache keeps the last `band - 1`. None for all.

    Call arguments:
        x: `(batch, target, d_model)`.
        attention_mask: Same as in `MultiHeadAttention`; the keys are the
            target's, or the cache's slots.
        memory: `(batch, source, d_model)`, the encoder's output. Not
            needed when the cache holds its keys and values.
        memory_attention_mask: The same for the source's keys, never the
            target's. (Keras itself would fill in a `memory_mask`.)
        cache: The cache that an earlier call returned, or None.
        start: Position of `x[:, 0]`: the first slot to write.
        length: How many tokens of `x` the cache of a band remembers, if
            padding follows them; all if None.

    Returns:
        output: `(batch, target, d_model)`.
        weights: Two tensors `(batch, heads, target, key)`, of
            self-attention and of cross-attention (() without a source).
        cache: Keys and values of both attentions, for the next call.

    References:
        Vaswani et al. 2017, §3.1; Radford et al. 2019, §2.3 for GPT-2.
    """

    def call(
        self,
        x: tf.Tensor,
        attention_mask: tf.Tensor | None = None,
        memory: tf.Tensor | None = None,
        memory_attention_mask: tf.Tensor | None = None,
        cache: dict[str, tuple] | None = None,
        start: int = 0,
        length: int | None = None,
    ) -> tuple[tf.Tensor, tuple, dict[str, tuple]]:
        h = self.attention_norm(x) if self.norm_first else x
        keys, values = self.self_attention.keys_and_values(h, h, start)
        kept: tuple = (keys, values)  # for the next call
        if cache is not None:
            old_keys, old_values = cache["self"]
            if self.band is None:
                keys = write_cache(old_keys, keys, start)
                values = write_cache(old_values, values, start)
                kept = keys, values
            else:
                keys, kept_keys = roll_cache(old_keys, keys, length)
                values, kept_values = roll_cache(old_values, values, length)
                kept = kept_keys, kept_values
        h, self_weights = self.self_attention.attend(
            h, keys, values, attention_mask, start
        )
        x = x + self.dropout(h)
        x = x if self.norm_first else self.attention_norm(x)
        new_cache: dict[str, tuple] = {"self": kept}
        cross_weights = ()  # not None, which Keras cannot handle

        cross = self.cross_attention
        if cross is not None:
            h = self.cross_attention_norm(x) if self.norm_first else x
            if cache is None:
                source = cross.keys_and_values(memory, memory)
            else:
                source = cache["cross"]  # the source does not change
            h, cross_weights = cross.attend(
                h, *source, memory_attention_mask
            )
            x = x + self.dropout(h)
            x = x if self.norm_first else self.cross_attention_norm(x)
            new_cache["cross"] = source

        h = self.feed_forward_norm(x) if self.norm_first else x
        x = x + self.dropout(self.feed_forward(h))
        x = x if self.norm_first else self.feed_forward_norm(x)
        return x, (self_weights, cross_weights), new_cache
