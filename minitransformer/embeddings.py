"""Embeddings: from token ids to vectors, and back to logits.

The same table serves both ways: a token's logit is the dot product of the
hidden vector with the token's own embedding.
"""

from typing import Any

import tensorflow as tf
from keras import layers


class TokenEmbedding(layers.Layer):
    """Look up a vector for each token; `logits` is the way back.

    Args:
        vocab_size: Number of tokens, special ones included.
        d_model: Width of a vector.

    Call arguments:
        token_ids: Integers `(batch, seq)`.

    Returns:
        `(batch, seq, d_model)`.

    References:
        Press & Wolf 2017 for tying input and output; Vaswani et al. 2017,
        §3.4.
    Differs from the paper: it multiplies embeddings by √d_model; GPT and
    BERT do not, so that is left to the model.
    """

    def __init__(
        self, *, vocab_size: int, d_model: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.shape = (vocab_size, d_model)

    def build(self, token_ids_shape: tuple) -> None:
        self.table = self.add_weight(
            shape=self.shape, initializer="random_normal", name="table"
        )

    def call(self, token_ids: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.convert_to_tensor(self.table), token_ids)

    def logits(self, hidden: tf.Tensor) -> tf.Tensor:
        """Compare hidden vectors with every token's embedding.

            logits = hidden · tableᵀ

        Args:
            hidden: `(batch, seq, d_model)`.

        Returns:
            `(batch, seq, vocab_size)`.
        """
        table = tf.cast(self.table, hidden.dtype)
        return tf.matmul(hidden, table, transpose_b=True)
