"""Stacks: the same block several times, each on the last one's output."""

import tensorflow as tf
from keras import layers

from minitransformer.blocks import DecoderBlock, EncoderBlock
from minitransformer.masks import causal_mask, widen_padding_mask
from minitransformer.normalization import LayerNorm


def final_norm(block_options):
    """Make the norm that ends a pre-norm stack, or None for post-norm.

    In a pre-norm stack nothing has normalized the sum of all residuals.
    """
    if not block_options["norm_first"]:
        return None
    return LayerNorm(
        epsilon=block_options.get("epsilon", 1e-5),
        use_bias=block_options.get("use_bias", True),
        name="final_norm",
    )


class Encoder(layers.Layer):
    """Read a whole sequence, in both directions.

    Args:
        num_layers: Number of blocks.
        **block_options: The arguments of `EncoderBlock`.

    Call arguments:
        x: `(batch, seq, d_model)`.
        padding_mask: Bool `(batch, seq)`, True = a real token.

    Returns:
        output: `(batch, seq, d_model)`.
        weights: A list with `(batch, heads, seq, seq)` for each block.

    References:
        Vaswani et al. 2017, §3.1.
    """

    def __init__(self, *, num_layers, name="encoder", **block_options):
        super().__init__(name=name)
        self.blocks = [
            EncoderBlock(name=f"block_{i}", **block_options)
            for i in range(num_layers)
        ]
        self.final_norm = final_norm(block_options)

    def build(self, x_shape):
        for layer in filter(None, [*self.blocks, self.final_norm]):
            layer.build(x_shape)

    def call(self, x, padding_mask=None):
        mask = None
        if padding_mask is not None:
            mask = widen_padding_mask(padding_mask)
        all_weights = []
        for block in self.blocks:
            x, weights = block(x, attention_mask=mask)
            all_weights.append(weights)
        x = x if self.final_norm is None else self.final_norm(x)
        return x, all_weights


class Decoder(layers.Layer):
    """Write a sequence from left to right; no token sees a later one.

    Args:
        num_layers: Number of blocks.
        **block_options: The arguments of `DecoderBlock`.

    Call arguments:
        x: `(batch, target, d_model)`.
        memory: `(batch, source, d_model)`, or None without cross-attention
            (and when a cache is given).
        memory_padding_mask: Bool `(batch, source)`, True = a real token.
        cache: From `start_cache` or an earlier call, or None.
        start: Position of `x[:, 0]`; with a cache, an integer or a scalar
            tensor.

    Returns:
        output: `(batch, target, d_model)`.
        weights: A list with a pair for each block: self-attention's
            `(batch, heads, target, key)` and cross-attention's
            `(batch, heads, target, source)` or None.
        cache: A list with each block's keys and values.

    References:
        Vaswani et al. 2017, §3.1.
    """

    def __init__(self, *, num_layers, name="decoder", **block_options):
        super().__init__(name=name)
        self.blocks = [
            DecoderBlock(name=f"block_{i}", **block_options)
            for i in range(num_layers)
        ]
        self.final_norm = final_norm(block_options)

    def build(self, x_shape):
        for layer in filter(None, [*self.blocks, self.final_norm]):
            layer.build(x_shape)

    def call(
        self, x, memory=None, memory_padding_mask=None, cache=None, start=0
    ):
        seq = tf.shape(x)[1]
        key_len = seq if cache is None else tf.shape(cache[0]["self"][0])[2]
        mask = causal_mask(seq, key_len, start=start)
        memory_mask = None
        if memory_padding_mask is not None:
            memory_mask = widen_padding_mask(memory_padding_mask)
        all_weights, new_cache = [], []
        for i, block in enumerate(self.blocks):
            x, weights, block_cache = block(
                x,
                attention_mask=mask,
                memory=memory,
                memory_mask=memory_mask,
                start=start,
                cache=None if cache is None else cache[i],
            )
            all_weights.append(weights)
            new_cache.append(block_cache)
        x = x if self.final_norm is None else self.final_norm(x)
        return x, all_weights, new_cache

    def start_cache(self, batch_size, max_len, memory=None):
        """Make a cache for `max_len` positions, with the source's entries.

        Args:
            batch_size, max_len: Its size.
            memory: `(batch, source, d_model)`, or None without
                cross-attention.

        Returns:
            A list with a dictionary for each block: "self" holds a pair of
            `(batch, heads, max_len, head_dim)`, "cross" a pair of
            `(batch, heads, source, head_dim)`.
        """
        cache = []
        for block in self.blocks:
            entry = {
                "self": block.self_attention.empty_cache(
                    batch_size, max_len
                )
            }
            if block.cross_attention is not None:
                entry["cross"] = block.cross_attention.keys_and_values(
                    memory, memory
                )
            cache.append(entry)
        return cache
