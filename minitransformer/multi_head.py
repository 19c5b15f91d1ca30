"""Multi-head attention: several small attentions side by side.

Three matrices project each vector to a query, a key and a value. These
projections are cut into heads, and each head attends with its own weights.
"""

from functools import partial
from typing import Any

import tensorflow as tf
from keras import layers

from minitransformer.attention import scaled_dot_product_attention
from minitransformer.positions import not_beyond, rotate
from minitransformer.runs.given import at_least, rate, whole


def split_heads(x: tf.Tensor, num_heads: int) -> tf.Tensor:
    """Cut projected queries, keys or values into heads.

    Args:
        x: `(batch, seq, num_heads · head_dim)`.
        num_heads: Number of heads.

    Returns:
        `(batch, num_heads, seq, head_dim)`.

    Examples:
        >>> x = tf.constant([[[1, 2, 3, 4], [5, 6, 7, 8]]])  # 2 tokens
        >>> split_heads(x, 2).numpy().tolist()
        [[[[1, 2], [5, 6]], [[3, 4], [7, 8]]]]
    """
    num_heads = whole("num_heads", num_heads)
    if x.shape[-1] % num_heads:
        raise ValueError(
            f"Vectors of width {x.shape[-1]} cannot be cut into num_heads="
            f"{num_heads} equal parts: choose a divisor of the width."
        )
    batch, seq = tf.shape(x)[0], tf.shape(x)[1]
    x = tf.reshape(x, (batch, seq, num_heads, x.shape[-1] // num_heads))
    return tf.transpose(x, (0, 2, 1, 3))


def merge_heads(x: tf.Tensor) -> tf.Tensor:
    """Undo `split_heads`: put the heads' results side by side.

    Args:
        x: `(batch, heads, seq, head_dim)`.

    Returns:
        `(batch, seq, heads · head_dim)`.
    """
    batch, seq = tf.shape(x)[0], tf.shape(x)[2]
    width = x.shape[1] * x.shape[3]
    x = tf.transpose(x, (0, 2, 1, 3))  # (batch, seq, heads, head_dim)
    return tf.reshape(x, (batch, seq, width))


def repeat_heads(x: tf.Tensor, times: int) -> tf.Tensor:
    """Give each head of keys or values to several heads of queries.

    Args:
        x: `(batch, kv_heads, seq, head_dim)`.
        times: Number of query heads that share a head of `x`.

    Returns:
        `(batch, kv_heads · times, seq, head_dim)`: each head is followed
        by its copies.

    Examples:
        >>> x = tf.constant([[[[1]], [[2]]]])  # 2 heads
        >>> tf.squeeze(repeat_heads(x, 3)).numpy().tolist()
        [1, 1, 1, 2, 2, 2]
    """
    return x if times == 1 else tf.repeat(x, times, axis=1)


def write_cache(cache: tf.Tensor, new: tf.Tensor, start: int) -> tf.Tensor:
    """Copy a cache, and write new keys or values into the copy.

    Args:
        cache: `(batch, heads, max_len, head_dim)`.
        new: `(batch, heads, seq, head_dim)`, for slots start, start + 1, ….
        start: The first slot, an integer or a scalar tensor. `not_beyond`
            guards the end of the cache.

    Returns:
        A cache of the same shape.

    Examples:
        >>> cache, new = tf.zeros((1, 1, 4, 1)), tf.ones((1, 1, 2, 1))
        >>> tf.squeeze(write_cache(cache, new, 1)).numpy().tolist()
        [0.0, 1.0, 1.0, 0.0]
    """
    batch, heads, seq = tf.unstack(tf.shape(new)[:3])
    guard = not_beyond(start, new.shape[2] or seq, cache.shape[2])
    new += tf.cast(guard, new.dtype)
    start = tf.minimum(start, cache.shape[2] - seq)  # so NaN has a slot
    # cache[b, h, start + i] = new[b, h, i]
    places = tf.range(batch), tf.range(heads), start + tf.range(seq)
    slots = tf.meshgrid(*places, indexing="ij")
    return tf.tensor_scatter_nd_update(cache, tf.stack(slots, -1), new)


def roll_cache(
    cache: tf.Tensor, new: tf.Tensor, length: int | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Append new keys or values, and forget as many of the oldest.

    Args:
        cache: `(batch, heads, slots, head_dim)`: those of the positions
            just before the new ones, in order. Slots before position 0
            hold zeros.
        new: `(batch, heads, seq, head_dim)`.
        length: How many of the new ones to remember: the first `length`;
            all if None.

    Returns:
        joined: `(batch, heads, slots + seq, head_dim)`, for the queries
            of the new positions.
        rolled: The new cache, of the same shape as the old one.

    Examples:
        >>> cache = tf.reshape([2.0, 3.0], (1, 1, 2, 1))
        >>> joined, rolled = roll_cache(cache, tf.ones((1, 1, 1, 1)))
        >>> tf.squeeze(joined).numpy().tolist()
        [2.0, 3.0, 1.0]
        >>> tf.squeeze(rolled).numpy().tolist()
        [3.0, 1.0]
    """
    joined = tf.concat([cache, new], axis=2)
    length = tf.shape(new)[2] if length is None else length
    rolled = tf.slice(joined, (0, 0, length, 0), tf.shape(cache))
    return joined, tf.ensure_shape(rolled, cache.shape)


class MultiHeadAttention(layers.Layer):
    """Attend with several heads, each with its own projections.

        headᵢ = Attention(query W_Qᵢ, key W_Kᵢ, value W_Vᵢ)
        MultiHead(query, key, value) = Concat(head₁, …, headₕ) W_O

    Args:
        d_model: Width of the input and the output.
        num_heads: Number of heads.
        head_dim: Any width of one head (Keras calls it `key_dim`); None
            means d_model // num_heads.
        num_kv_heads: Number of heads of keys and values. Each serves
            num_heads / num_kv_heads heads of queries; None means as many
            as num_heads.
        use_bias: Whether the four projections add a bias.
        dropout_rate: Share of the attention weights dropped in training.
        rotary: Whether to rotate queries and keys by their positions.

    Call arguments:
        query: `(batch, query, d_model)`.
        key, value: `(batch, key, d_model)`.
        attention_mask: Bool, True = may attend; see `fit_mask`.

    Returns:
        output: `(batch, query, d_model)`.
        weights: `(batch, heads, query, key)`.

    Raises:
        ValueError: if `num_heads` does not divide `d_model` and there is
            no `head_dim`, if rotary needs an even `head_dim`, or if
            `num_kv_heads` does not divide `num_heads`.

    References:
        Vaswani et al. 2017, §3.2.2. One Dense layer holds the matrices of
        all heads side by side: W_Q = [W_Q₁ … W_Qₕ]. Ainslie et al. 2023,
        §2.2, for `num_kv_heads`.
    Differs from the paper: the projections have biases by default, and
    weights can be dropped, as in GPT-2 and BERT.
    """

    def __init__(
        self,
        *,
        d_model: int,
        num_heads: int,
        head_dim: int | None = None,
        use_bias: bool = True,
        dropout_rate: float = 0.0,
        rotary: bool = False,
        num_kv_heads: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        d_model, num_heads = at_least(
            1, d_model=d_model, num_heads=num_heads
        )
        if head_dim is not None:
            head_dim = whole("head_dim", head_dim)
        elif d_model % num_heads:
            raise ValueError(
                f"d_model={d_model} is not divisible by num_heads="
                f"{num_heads}: choose a multiple of {num_heads}, or give "
                "head_dim."
            )
        dropout_rate = rate("dropout_rate", dropout_rate, below=1)
        self.rotary = rotary
        self.num_heads = num_heads
        self.head_dim = head_dim or d_model // num_heads
        if rotary and self.head_dim % 2:
            raise ValueError(
                f"head_dim={self.head_dim} is odd, and rotary needs pairs: "
                "choose another d_model or num_heads."
            )
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        self.num_kv_heads = whole("num_kv_heads", num_kv_heads)
        if num_heads % self.num_kv_heads:
            raise ValueError(
                f"num_heads={num_heads} is not divisible by num_kv_heads="
                f"{num_kv_heads}: choose a divisor of {num_heads}."
            )
        width = num_heads * self.head_dim
        kv_width = self.num_kv_heads * self.head_dim
        dense = partial(
            layers.Dense, use_bias=use_bias, dtype=self.dtype_policy
        )
        self.query_dense = dense(width, name="query_dense")
        self.key_dense = dense(kv_width, name="key_dense")
        self.value_dense = dense(kv_width, name="value_dense")
        self.output_dense = dense(d_model, name="output_dense")
        self.dropout = layers.Dropout(dropout_rate, dtype=self.dtype_policy)

    def build(
        self, query_shape: tuple, key_shape: tuple, value_shape: tuple
    ) -> None:
        self.query_dense.build(query_shape)
        self.key_dense.build(key_shape)
        self.value_dense.build(value_shape)
        width = self.num_heads * self.head_dim
        self.output_dense.build((*query_shape[:-1], width))

    def keys_and_values(
        self, key: tf.Tensor, value: tf.Tensor, start: int = 0
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Make keys and values in the form that a cache stores.

        Args:
            key, value: Same as in a call.
            start: Position of the first key.

        Returns:
            Two tensors `(batch, num_kv_heads, key, head_dim)`.
        """
        keys = split_heads(self.key_dense(key), self.num_kv_heads)
        values = split_heads(self.value_dense(value), self.num_kv_heads)
        return rotate(keys, start) if self.rotary else keys, values

    def attend(
        self,
        query: tf.Tensor,
        keys: tf.Tensor,
        values: tf.Tensor,
        attention_mask: tf.Tensor | None = None,
        start: int = 0,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Attend to projected keys and values, and return as a call does.

        Args:
            query, attention_mask: Same as in a call.
            keys, values: From `keys_and_values`.
            start: Position of the first query.
        """
        queries = split_heads(self.query_dense(query), self.num_heads)
        queries = rotate(queries, start) if self.rotary else queries
        times = self.num_heads // self.num_kv_heads
        keys, values = (
            repeat_heads(keys, times),
            repeat_heads(values, times),
        )
        heads, weights = scaled_dot_product_attention(
            queries, keys, values, attention_mask, dropout=self.dropout
        )
        return self.output_dense(merge_heads(heads)), weights

    def call(
        self,
        query: tf.Tensor,
        key: tf.Tensor,
        value: tf.Tensor,
        attention_mask: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        keys, values = self.keys_and_values(key, value)
        return self.attend(query, keys, values, attention_mask)

    def empty_cache(
        self, batch_size: int, max_len: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Make two tensors of zeros, as `keys_and_values` shapes them."""
        shape = (batch_size, self.num_kv_heads, max_len, self.head_dim)
        zeros = tf.zeros(shape, self.compute_dtype)
        return zeros, zeros
