"""Masks: which keys may a query attend to?

Every mask of this package is boolean and **True means "may attend"**, as in
Keras, Flax and Equinox. This is the only file that decides it.
"""

import tensorflow as tf


def causal_mask(query_len, key_len=None, *, start=None):
    """Let each position see itself and what came before it.

    The queries stand at positions start, start + 1, …; the keys at
    0, 1, …, key_len - 1:

        mask[i, j]  =  j ≤ start + i

    Args:
        query_len: Number of queries.
        key_len: Number of keys; as many as queries if None.
        start: Position of the first query. By default the queries are the
            last `query_len` of the `key_len` positions.

    Returns:
        Bool `(query, key)`, True = may attend.

    References:
        Vaswani et al. 2017, §3.2.3: "masking out … all values in the input
        of the softmax which correspond to illegal connections".
    """
    key_len = query_len if key_len is None else key_len
    start = key_len - query_len if start is None else start
    query_position = start + tf.range(query_len)[:, None]  # (query, 1)
    key_position = tf.range(key_len)[None, :]  # (1, key)
    return key_position <= query_position


def padding_mask(token_ids, *, pad_id):
    """Tell real tokens from the filling behind shorter sequences.

    Args:
        token_ids: Integers `(batch, seq)`.
        pad_id: The tokenizer's id for padding.

    Returns:
        Bool `(batch, seq)`, True = a real token.
    """
    return tf.not_equal(token_ids, pad_id)


def widen_padding_mask(padding_mask):
    """Shape a padding mask so that it hides keys, in every head and query.

    Args:
        padding_mask: Bool `(batch, key)`, True = a real token.

    Returns:
        Bool `(batch, 1, 1, key)`, to broadcast over
        `(batch, heads, query, key)`.
    """
    return padding_mask[:, None, None, :]
