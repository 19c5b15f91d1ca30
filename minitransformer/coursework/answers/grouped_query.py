"""Grouped-query attention: several query heads share keys and values."""

import numpy as np

from minitransformer.coursework.answers.attention import (
    scaled_dot_product_attention,
)


def grouped_query_attention(query, key, value, mask):
    """Attend with more query heads than heads of keys and values.

    Query heads that are neighbours form a group: with 6 heads and 3
    groups, heads 0 and 1 read the keys and values of group 0, heads 2 and
    3 those of group 1.

    Args:
        query: Floats `(batch, heads, query, head_dim)`.
        key: Floats `(batch, groups, key, head_dim)`.
        value: Floats `(batch, groups, key, value_dim)`.
        mask: Bool, broadcastable to `(batch, heads, query, key)`,
            True = may attend.

    Returns:
        output: `(batch, heads, query, value_dim)`.
        weights: `(batch, heads, query, key)`, as in the exercise on
            masked attention.

    Raises:
        ValueError: if the groups do not divide the heads.

    References:
        Ainslie et al. 2023, §2.2. With one group it is the multi-query
        attention of Shazeer 2019, §3; with as many groups as heads it is
        multi-head attention.
    """
    heads, groups = query.shape[1], key.shape[1]
    if heads % groups:
        raise ValueError(f"{groups} groups do not divide {heads} heads.")
    key = np.repeat(key, heads // groups, axis=1)
    value = np.repeat(value, heads // groups, axis=1)
    return scaled_dot_product_attention(query, key, value, mask)


def pool_heads(kernel, heads, groups):
    """Turn the projection of all heads into one of a few groups.

    Args:
        kernel: Floats `(d_model, heads · head_dim)`, the projection of
            keys or values, one head after the other.
        heads: Number of its heads.
        groups: Number of groups; divides `heads`.

    Returns:
        `(d_model, groups · head_dim)`: each group's matrix is the mean of
        the matrices of its heads.

    References:
        Ainslie et al. 2023, §2.1, figure 1.
    """
    d_model, width = kernel.shape
    shape = d_model, groups, heads // groups, width // heads
    return kernel.reshape(shape).mean(axis=2).reshape(d_model, -1)
