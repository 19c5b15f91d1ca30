"""Stacks: blocks of one kind, each on the output of the one before."""

from typing import Any

import tensorflow as tf
from keras import layers

from minitransformer.blocks import DecoderBlock, EncoderBlock
from minitransformer.masks import (
    banded_mask,
    causal_mask,
    widen_padding_mask,
)
from minitransformer.positions import take_start
from minitransformer.runs.given import whole


class Stack(layers.Layer):
    """Hold blocks of one kind, and the norm that ends a pre-norm stack.

    Nothing else normalizes the residual stream of pre-norm blocks.

    Args:
        num_layers: Number of blocks.
        band: Same as in `DecoderBlock`, for blocks 1, 3, 5, … of a
            decoder.
        name, trainable, dtype: Same as in Keras; the default name is
            "encoder" or "decoder".
        **options: The arguments of a block.
    """

    block: type[layers.Layer]

    def __init__(
        self,
        *,
        num_layers: int,
        band: int | None = None,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        num_layers = whole("num_layers", num_layers)
        name = name or type(self).__name__.lower()
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        options["dtype"] = self.dtype_policy
        blocks = []
        for i in range(num_layers):
            # Blocks without and with a band take turns: GPT-3.
            turn = {"band": band} if band is not None and i % 2 else {}
            blocks.append(self.block(name=f"block_{i}", **turn, **options))
        self.blocks = blocks
        self.final_norm = None
        if options["norm_first"]:
            norm = blocks[0].attention_norm
            self.final_norm = type(norm)(
                name="final_norm",
                epsilon=norm.epsilon,
                use_bias=norm.use_bias,
                dtype=self.dtype_policy,
            )

    def build(self, x_shape: tuple) -> None:
        for layer in filter(None, [*self.blocks, self.final_norm]):
            layer.build(x_shape)


class Encoder(Stack):
    """Read a whole sequence, in both directions.

    Args:
        num_layers: Number of blocks.
        **options: The arguments of `EncoderBlock`.

    Call arguments:
        x: `(batch, seq, d_model)`.
        padding_mask: Bool `(batch, seq)`, True = a real token.

    Returns:
        output: `(batch, seq, d_model)`.
        weights: A list with `(batch, heads, seq, seq)` for each block.

    References:
        Vaswani et al. 2017, §3.1.
    """

    block = EncoderBlock

    def call(
        self, x: tf.Tensor, padding_mask: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, list]:
        mask, all_weights = widen_padding_mask(padding_mask), []
        for block in self.blocks:
            x, weights = block(x, attention_mask=mask)
            all_weights.append(weights)
        x = x if self.final_norm is None else self.final_norm(x)
        return x, all_weights


def self_mask(
    x: tf.Tensor, cache: dict | None, start: Any, band: int | None
) -> tf.Tensor:
    """Make the mask of a block's self-attention, `(1, query, key)`.

    Args:
        x, cache, start, band: Same as in `DecoderBlock`.
    """
    seq = tf.shape(x)[1]
    slots = 0 if cache is None else tf.shape(cache["self"][0])[2]
    if band is None:
        key_len = seq if cache is None else slots
        return causal_mask(seq, key_len, start=start)[None]
    mask = banded_mask(seq, slots + seq, width=band)
    # The slots end before start; those of positions below 0 are empty.
    return (mask & (tf.range(slots + seq) >= slots - start))[None]


class Decoder(Stack):
    """Write a sequence from left to right; no token sees a later one.

    Args:
        num_layers: Number of blocks.
        band: Same as in `DecoderBlock`, for blocks 1, 3, 5, … only.
        **options: The arguments of `DecoderBlock`.

    Call arguments:
        x: `(batch, target, d_model)`.
        memory: `(batch, source, d_model)`, or None without cross-attention
            (and when a cache is given).
        memory_padding_mask: Bool `(batch, source)`, True = a real token.
        cache: From `start_cache` or an earlier call, or None.
        start: Position of `x[:, 0]`, an integer or a scalar tensor; only
            with a cache, which knows the tokens before it.
        length: Same as in `DecoderBlock`.

    Returns:
        output: `(batch, target, d_model)`.
        weights: A list with a pair for each block: self-attention's
            `(batch, heads, target, key)` and cross-attention's
            `(batch, heads, target, source)` or ().
        cache: A list with the keys and values of each block.

    Raises:
        ValueError: if there is a `start` without a cache, or the cache is
            full (see `not_beyond` for compiled code).

    References:
        Vaswani et al. 2017, §3.1.
    """

    block = DecoderBlock

    def call(
        self,
        x: tf.Tensor,
        memory: tf.Tensor | None = None,
        memory_padding_mask: tf.Tensor | None = None,
        cache: list | None = None,
        start: int = 0,
        length: int | None = None,
    ) -> tuple[tf.Tensor, list, list]:
        start = take_start(start, cache)
        masks: dict[int | None, tf.Tensor] = {}
        memory_mask = widen_padding_mask(memory_padding_mask)
        all_weights, new_cache = [], []
        for i, block in enumerate(self.blocks):
            old = None if cache is None else cache[i]
            if block.band not in masks:
                masks[block.band] = self_mask(x, old, start, block.band)
            x, weights, block_cache = block(
                x,
                attention_mask=masks[block.band],
                memory=memory,
                memory_attention_mask=memory_mask,
                start=start,
                length=length,
                cache=old,
            )
            all_weights.append(weights)
            new_cache.append(block_cache)
        x = x if self.final_norm is None else self.final_norm(x)
        return x, all_weights, new_cache

    def start_cache(
        self, batch_size: int, max_len: int, memory: tf.Tensor | None = None
    ) -> list:
        """Make a cache: empty slots, and the source's keys and values.

        Args:
            batch_size, max_len: Number of sequences and of slots.
            memory: The encoder's output, or None without cross-attention.

        Returns:
            A list with a dictionary for each block: "self" holds a pair of
            `(batch, heads, max_len, head_dim)`, "cross" a pair of
            `(batch, heads, source, head_dim)`. A block with a band has
            `band - 1` slots instead of `max_len`.
        """
        cache = []
        for block in self.blocks:
            count = max_len if block.band is None else block.band - 1
            slots = block.self_attention.empty_cache(batch_size, count)
            entry, cross = {"self": slots}, block.cross_attention
            if cross is not None:
                entry["cross"] = cross.keys_and_values(memory, memory)
            cache.append(entry)
        return cache
