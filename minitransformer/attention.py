"""Attention: a query compares the keys and takes a weighted mean of values.

Two pure functions, no weights to learn. The rest of the package is built
on them.
"""

from collections.abc import Callable

import tensorflow as tf


def attention_weights(
    scores: tf.Tensor, attention_mask: tf.Tensor | None = None
) -> tf.Tensor:
    """Turn scores into weights that sum to one over the keys.

        weights = softmax(scores)   over the keys that may be attended to

    Args:
        scores: Floats `(…, query, key)`.
        attention_mask: Bool, broadcastable to `scores`, True = may attend.

    Returns:
        Weights `(…, query, key)`. A masked key has a weight of exactly 0;
        a query that may attend to nothing has all weights 0 (no NaN).

    Differs from the paper: it sets masked scores to −∞, which makes a fully
    masked row NaN; the lowest finite number gives the same weights without
    the NaN.
    """
    dtype = tf.convert_to_tensor(scores).dtype
    scores = tf.cast(scores, tf.float32)  # half precision would sum badly
    if attention_mask is None:
        return tf.cast(tf.nn.softmax(scores), dtype)
    # Before the softmax: a masked key must not take part in the sum.
    scores = tf.where(attention_mask, scores, scores.dtype.min)
    weights = tf.nn.softmax(scores)
    # A fully masked row is uniform by now; zero it: it reads nothing.
    weights = tf.where(attention_mask, weights, tf.zeros_like(weights))
    return tf.cast(weights, dtype)


def scaled_dot_product_attention(
    query: tf.Tensor,
    key: tf.Tensor,
    value: tf.Tensor,
    attention_mask: tf.Tensor | None = None,
    *,
    dropout: Callable[..., tf.Tensor] | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Read from the values where the keys match the query.

        Attention(Q, K, V) = softmax(Q Kᵀ / √head_dim) V

    Args:
        query: `(…, query, head_dim)`.
        key: `(…, key, head_dim)`.
        value: `(…, key, value_dim)`; the width may differ from the key's.
        attention_mask: Bool, broadcastable to `(…, query, key)`,
            True = may attend.
        dropout: Function applied to the weights before they mix the values
            (a Keras Dropout layer), or None.

    Returns:
        output: `(…, query, value_dim)`.
        weights: `(…, query, key)`, before dropout.

    References:
        Vaswani et al. 2017, §3.2.1, equation 1.
    """
    query, key = tf.convert_to_tensor(query), tf.convert_to_tensor(key)
    head_dim = tf.cast(tf.shape(query)[-1], query.dtype)
    scores = tf.matmul(query, key, transpose_b=True) / tf.sqrt(head_dim)
    weights = attention_weights(scores, attention_mask)  # (…, query, key)
    mixing = weights if dropout is None else dropout(weights)
    return tf.matmul(mixing, value), weights
