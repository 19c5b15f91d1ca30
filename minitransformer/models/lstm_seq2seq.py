"""LSTM translator: read a sentence, then write it in another language."""

from dataclasses import dataclass
from typing import Any, Self

import keras
import tensorflow as tf
from keras import layers

from minitransformer.embeddings import TokenEmbedding
from minitransformer.masks import padding_mask
from minitransformer.recurrent import (
    InputFeedingDecoder,
    PlainDecoder,
    TextbookDecoder,
    make_lstm,
)
from minitransformer.runs.saving import SavedModel
from minitransformer.runs.sizes import check_sizes
from minitransformer.scoring import SCORES


@dataclass(frozen=True)
class LSTMSeq2SeqConfig:
    """The sizes of an LSTM translator.

    Args:
        source_vocab_size, target_vocab_size: Numbers of tokens, special
            ones included.
        d_model: Width of the embeddings.
        units: Width of both LSTMs.
        attention: How a key is scored: "general", "dot", "scaled_dot",
            "additive", or "none".
        input_feeding: True = Luong's form, step by step; False = the
            textbook's. Ignored without attention.
        dropout_rate: Share dropped in training, from the embeddings and
            the outputs.
        pad_id, bos_id, eos_id: The tokenizers' ids for padding, beginning
            and end.

    Raises:
        ValueError: if sizes or attention are impossible.
    """

    source_vocab_size: int
    target_vocab_size: int
    d_model: int
    units: int
    attention: str
    pad_id: int
    bos_id: int
    eos_id: int
    input_feeding: bool = True
    dropout_rate: float = 0.0

    def __post_init__(self) -> None:
        check_sizes(self)
        if self.attention not in (*SCORES, "none"):
            raise ValueError(
                f"attention={self.attention!r}: choose one of "
                f"{', '.join(SCORES)}, none."
            )
        dot = self.attention in ("dot", "scaled_dot")
        if dot and not self.input_feeding and self.d_model != self.units:
            raise ValueError(
                f"A dot product needs equal widths, but d_model="
                f"{self.d_model} and units={self.units}: make them equal, "
                'or use attention="general".'
            )

    @classmethod
    def small(
        cls, tokenizers: Any, attention: str = "general", **options: Any
    ) -> Self:
        """The size that `train_translation.py` trains."""
        source, target = tokenizers
        return cls(
            source_vocab_size=source.vocab_size,
            target_vocab_size=target.vocab_size,
            attention=attention,
            pad_id=target.pad_id,
            bos_id=target.bos_id,
            eos_id=target.eos_id,
            **{"d_model": 128, "units": 256} | options,
        )


def make_decoder(config: LSTMSeq2SeqConfig) -> layers.Layer:
    """Choose the decoder that the configuration names."""
    if config.attention == "none":
        return PlainDecoder(units=config.units, name="decoder")
    score = SCORES[config.attention](
        config.units if config.input_feeding else config.d_model
    )
    kind = InputFeedingDecoder if config.input_feeding else TextbookDecoder
    return kind(units=config.units, score=score, name="decoder")


