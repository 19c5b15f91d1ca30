"""Heads: how widely a head attends, and which of five habits it has."""

import numpy as np
import tensorflow as tf


def entropy(weights: tf.Tensor) -> np.ndarray:
    """Measure how widely each query spreads its weights, in nats.

        H = − Σ w ln w

    Args:
        weights: `(…, query, key)`.

    Returns:
        `(…, query)`: 0 if one key has all the weight, ln n if n keys
        share it equally.

    References:
        Shannon 1948, §6.
    """
    weights = np.asarray(weights, "float64")
    return -(weights * np.log(np.where(weights > 0, weights, 1))).sum(-1)


def habits(token_ids: tf.Tensor) -> dict[str, np.ndarray]:
    """Mark the keys that each kind of head attends to.

    Args:
        token_ids: Integers `(batch, seq)`.

    Returns:
        A dictionary from a kind to bools `(batch, query, key)`:
            "previous": the token before the query;
            "next": the token after it, for a model that sees it;
            "first": the first token;
            "duplicate": earlier tokens that equal the query;
            "induction": tokens that followed those.

    Examples:
        >>> marks = habits([[7, 8, 9, 7]])  # what followed the first 7?
        >>> marks["induction"][0, 3].tolist()
        [False, True, False, False]

    References:
        Olsson et al. 2022, for induction heads.
    """
    ids = np.asarray(token_ids)
    query, key = np.ogrid[: ids.shape[1], : ids.shape[1]]
    same = (ids[:, :, None] == ids[:, None, :]) & (key < query)
    followed = np.roll(same, 1, axis=2) & (key > 0) & (key < query)
    everywhere = np.ones_like(same)
    return {
        "previous": everywhere & (key == query - 1),
        "next": everywhere & (key == query + 1),
        "first": everywhere & (key == 0) & (key < query),
        "duplicate": same,
        "induction": followed,
    }


def head_scores(
    weights: tf.Tensor, token_ids: tf.Tensor
) -> dict[str, np.ndarray]:
    """Measure how much of its weight each head gives to five kinds of keys.

    Args:
        weights: `(batch, heads, query, key)`, of self-attention.
        token_ids: Integers `(batch, seq)`, which the model read.

    Returns:
        A dictionary from the kinds of `habits` to numbers `(heads,)`: the
        mean over all queries that have such a key; NaN if none has.

    Raises:
        ValueError: if the weights are not those of these tokens.
    """
    weights, ids = np.asarray(weights), np.asarray(token_ids)
    batch, seq = ids.shape
    sizes = weights.shape[:1] + weights.shape[2:]
    if sizes != (batch, seq, seq):
        raise ValueError(
            f"The weights have shape {weights.shape}, expected (batch, "
            f"heads, query, key) with batch {batch}, query {seq} and key "
            f"{seq}: give weights of self-attention, and the token ids "
            "that the model read."
        )
    scores = {}
    for kind, marked in habits(ids).items():
        there = (weights * marked[:, None]).sum(-1)  # (batch, heads, query)
        count = marked.any(-1).sum()
        scores[kind] = there.sum((0, 2)) / (count or np.nan)
    return scores
