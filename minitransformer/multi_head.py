"""Multi-head attention: several small attentions side by side.

One attention has one set of weights for each query. Heads split the width,
attend each with weights of its own, and are merged again.
"""

from typing import Any

import tensorflow as tf
from keras import layers

from minitransformer.attention import scaled_dot_product_attention
from minitransformer.positions import not_beyond, rotate
from minitransformer.runs.given import at_least, rate, whole


def split_heads(x: tf.Tensor, num_heads: int) -> tf.Tensor:
    """Cut each token's vector into heads.

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
            f"Vectors of width {x.shape[-1]} cannot be cut into "
            f"num_heads={num_heads}: choose a number that divides it."
        )
    batch, seq = tf.shape(x)[0], tf.shape(x)[1]
    x = tf.reshape(x, (batch, seq, num_heads, x.shape[-1] // num_heads))
    return tf.transpose(x, (0, 2, 1, 3))


def merge_heads(x: tf.Tensor) -> tf.Tensor:
    """Put the heads side by side again: the inverse of `split_heads`.

    Args:
        x: `(batch, heads, seq, head_dim)`.

    Returns:
        `(batch, seq, heads · head_dim)`.

    Examples:
        >>> x = tf.constant([[[[1, 2], [5, 6]], [[3, 4], [7, 8]]]])
        >>> merge_heads(x).numpy().tolist()
        [[[1, 2, 3, 4], [5, 6, 7, 8]]]
    """
    batch, seq = tf.shape(x)[0], tf.shape(x)[2]
    width = x.shape[1] * x.shape[3]
    x = tf.transpose(x, (0, 2, 1, 3))  # (batch, seq, heads, head_dim)
    return tf.reshape(x, (batch, seq, width))


def write_cache(cache: tf.Tensor, new: tf.Tensor, start: int) -> tf.Tensor:
    """Put new keys or values into their slots of a cache.

    Args:
        cache: `(batch, heads, max_len, head_dim)`.
        new: `(batch, heads, seq, head_dim)`, for slots start, start + 1, ….
        start: The first slot, an integer or a scalar tensor; all of `new`
            must fit behind it (see `not_beyond`).

    Returns:
        A cache of the same shape; the one given is unchanged.

    Examples:
        >>> cache, new = tf.zeros((1, 1, 4, 1)), tf.ones((1, 1, 2, 1))
        >>> tf.squeeze(write_cache(cache, new, 1)).numpy().tolist()
        [0.0, 1.0, 1.0, 0.0]
    """
    batch, heads, seq = tf.unstack(tf.shape(new)[:3])
    guard = not_beyond(start, new.shape[2] or seq, cache.shape[2])
    new += tf.cast(guard, new.dtype)
    start = tf.minimum(start, cache.shape[2] - seq)  # NaN is seen there
    # cache[b, h, start + i] = new[b, h, i]
    places = tf.range(batch), tf.range(heads), start + tf.range(seq)
    slots = tf.meshgrid(*places, indexing="ij")
    return tf.tensor_scatter_nd_update(cache, tf.stack(slots, -1), new)


class MultiHeadAttention(layers.Layer):
    """Attend from several learned points of view at once.

        headᵢ = Attention(query W_Qᵢ, key W_Kᵢ, value W_Vᵢ)
        MultiHead(query, key, value) = Concat(head₁, …, headₕ) W_O

    Args:
        d_model: Width of the input and the output.
        num_heads: Number of heads.
        head_dim: Width of one head; d_model // num_heads if None. Given, it
            may have any size (Keras calls it `key_dim`).
        use_bias: Whether the four projections add a bias.
        dropout_rate: Share of the weights dropped in training.
        rotary: Whether queries and keys are turned by their positions.

    Call arguments:
        query: `(batch, query, d_model)`.
        key, value: `(batch, key, d_model)`.
        attention_mask: Bool, True = may attend: `(batch, query, key)` or
            another shape that `fit_mask` takes.

    Returns:
        output: `(batch, query, d_model)`.
        weights: `(batch, heads, query, key)`.

    Raises:
        ValueError: if `head_dim` is None and `num_heads` does not divide
            `d_model`.

    References:
        Vaswani et al. 2017, §3.2.2. Our name is their name. One Dense layer
        holds all heads' matrices side by side: W_Q = [W_Q₁ … W_Qₕ].
    Differs from the paper: the projections have biases by default, as in
    GPT-2 and BERT; GPT-2 also drops weights, which the paper does not.
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
                f"head_dim={self.head_dim} is odd: rotary turns pairs, so "
                "choose another d_model or num_heads."
            )
        width = num_heads * self.head_dim

        def dense(units, name):
            return layers.Dense(
                int(units),
                use_bias=use_bias,
                name=name,
                dtype=self.dtype_policy,
            )

        self.query_dense = dense(width, "query_dense")
        self.key_dense = dense(width, "key_dense")
        self.value_dense = dense(width, "value_dense")
        self.output_dense = dense(d_model, "output_dense")
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
        """Project keys and values; a cache holds this pair.

        Args:
            key, value: `(batch, key, d_model)`.
            start: Position of the first key.

        Returns:
            Two tensors `(batch, heads, key, head_dim)`.
        """
        keys = split_heads(self.key_dense(key), self.num_heads)
        values = split_heads(self.value_dense(value), self.num_heads)
        return rotate(keys, start) if self.rotary else keys, values

    def attend(
        self,
        query: tf.Tensor,
        keys: tf.Tensor,
        values: tf.Tensor,
        attention_mask: tf.Tensor | None = None,
        start: int = 0,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Attend from `query` to keys and values projected earlier.

        Args:
            query: `(batch, query, d_model)`.
            keys, values: From `keys_and_values`.
            attention_mask: As in a call.
            start: Position of the first query.

        Returns:
            output `(batch, query, d_model)` and weights
            `(batch, heads, query, key)`.
        """
        queries = split_heads(self.query_dense(query), self.num_heads)
        queries = rotate(queries, start) if self.rotary else queries
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
        """Make room for the keys and values of `max_len` positions.

        Returns:
            Two tensors of zeros `(batch, heads, max_len, head_dim)`.
        """
        shape = (batch_size, self.num_heads, max_len, self.head_dim)
        zeros = tf.zeros(shape, self.compute_dtype)
        return zeros, zeros
