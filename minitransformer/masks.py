"""Masks: which keys may a query attend to?

Every mask is boolean, and **True means "may attend"**, as in Keras, Flax
and Equinox.
"""

import tensorflow as tf

from minitransformer.attention import bool_mask
from minitransformer.runs.given import whole


def causal_mask(
    query_len: int, key_len: int | None = None, *, start: int | None = None
) -> tf.Tensor:
    """Let each position attend to itself and to earlier positions.

        mask[i, j]  =  j ≤ start + i

    Args:
        query_len: Number of queries.
        key_len: Number of keys; as many as queries if None.
        start: Position of query 0. By default the queries are the last
            of the `key_len` positions.

    Returns:
        Bool `(query, key)`, True = may attend.

    Examples:
        >>> print(tf.cast(causal_mask(2, 4), tf.int32).numpy())
        [[1 1 1 0]
         [1 1 1 1]]

    References:
        Vaswani et al. 2017, §3.2.3.
    """
    key_len = query_len if key_len is None else key_len
    start = key_len - query_len if start is None else start
    query = tf.range(query_len, dtype=tf.int32)
    query_position = tf.cast(start, tf.int32) + query[:, None]  # (query, 1)
    key_position = tf.range(key_len, dtype=tf.int32)[None, :]  # (1, key)
    return key_position <= query_position


def banded_mask(
    query_len: int,
    key_len: int | None = None,
    *,
    width: int,
    start: int | None = None,
) -> tf.Tensor:
    """Let each position attend to itself and the `width - 1` before it.

        mask[i, j]  =  start + i - width < j ≤ start + i

    Args:
        query_len, key_len, start: Same as in `causal_mask`.
        width: The largest number of keys that a query may attend to.

    Returns:
        Bool `(query, key)`, True = may attend.

    Raises:
        TypeError, ValueError: if `width` is not an integer of at least 1.

    Examples:
        >>> print(tf.cast(banded_mask(4, width=2), tf.int32).numpy())
        [[1 0 0 0]
         [1 1 0 0]
         [0 1 1 0]
         [0 0 1 1]]

    References:
        Child et al. 2019, §4.3: one of the two patterns of "strided"
        attention. Brown et al. 2020, §2.1, for its use in GPT-3.
    """
    width = whole("width", width)
    key_len = query_len if key_len is None else key_len
    start = key_len - query_len if start is None else start
    causal = causal_mask(query_len, key_len, start=start)
    too_early = causal_mask(query_len, key_len, start=start - width)
    return causal & ~too_early


def padding_mask(token_ids: tf.Tensor, *, pad_id: int) -> tf.Tensor:
    """Mark which positions hold real tokens rather than padding.

    Args:
        token_ids: Integers `(batch, seq)`.
        pad_id: The tokenizer's id for padding.

    Returns:
        Bool `(batch, seq)`, True = a real token.

    Examples:
        >>> padding_mask([[5, 7, 0], [8, 0, 0]], pad_id=0).numpy().tolist()
        [[True, True, False], [True, False, False]]
    """
    return tf.not_equal(token_ids, pad_id)


def widen_padding_mask(
    padding_mask: tf.Tensor | None, *, heads: bool = True
) -> tf.Tensor | None:
    """Add axes to a padding mask, so that it hides keys in all rows.

    Args:
        padding_mask: Bool `(batch, key)`, True = a real token; or None,
            which hides nothing and stays None.
        heads: Whether the scores have an axis for heads.

    Returns:
        Bool `(batch, 1, 1, key)`; without heads `(batch, 1, key)`.

    Raises:
        TypeError, ValueError: if it has another type or shape.
    """
    if padding_mask is None:
        return None
    mask = bool_mask(padding_mask, "padding_mask")
    if len(mask.shape) != 2:
        raise ValueError(
            f"padding_mask has shape {tuple(mask.shape)}, expected (batch, "
            "key). Give one bool per token, True = a real token."
        )
    wide = mask[:, None, :]  # one row for all queries
    return wide[:, None] if heads else wide
