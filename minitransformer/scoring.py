"""Scoring: how well does a key answer a query?

Four answers from before the Transformer, and its own. Each has the same two
halves: `keys` prepares what can be looked at, once; a call compares.
"""

import tensorflow as tf
from keras import layers

from minitransformer.attention import attention_weights


class DotScore(layers.Layer):
    """Compare by the dot product; nothing is learned.

        score(q, k) = q · k

    Call arguments:
        query: `(batch, query, units)`.
        keys: `(batch, key, units)`, from `keys`.

    Returns:
        Scores `(batch, query, key)`.

    References:
        Luong et al. 2015, §3.1, "dot", below equation 7.
    """

    def keys(self, memory):
        return memory

    def call(self, query, keys):
        return tf.matmul(query, keys, transpose_b=True)


class ScaledDotScore(layers.Layer):
    """Compare by the dot product, divided by the root of the width.

        score(q, k) = q · k / √units

    Call arguments:
        query, keys: As for `DotScore`.

    Returns:
        Scores `(batch, query, key)`.

    References:
        Vaswani et al. 2017, §3.2.1, equation 1.
    """

    def keys(self, memory):
        return memory

    def call(self, query, keys):
        width = query.shape[-1]
        return tf.matmul(query, keys, transpose_b=True) / width**0.5


class GeneralScore(layers.Layer):
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

    def __init__(self, *, units, **kwargs):
        super().__init__(**kwargs)
        self.key_dense = layers.Dense(
            units, use_bias=False, name="key_dense"
        )

    def keys(self, memory):
        """Project what the encoder wrote: `(batch, key, units)`."""
        return self.key_dense(memory)

    def call(self, query, keys):
        return tf.matmul(query, keys, transpose_b=True)


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

    def __init__(self, *, units, **kwargs):
        super().__init__(**kwargs)
        self.query_dense = layers.Dense(
            units, use_bias=False, name="query_dense"
        )
        self.key_dense = layers.Dense(
            units, use_bias=False, name="key_dense"
        )
        self.score_dense = layers.Dense(
            1, use_bias=False, name="score_dense"
        )

    def keys(self, memory):
        """Project what the encoder wrote: `(batch, key, units)`."""
        return self.key_dense(memory)

    def call(self, query, keys):
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


def attend(score, query, keys, values, padding_mask=None):
    """Read from the values where the score is high.

        context = softmax(score(query, keys)) values

    Args:
        score: One of the layers above.
        query: `(batch, query, width)`.
        keys: What `score.keys` made of the values.
        values: `(batch, key, units)`, what the encoder wrote.
        padding_mask: Bool `(batch, key)`, True = a real token.

    Returns:
        context: `(batch, query, units)`.
        weights: `(batch, query, key)`; each row sums to 1, and padding has
            exactly 0.

    References:
        Luong et al. 2015, §3.1, equation 7 and what follows it.
    """
    scores = score(query, keys)
    mask = None if padding_mask is None else padding_mask[:, None]
    weights = attention_weights(scores, mask)
    return tf.matmul(weights, values), weights