class LSTMSeq2Seq(SavedModel, keras.Model):
    """Translate with two LSTMs, with or without attention between them.

        source → embeddings → LSTM → memory and last state
        target → embeddings → decoder(memory, state) → logits

    Args:
        config: An `LSTMSeq2SeqConfig`.

    Call arguments:
        source_ids: Integers `(batch, source)`, padded behind.
        target_ids: Integers `(batch, target)`, beginning with `bos_id`.

    Returns:
        Logits `(batch, target, target_vocab_size)`: row t is about token
        t + 1.

    References:
        Luong et al. 2015, §2 and §3.
    Differs from the paper: one layer each instead of four, the source is
        not reversed, attention is global, and the embeddings are multiplied
        by √d_model, because they begin too small to move an LSTM's gates.
    """

    config_class = LSTMSeq2SeqConfig

    def __init__(self, config: LSTMSeq2SeqConfig) -> None:
        super().__init__(config, "lstm_seq2seq")
        self.source_embedding = TokenEmbedding(
            vocab_size=config.source_vocab_size,
            d_model=config.d_model,
            name="source_embedding",
        )
        self.target_embedding = TokenEmbedding(
            vocab_size=config.target_vocab_size,
            d_model=config.d_model,
            name="target_embedding",
        )
        self.encoder = make_lstm(config.units, "encoder")
        self.decoder = make_decoder(config)
        self.output_dense = layers.Dense(
            config.target_vocab_size, name="output_dense"
        )
        self.dropout = layers.Dropout(config.dropout_rate)
        self(tf.zeros((1, 1), tf.int32), tf.zeros((1, 1), tf.int32))

    def embed(
        self, embedding: TokenEmbedding, token_ids: tf.Tensor
    ) -> tf.Tensor:
        """Compute √d_model · embedding, `(batch, seq, d_model)`."""
        x = embedding(token_ids) * self.config.d_model**0.5
        return self.dropout(x)

    def encode(
        self, source_ids: tf.Tensor
    ) -> tuple[tf.Tensor, tuple, tf.Tensor]:
        """Read the source.

        Args:
            source_ids: Integers `(batch, source)`.

        Returns:
            memory: `(batch, source, units)`.
            state: The LSTM's last two vectors `(batch, units)`, after the
                last real token.
            padding_mask: Bool `(batch, source)`, True = a real token.
        """
        mask = padding_mask(source_ids, pad_id=self.config.pad_id)
        x = self.embed(self.source_embedding, source_ids)
        memory, *state = self.encoder(x, mask=mask)
        return memory, tuple(state), mask

    def decode(
        self, target_ids: tf.Tensor, state: tuple, source: tuple
    ) -> tuple[tf.Tensor, tf.Tensor | None, tuple]:
        """Read some target tokens, and predict the next of each.

        Args:
            target_ids: Integers `(batch, target)`.
            state: The decoder's, from `start` or an earlier call.
            source: The prepared source, from `start`.

        Returns:
            logits: `(batch, target, target_vocab_size)`.
            weights: `(batch, target, source)`; None without attention.
            state: For the next call.
        """
        x = self.embed(self.target_embedding, target_ids)
        outputs, weights, state = self.decoder(x, state, source)
        return self.output_dense(self.dropout(outputs)), weights, state

    def call(
        self, source_ids: tf.Tensor, target_ids: tf.Tensor
    ) -> tf.Tensor:
        return self.decode(target_ids, *self.start(source_ids))[0]

    def start(
        self, source_ids: tf.Tensor, max_len: int | None = None
    ) -> tuple[tuple, tuple]:
        """Read the source, and return the state before the first token.

        `max_len` is ignored, since a recurrent state does not grow.

        Returns:
            The decoder's state, and the prepared source.
        """
        memory, state, mask = self.encode(source_ids)
        return self.decoder.start(state), self.decoder.read(memory, mask)

    def step(
        self, token_ids: tf.Tensor, state: tuple, position: int
    ) -> tuple[tf.Tensor, tuple]:
        """Read one token of the translation.

        Args:
            token_ids: Integers `(batch,)`.
            state: From `start` or an earlier step.
            position: Ignored, since an LSTM has no positions.

        Returns:
            Logits `(batch, target_vocab_size)`, and the new state.
        """
        before, source = state
        logits, _, after = self.decode(token_ids[:, None], before, source)
        return logits[:, 0], (after, source)

    def attention_maps(
        self, source_ids: tf.Tensor, target_ids: tf.Tensor
    ) -> tf.Tensor:
        """Return the attention weights, for figures.

        Returns:
            `(batch, target, source)`: row t has the weights for predicting
            token t + 1.

        Raises:
            ValueError: without attention.
        """
        if self.config.attention == "none":
            raise ValueError('attention="none" has no attention weights.')
        target_ids = tf.convert_to_tensor(target_ids)
        state, source = self.start(tf.convert_to_tensor(source_ids))
        return self.decode(target_ids, state, source)[1]
