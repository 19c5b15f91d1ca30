"""Embeddings: from token ids to vectors, and back to logits.

One table does both. A token's logit is the dot product of the hidden
vector and the token's own embedding.
"""

from typing import Any

import tensorflow as tf
from keras import layers

from minitransformer.runs.given import at_least


def take_ids(token_ids: Any, vocab_size: int) -> tf.Tensor:
    """Return ids as integers; `keras.Input` makes floats by default.

    Raises:
        TypeError: if they are not numbers.
        ValueError: if one is outside the vocabulary. (Compiled code cannot
            raise; with XLA it reads another row.)
    """
    given = tf.convert_to_tensor(token_ids)
    if not (given.dtype.is_integer or given.dtype.is_floating):
        raise TypeError(f"token ids are {given.dtype.name}: give integers.")
    ids = given if given.dtype == tf.int64 else tf.cast(given, tf.int32)
    if tf.executing_eagerly():
        wrong = (ids < 0) | (ids >= vocab_size)
        wrong |= tf.cast(ids, given.dtype) != given
        if tf.reduce_any(wrong):
            raise ValueError(
                f"The token id {given[wrong][0]} is not in 0 to "
                f"{vocab_size - 1}: use the model's own tokenizer, or a "
                "larger vocab_size."
            )
    return ids


class TokenEmbedding(layers.Layer):
    """Look up a vector for each token; `logits` goes the other way.

    Args:
        vocab_size: Number of different tokens, special ones included.
        d_model: Width of a vector.

    Call arguments:
        token_ids: Integers `(batch, seq)`; see `take_ids`.

    Returns:
        `(batch, seq, d_model)`.

    References:
        Press & Wolf 2017, for one table; Vaswani et al. 2017, §3.4.
    Differs from the paper: it multiplies embeddings by √d_model. GPT and
    BERT do not, so each model decides.
    """

    def __init__(
        self, *, vocab_size: int, d_model: int, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # keeps ids exact
        self.shape = at_least(1, vocab_size=vocab_size, d_model=d_model)

    def build(self, token_ids_shape: tuple) -> None:
        self.table = self.add_weight(
            shape=self.shape, initializer="random_normal", name="table"
        )

    def call(self, token_ids: tf.Tensor) -> tf.Tensor:
        ids = take_ids(token_ids, self.shape[0])
        table = tf.cast(self.table, self.compute_dtype)
        return tf.gather(table, ids)

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
