"""Masks: which keys may a query attend to? True = may attend."""

import numpy as np


def padding_mask(token_ids, pad_id):
    """Hide padding from all queries.

    Args:
        token_ids: Integers `(batch, key)`.
        pad_id: The id of padding, an integer. Padding may stand anywhere
            in a sequence. Every other id is a real token.

    Returns:
        Bool `(batch, 1, 1, key)`, which broadcasts to
        `(batch, heads, query, key)`: True where the key is a real token.
    """
    real = token_ids != pad_id
    return real[:, None, None, :]


def causal_mask(query_len, key_len):
    """Let each query see its own position and those before it.

    The keys have the positions 0, 1, …, key_len - 1. The queries are the
    last `query_len` of these positions, in order.

    Args:
        query_len: Number of queries, 1 to key_len.
        key_len: Number of keys.

    Returns:
        Bool `(query, key)`: True where the key's position is the query's
        or an earlier one.
    """
    query_position = key_len - query_len + np.arange(query_len)[:, None]
    key_position = np.arange(key_len)[None, :]
    return key_position <= query_position


def decoder_mask(token_ids, pad_id):
    """Let each token see the real tokens up to its own position.

    A query that is padding itself is treated like any other.

    Args:
        token_ids: Integers `(batch, seq)`, the queries and the keys.
        pad_id: The id of padding, an integer.

    Returns:
        Bool `(batch, 1, seq, seq)`, the queries before the keys: True
        where the key is a real token and not later than the query.
    """
    seq = token_ids.shape[1]
    causal = causal_mask(seq, seq)  # (seq, seq)
    return causal & padding_mask(token_ids, pad_id)
