"""Blocks: attention and feed-forward, each with residual and norm.

Where the norm stands is one switch, and both forms are below line by line:

    post-norm  (norm_first=False)   x ← LayerNorm(x + f(x))
    pre-norm   (norm_first=True)    x ← x + f(LayerNorm(x))

The paper of 2017 and BERT are post-norm; GPT-2 and most models since are
pre-norm, which trains without warm-up (Xiong et al. 2020).
"""

import tensorflow as tf
from keras import layers

from minitransformer.feed_forward import FeedForward
from minitransformer.multi_head import MultiHeadAttention, write_cache
from minitransformer.normalization import LayerNorm


class EncoderBlock(layers.Layer):
    """Let every token look at all tokens, then think.

    Args:
        d_model: Width of the residual stream.
        num_heads: Number of heads.
        d_ff: Width inside the feed-forward layer.
        norm_first: True = pre-norm, False = post-norm.
        dropout_rate: Share dropped from each sublayer's output.
        attention_dropout_rate: Share dropped from the attention weights:
            none in the paper, as much in GPT-2 and BERT.
        activation: Function between the feed-forward layer's two matrices.
        use_bias: Whether Dense layers and norms have biases.
        epsilon: ε of the norms.

    Call arguments:
        x: `(batch, seq, d_model)`.
        attention_mask: Bool, broadcastable to `(batch, heads, seq, seq)`.

    Returns:
        output: `(batch, seq, d_model)`.
        weights: `(batch, heads, seq, seq)`.

    References:
        Vaswani et al. 2017, §3.1 and §5.4; Xiong et al. 2020 for pre-norm.
    """

    def __init__(
        self,
        *,
        d_model,
        num_heads,
        d_ff,
        norm_first,
        dropout_rate=0.0,
        attention_dropout_rate=0.0,
        activation=tf.nn.relu,
        use_bias=True,
        epsilon=1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.norm_first = norm_first
        self.self_attention = MultiHeadAttention(
            d_model=d_model,
            num_heads=num_heads,
            use_bias=use_bias,
            dropout_rate=attention_dropout_rate,
            name="self_attention",
        )
        self.feed_forward = FeedForward(
            d_model=d_model,
            d_ff=d_ff,
            activation=activation,
            use_bias=use_bias,
            name="feed_forward",
        )
        self.attention_norm = LayerNorm(
            epsilon=epsilon, use_bias=use_bias, name="attention_norm"
        )
        self.feed_forward_norm = LayerNorm(
            epsilon=epsilon, use_bias=use_bias, name="feed_forward_norm"
        )
        self.dropout = layers.Dropout(dropout_rate)

    def build(self, x_shape):
        self.attention_norm.build(x_shape)
        self.self_attention.build(x_shape, x_shape, x_shape)
        self.feed_forward_norm.build(x_shape)
        self.feed_forward.build(x_shape)

    def call(self, x, attention_mask=None):
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


class DecoderBlock(layers.Layer):
    """Look back at what was written, look at the source, then think.

    Args:
        cross_attention: Whether there is a source to look at. A GPT has
            none.
        d_model, num_heads, d_ff, norm_first: As for `EncoderBlock`.
        dropout_rate, attention_dropout_rate: As for it, too.
        activation, use_bias, epsilon: And these.
        rotary: Whether self-attention turns queries and keys by their
            positions.

    Call arguments:
        x: `(batch, target, d_model)`.
        attention_mask: Bool, broadcastable to
            `(batch, heads, target, key)`, where the keys are the target's,
            or the cache's slots.
        memory: `(batch, source, d_model)`, what the encoder wrote. Not
            needed when the cache holds its keys and values.
        memory_mask: Bool, broadcastable to
            `(batch, heads, target, source)`. It is the source's mask, never
            the target's.
        cache: What an earlier call returned, or None.
        start: Position of `x[:, 0]`: the first slot to write.

    Returns:
        output: `(batch, target, d_model)`.
        weights: Two tensors `(batch, heads, target, key)`: to itself, and
            to the source (None without cross-attention).
        cache: Keys and values of both attentions, to be passed on.

    References:
        Vaswani et al. 2017, §3.1; Radford et al. 2019, §2.3 for GPT-2.
    """

    def __init__(
        self,
        *,
        d_model,
        num_heads,
        d_ff,
        norm_first,
        cross_attention,
        dropout_rate=0.0,
        attention_dropout_rate=0.0,
        activation=tf.nn.relu,
        use_bias=True,
        epsilon=1e-5,
        rotary=False,
        **kwargs,
    ):
        super().__init__(**kwargs)

        def attention(name, **options):
            return MultiHeadAttention(
                d_model=d_model,
                num_heads=num_heads,
                use_bias=use_bias,
                dropout_rate=attention_dropout_rate,
                name=name,
                **options,
            )

        def norm(name):
            return LayerNorm(epsilon=epsilon, use_bias=use_bias, name=name)

        self.norm_first = norm_first
        self.self_attention = attention("self_attention", rotary=rotary)
        self.attention_norm = norm("attention_norm")
        self.cross_attention = None
        if cross_attention:
            self.cross_attention = attention("cross_attention")
            self.cross_attention_norm = norm("cross_attention_norm")
        self.feed_forward = FeedForward(
            d_model=d_model,
            d_ff=d_ff,
            activation=activation,
            use_bias=use_bias,
            name="feed_forward",
        )
        self.feed_forward_norm = norm("feed_forward_norm")
        self.dropout = layers.Dropout(dropout_rate)

    def build(self, x_shape):
        self.attention_norm.build(x_shape)
        self.self_attention.build(x_shape, x_shape, x_shape)
        if self.cross_attention is not None:
            self.cross_attention_norm.build(x_shape)
            self.cross_attention.build(x_shape, x_shape, x_shape)
        self.feed_forward_norm.build(x_shape)
        self.feed_forward.build(x_shape)

    def call(
        self,
        x,
        attention_mask=None,
        memory=None,
        memory_mask=None,
        cache=None,
        start=0,
    ):
        h = self.attention_norm(x) if self.norm_first else x
        own = self.self_attention.keys_and_values(h, h, start)
        if cache is not None:
            own = tuple(
                write_cache(old, new, start)
                for old, new in zip(cache["self"], own, strict=True)
            )
        h, self_weights = self.self_attention.attend(
            h, *own, attention_mask, start
        )
        x = x + self.dropout(h)
        x = x if self.norm_first else self.attention_norm(x)
        new_cache, cross_weights = {"self": own}, None

        if self.cross_attention is not None:
            h = self.cross_attention_norm(x) if self.norm_first else x
            source = (
                self.cross_attention.keys_and_values(memory, memory)
                if cache is None
                else cache["cross"]  # the source does not change
            )
            h, cross_weights = self.cross_attention.attend(
                h, *source, memory_mask
            )
            x = x + self.dropout(h)
            x = x if self.norm_first else self.cross_attention_norm(x)
            new_cache["cross"] = source

        h = self.feed_forward_norm(x) if self.norm_first else x
        x = x + self.dropout(self.feed_forward(h))
        x = x if self.norm_first else self.feed_forward_norm(x)
        return x, (self_weights, cross_weights), new_cache
