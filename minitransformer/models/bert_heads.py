"""Heads for a BERT: small layers that turn its vectors into answers.

`BertPretraining` predicts hidden words and whether two texts belong
together, `BertClassifier` sorts texts into classes.
"""

from typing import Any, Self

import keras
import tensorflow as tf
from keras import layers

from minitransformer.models.bert import (
    EPSILON,
    Bert,
    BertConfig,
    gelu,
    initialize,
)
from minitransformer.normalization import LayerNorm
from minitransformer.runs.given import whole
from minitransformer.runs.saving import SavedModel


class BertPretraining(SavedModel, keras.Model):
    """Predict the hidden words, and whether one text follows the other.

        word logits = table · norm(gelu(W hidden + b)) + bias
        next logits = W′ pooled + b′

    Args:
        bert: A `Bert`; training changes its weights as well.

    Call arguments:
        token_ids, segment_ids: Same as in `Bert`.
        positions: Integers `(batch, predictions)`: the words to predict.

    Returns:
        word_logits: `(batch, predictions, vocab_size)`.
        next_logits: `(batch, 1, 2)`: another text, or the next one.

    References:
        Devlin et al. 2019, §3.1 and appendix A.2; the dense layer and norm
        before the logits, and their bias, are in its code.
    """

    config_class = BertConfig

    def __init__(self, bert: Bert) -> None:
        super().__init__(bert.config, "bert_pretraining")
        self.bert = bert
        self.word_dense = layers.Dense(
            bert.config.d_model, activation=gelu, name="word_dense"
        )
        self.word_norm = LayerNorm(epsilon=EPSILON, name="word_norm")
        self.word_bias = self.add_weight(
            (bert.config.vocab_size,), "zeros", name="word_bias"
        )
        self.next_dense = layers.Dense(2, name="next_dense")
        nothing = tf.zeros((1, 1), tf.int32)
        self(nothing, nothing, nothing)
        for layer in (self.word_dense, self.next_dense):
            initialize(layer)

    def call(
        self,
        token_ids: tf.Tensor,
        segment_ids: tf.Tensor,
        positions: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        hidden, pooled = self.bert(token_ids, segment_ids)
        # A row of logits has one product per piece: only those requested.
        positions = tf.cast(positions, tf.int32)
        chosen = tf.gather(hidden, positions, batch_dims=1)
        chosen = self.word_norm(self.word_dense(chosen))
        word_logits = self.bert.embedding.logits(chosen)
        word_logits += tf.cast(self.word_bias, word_logits.dtype)
        return word_logits, self.next_dense(pooled)[:, None]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(Bert(BertConfig(**config)))


class BertClassifier(SavedModel, keras.Model):
    """Sort texts into classes, by the pooled vector.

        logits = W dropout(pooled) + b

    Args:
        bert: A `Bert`; training changes its weights as well, unless
            `bert.trainable` is False.
        num_classes: Number of classes.

    Call arguments:
        token_ids, segment_ids: Same as in `Bert`.

    Returns:
        Logits `(batch, 1, num_classes)`: one question per text.

    References:
        Devlin et al. 2019, §4.1.
    """

    config_class = BertConfig

    def __init__(self, bert: Bert, num_classes: int) -> None:
        super().__init__(bert.config, "bert_classifier")
        self.bert = bert
        self.dropout = layers.Dropout(bert.config.dropout_rate)
        num_classes = whole("num_classes", num_classes)
        self.class_dense = layers.Dense(num_classes, name="class_dense")
        self(tf.zeros((1, 1), tf.int32))
        initialize(self.class_dense)

    def call(
        self, token_ids: tf.Tensor, segment_ids: tf.Tensor | None = None
    ) -> tf.Tensor:
        _, pooled = self.bert(token_ids, segment_ids)
        return self.class_dense(self.dropout(pooled))[:, None]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_classes": self.class_dense.units
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        sizes = {"num_classes": 1} | config
        num_classes = sizes.pop("num_classes")
        return cls(Bert(BertConfig(**sizes)), num_classes)
