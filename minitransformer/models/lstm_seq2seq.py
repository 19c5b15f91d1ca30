"""LSTM translator: read a sentence, then write it in another language."""

from dataclasses import asdict, dataclass

import keras
import tensorflow as tf
from keras import layers

from minitransformer.embeddings import TokenEmbedding
from minitransformer.masks import padding_mask
from minitransformer.recurrent import (
    InputFeedingDecoder,
    PlainDecoder,
    TextbookDecoder,
)
from minitransformer.runs.saving import load_model, save_model
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
            textbook's. Without attention it does not matter.
        dropout_rate: Share dropped in training, from the embeddings and
            the outputs.
        pad_id, bos_id, eos_id: The tokenizers' ids for padding, beginning
            and end.

    Raises:
        ValueError: if a size is not positive, there is no such attention,
            or the widths do not fit a dot product.
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

    def __post_init__(self):
        for name in (
            "source_vocab_size",
            "target_vocab_size",
            "d_model",
            "units",
        ):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name}={getattr(self, name)}: give at least 1."
                )
        if self.attention not in (*SCORES, "none"):
            raise ValueError(
                f"attention={self.attention!r}: choose one of "
                f"{', '.join(SCORES)}, none."
            )
        if not 0 <= self.dropout_rate < 1:
            raise ValueError(
                f"dropout_rate={self.dropout_rate}: give a share from 0 up "
                "to, but not including, 1."
            )
        dot = self.attention in ("dot", "scaled_dot")
        if dot and not self.input_feeding and self.d_model != self.units:
            raise ValueError(
                f"A dot product needs equal widths, but d_model="
                f"{self.d_model} and units={self.units}: make them equal, "
                "or take general attention."
            )

    @classmethod
    def small(cls, tokenizers, attention="general", **options):
        """The size that `train_translation.py` trains."""
        source, target = tokenizers
        return cls(
            source_vocab_size=source.vocab_size,
            target_vocab_size=target.vocab_size,
            d_model=128,
            units=256,
            attention=attention,
            pad_id=target.pad_id,
            bos_id=target.bos_id,
            eos_id=target.eos_id,
            **options,
        )


def make_decoder(config):
    """Choose the decoder that the configuration names."""
    if config.attention == "none":
        return PlainDecoder(units=config.units, name="decoder")
    score = SCORES[config.attention](
        config.units if config.input_feeding else config.d_model
    )
    kind = InputFeedingDecoder if config.input_feeding else TextbookDecoder
    return kind(units=config.units, score=score, name="decoder")


class LSTMSeq2Seq(keras.Model):
    """Translate with two LSTMs, and attention between them or none.

        source → embeddings → LSTM → memory and last state
        target → embeddings → decoder, which reads the memory → logits

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
        not reversed, all positions are attended to ("global"), and the
        embeddings are multiplied by √d_model, as in the Transformer: they
        begin so small that an LSTM learns slowly from them.
    """

    def __init__(self, config):
        super().__init__(name="lstm_seq2seq")
        self.config = config
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
        self.encoder = layers.LSTM(
            config.units,
            return_sequences=True,
            return_state=True,
            use_cudnn=False,  # it refuses rows that are padding only
            name="encoder",
        )
        self.decoder = make_decoder(config)
        self.output_dense = layers.Dense(
            config.target_vocab_size, name="output_dense"
        )
        self.dropout = layers.Dropout(config.dropout_rate)
        self(tf.zeros((1, 1), tf.int32), tf.zeros((1, 1), tf.int32))

    def embed(self, embedding, token_ids):
        """Look up the tokens, large enough to move an LSTM's gates."""
        x = embedding(token_ids) * self.config.d_model**0.5
        return self.dropout(x)  # (batch, seq, d_model)

    def encode(self, source_ids):
        """Read the source.

        Args:
            source_ids: Integers `(batch, source)`.

        Returns:
            memory: `(batch, source, units)`.
            state: The LSTM's last two vectors `(batch, units)`, after the
                last real token.
            padding_mask: Bool `(batch, source)`, True = a real token.
        """
        real = padding_mask(source_ids, pad_id=self.config.pad_id)
        x = self.embed(self.source_embedding, source_ids)
        memory, *state = self.encoder(x, mask=real)
        return memory, tuple(state), real

    def decode(self, target_ids, state, source):
        """Write some tokens further.

        Args:
            target_ids: Integers `(batch, target)`.
            state: The decoder's, from `start` or an earlier call.
            source: What `start` made of the source.

        Returns:
            logits: `(batch, target, target_vocab_size)`.
            weights: `(batch, target, source)`; None without attention.
            state: To go on from.
        """
        x = self.embed(self.target_embedding, target_ids)
        outputs, weights, state = self.decoder(x, state, source)
        return self.output_dense(self.dropout(outputs)), weights, state

    def call(self, source_ids, target_ids):
        state, source = self.start(source_ids)
        return self.decode(target_ids, state, source)[0]

    def start(self, source_ids, max_len=None):
        """Read the source, and make all that a translation begins with.

        Args:
            source_ids: Integers `(batch, source)`.
            max_len: Not needed: a recurrent state does not grow.

        Returns:
            The decoder's state, and what it reads of the source.
        """
        memory, state, real = self.encode(source_ids)
        return self.decoder.start(state), self.decoder.read(memory, real)

    def step(self, token_ids, state, position):
        """Read one token of the translation.

        Args:
            token_ids: Integers `(batch,)`.
            state: From `start` or an earlier step.
            position: Not needed: an LSTM knows no places.

        Returns:
            Logits `(batch, target_vocab_size)` for the next token, and the
            state after this one.
        """
        state, source = state
        logits, _, state = self.decode(token_ids[:, None], state, source)
        return logits[:, 0], (state, source)

    def attention_maps(self, source_ids, target_ids):
        """Show where it looked for each token.

        Returns:
            `(batch, target, source)`: row t is the look before token t + 1.

        Raises:
            ValueError: without attention.
        """
        if self.config.attention == "none":
            raise ValueError("This model has no attention to show.")
        target_ids = tf.convert_to_tensor(target_ids)
        state, source = self.start(tf.convert_to_tensor(source_ids))
        return self.decode(target_ids, state, source)[1]

    def save(self, folder):
        """Write `config.json` and `weights.safetensors` into a folder."""
        save_model(self, asdict(self.config), folder)

    @classmethod
    def load(cls, folder):
        """Read a model that `save` wrote.

        Raises:
            ValueError: if the folder holds no model, or another one.
        """
        return load_model(
            lambda config: cls(LSTMSeq2SeqConfig(**config)), folder
        )
