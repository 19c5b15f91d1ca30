"""Attention: compare a query with keys, and average the values.

Two functions without trainable weights: the matrices that make queries,
keys and values belong to `MultiHeadAttention`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


def attention_weights(
    scores: tf.Tensor, attention_mask: tf.Tensor | None = None
) -> tf.Tensor:
    """Turn scores into weights that sum to one over the keys.

        weights = softmax(scores)   over the keys that may be attended to

    Args:
        scores: Floats `(…, query, key)`.
        attention_mask: Bool, True = may attend; see `fit_mask`.

    Returns:
        Weights `(…, query, key)`. A masked key has a weight of exactly 0;
        a query that may attend to nothing has all weights 0 (no NaN).

    Differs from the paper: it sets masked scores to −∞, which makes a fully
    masked row NaN. The lowest finite number does not.
    """
    scores = tf.convert_to_tensor(scores)
    dtype = scores.dtype if scores.dtype.is_floating else tf.float32
    scores = tf.cast(scores, tf.float32)  # 16 bits are too few for the sum
    if attention_mask is None:
        return tf.cast(tf.nn.softmax(scores), dtype)
    attention_mask = fit_mask(attention_mask, scores)
    # Before the softmax: a masked key must not count in the denominator.
    scores = tf.where(attention_mask, scores, scores.dtype.min)
    weights = tf.nn.softmax(scores)
    # A fully masked row is uniform at this point; its weights become 0.
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
    """Average the values, weighted by how well each key fits the query.

        Attention(Q, K, V) = softmax(Q Kᵀ / √head_dim) V

    Args:
        query: `(…, query, head_dim)`.
        key: `(…, key, head_dim)`.
        value: `(…, key, value_dim)`; the width may differ from the key's.
        attention_mask: Bool, True = may attend; see `fit_mask`.
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


def bool_mask(mask: Any, name: str) -> tf.Tensor:
    """Turn a mask of bools, or of integers 0 and 1, into bools."""
    mask = tf.convert_to_tensor(mask)
    values = tf.get_static_value(mask)  # None while tracing a graph
    binary = values is None or np.isin(values, (0, 1)).all()
    if mask.dtype != tf.bool and not (mask.dtype.is_integer and binary):
        raise TypeError(
            f"{name} has dtype {mask.dtype.name}, expected bool (True = "
            "may attend) or integers 0 and 1. If it is added to scores, "
            "give mask == 0."
        )
    return tf.cast(mask, tf.bool)


def fit_mask(attention_mask: Any, scores: tf.Tensor) -> tf.Tensor:
    """Give a mask the axes of scores `(batch, heads, query, key)`.

    A mask `(query, key)` is used for all sequences; `(batch, key)` and
    `(batch, query, key)` contain one mask per sequence, as in Keras. Every
    axis may have length 1.

    Raises:
        TypeError: if it contains anything but bools, or 0 and 1.
        ValueError: if it does not fit, or could mean two things.
    """
    mask = bool_mask(attention_mask, "attention_mask")
    given, shape = tuple(mask.shape), scores.shape
    if len(given) == 2 < len(shape) and 1 != given[0] == shape[0]:
        if given[0] == shape[-2]:
            raise ValueError(
                f"attention_mask {given} could be (query, key) or (batch, "
                f"key) of scores {tuple(shape)}. Give mask[None] for the "
                "first, mask[:, None] for the second."
            )
        mask = mask[:, None]
    if len(mask.shape) == 3 and len(shape) == 4:
        mask = mask[:, None]  # the same for all heads
    pairs = zip(reversed(mask.shape), reversed(shape), strict=False)
    fits = all(m in (1, None, n) or n is None for m, n in pairs)
    if len(mask.shape) > len(shape) or not fits:
        raise ValueError(
            f"attention_mask {given} does not fit scores {tuple(shape)}: "
            "give (batch, heads, query, key), (batch, query, key), (batch, "
            "key) or (query, key)."
        )
    return mask
