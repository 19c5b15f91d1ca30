"""Scoring: how well does a key match a query?

Three scores are older than the Transformer; the scaled one is its own. In
each, `keys` prepares the encoder's output once, and `call` compares.
"""

from typing import Any

import tensorflow as tf
from keras import layers

from minitransformer.attention import attention_weights
from minitransformer.masks import widen_padding_mask


class DotScore(layers.Layer):
    """Compare by the dot product, without weights.

        score(q, k) = q · k

    Call arguments:
        query: `(batch, query, units)`.
        keys: `(batch, key, units)`, from `keys`.

    Returns:
        Scores `(batch, query, key)`.

    References:
        Luong et al. 2015, §3.1, "dot", below equation 7.
    """

    def keys(self, memory: tf.Tensor) -> tf.Tensor:
        return memory

    def call(self, query: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        return tf.matmul(query, keys, transpose_b=True)


class ScaledDotScore(DotScore):
    """Compare by the dot product, divided by the root of the width.

        score(q, k) = q · k / √units

    Call arguments:
        query, keys: Same as in `DotScore`.

    Returns:
        Scores `(batch, query, key)`.

    References:
        Vaswani et al. 2017, §3.2.1, equation 1.
    """

    def call(self, query: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        width = query.shape[-1]
        return super().call(query, keys) / width**0.5


class GeneralScore(DotScore):
    """Compare through a learned matrix, so that the widths may differ.

        score(q, k) = q · W k

    Args:
        units: Width of the query.

    Call arguments:
        query: `(batch, query, units)`.
        keys: `(batch, key, units)`, from `keys`.

    Returns:
        Scores `(batch, query, key)`.

    References:
        Luong et al. 2015, §3.1, "general", below equation 7.
    """

    def __init__(self, *, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.key_dense = layers.Dense(
            units, use_bias=False, name="key_dense", dtype=self.dtype_policy
        )

    def keys(self, memory: tf.Tensor) -> tf.Tensor:
        """Project the encoder's output: `(batch, key, units)`."""
        return self.key_dense(memory)


class AdditiveScore(layers.Layer):
    """Compare by a small network with one hidden layer.

        score(q, k) = v · tanh(W_q q + W_k k)

    Args:
        units: Width of the hidden layer.

    Call arguments:
        query: `(batch, query, any width)`.
        keys: `(batch, key, units)`, from `keys`.

    Returns:
        Scores `(batch, query, key)`.

    References:
        Bahdanau et al. 2015, §3.1 and appendix A.1.2.
    """

    def __init__(self, *, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)

        def dense(units, name):
            return layers.Dense(
                units, use_bias=False, name=name, dtype=self.dtype_policy
            )

        self.query_dense = dense(units, "query_dense")
        self.key_dense = dense(units, "key_dense")
        self.score_dense = dense(1, "score_dense")

    def keys(self, memory: tf.Tensor) -> tf.Tensor:
        """Project the encoder's output: `(batch, key, units)`."""
        return self.key_dense(memory)

    def call(self, query: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        queries = self.query_dense(query)
        # (batch, query, 1, units) + (batch, 1, key, units)
        sums = queries[:, :, None] + keys[:, None]
        return self.score_dense(tf.tanh(sums))[..., 0]


SCORES = {
    "dot": lambda units: DotScore(name="score"),
    "scaled_dot": lambda units: ScaledDotScore(name="score"),
    "general": lambda units: GeneralScore(units=units, name="score"),
    "additive": lambda units: AdditiveScore(units=units, name="score"),
}


def attend(
    score: layers.Layer,
    query: tf.Tensor,
    keys: tf.Tensor,
    values: tf.Tensor,
    padding_mask: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute the mean of the values, weighted by the scores.

        context = softmax(score(query, keys)) values

    Args:
        score: One of the layers above.
        query: `(batch, query, width)`.
        keys: From `score.keys(values)`.
        values: `(batch, key, units)`, the encoder's output.
        padding_mask: Bool `(batch, key)`, True = a real token.

    Returns:
        context: `(batch, query, units)`.
        weights: `(batch, query, key)`; each row sums to 1, and padding has
            exactly 0.

    References:
        Luong et al. 2015, §3.1, equation 7 and the text below it.
    """
    mask = widen_padding_mask(padding_mask, heads=False)
    weights = attention_weights(score(query, keys), mask)
    return tf.matmul(weights, values), weights
