"""The Transformer: an encoder that reads, and a decoder that writes."""

from dataclasses import dataclass
from typing import Any, Self

import keras
import tensorflow as tf
from keras import layers

from minitransformer.embeddings import TokenEmbedding
from minitransformer.masks import padding_mask
from minitransformer.positions import (
    SinusoidalPositions,
    check_length,
    take_start,
)
from minitransformer.runs.saving import SavedModel
from minitransformer.runs.sizes import check_sizes
from minitransformer.stacks import Decoder, Encoder


@dataclass(frozen=True)
class TransformerConfig:
    """The sizes of a Transformer.

    Args:
        vocab_size: Number of tokens of both languages together, special
            ones included.
        max_len: The longest source or target.
        d_model: Width of the residual stream; even.
        num_heads: Number of attention heads; must divide `d_model`.
        num_layers: Number of blocks in the encoder and in the decoder.
        d_ff: Width inside the feed-forward layers.
        pad_id, bos_id, eos_id: The tokenizer's ids for padding, beginning
            and end.
        dropout_rate: Share dropped in training.
        norm_first: True = pre-norm, False = post-norm, the paper's.

    Raises:
        ValueError: if sizes are impossible, such as an odd width.
    """

    vocab_size: int
    max_len: int
    d_model: int
    num_heads: int
    num_layers: int
    d_ff: int
    pad_id: int
    bos_id: int
    eos_id: int
    dropout_rate: float = 0.1
    norm_first: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.d_model, int) and self.d_model % 2:
            raise ValueError(
                f"d_model={self.d_model} must be even and divisible by "
                f"num_heads={self.num_heads}: choose a multiple of both."
            )
        check_sizes(self)

    @classmethod
    def small(cls, tokenizer: Any, max_len: int, **options: Any) -> Self:
        """The size that `train_translation.py` trains."""
        sizes = {"d_model": 128, "num_heads": 4, "d_ff": 512}
        return cls(
            vocab_size=tokenizer.vocab_size,
            max_len=max_len,
            pad_id=tokenizer.pad_id,
            bos_id=tokenizer.bos_id,
            eos_id=tokenizer.eos_id,
            **{"num_layers": 2} | sizes | options,
        )

    @classmethod
    def base(cls, tokenizer: Any, max_len: int = 512) -> Self:
        """The paper's base model (table 3): about 65 M parameters."""
        sizes = {"d_model": 512, "num_heads": 8, "d_ff": 2048}
        return cls.small(tokenizer, max_len, num_layers=6, **sizes)


class Transformer(SavedModel, keras.Model):
    """Translate: each target token sees the source and earlier tokens.

        source → embeddings + positions → encoder → memory
        target → embeddings + positions → decoder(memory) → logits

    Args:
        config: A `TransformerConfig`.

    Call arguments:
        source_ids: Integers `(batch, source)`, padded behind.
        target_ids: Integers `(batch, target)`, beginning with `bos_id`.

    Returns:
        Logits `(batch, target, vocab_size)`: row t is about token t + 1.

    Raises:
        ValueError: if a sequence is longer than `config.max_len`.

    References:
        Vaswani et al. 2017, §3. One table serves the source, the target
        and the logits (§3.4); dropout stands where §5.4 has it.
    Differs from the paper: the attention's projections have biases.
    """

    config_class = TransformerConfig

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config, "transformer")
        d_model = config.d_model
        self.embedding = TokenEmbedding(
            vocab_size=config.vocab_size, d_model=d_model, name="embedding"
        )
        self.positions = SinusoidalPositions(
            max_len=config.max_len, d_model=d_model
        )
        self.dropout = layers.Dropout(config.dropout_rate)
        stack: dict[str, Any] = {
            "num_layers": config.num_layers,
            "d_model": d_model,
            "num_heads": config.num_heads,
            "d_ff": config.d_ff,
            "norm_first": config.norm_first,
            "dropout_rate": config.dropout_rate,
        }
        self.encoder = Encoder(**stack)
        self.decoder = Decoder(cross_attention=True, **stack)
        self(tf.zeros((1, 1), tf.int32), tf.zeros((1, 1), tf.int32))
        # Then √d_model · a row has variance 1, and so has its logit.
        normal = keras.initializers.RandomNormal(stddev=d_model**-0.5)
        self.embedding.table.assign(normal((config.vocab_size, d_model)))

    def embed(self, token_ids: tf.Tensor, start: int = 0) -> tf.Tensor:
        """Compute √d_model · embedding + position, `(batch, seq, d_model)`.

        Args:
            token_ids: Integers `(batch, seq)`.
            start: Position of `token_ids[:, 0]`.
        """
        token_ids = tf.convert_to_tensor(token_ids)
        check_length(token_ids, self.config.max_len, start)
        x = self.embedding(token_ids) * self.config.d_model**0.5
        return self.dropout(self.positions(x, start=start))

    def encode(
        self, source_ids: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, list]:
        """Read the source.

        Args:
            source_ids: Integers `(batch, source)`.

        Returns:
            memory: `(batch, source, d_model)`.
            padding_mask: Bool `(batch, source)`, True = a real token.
            weights: A list with `(batch, heads, source, source)` for each
                block.
        """
        mask = padding_mask(source_ids, pad_id=self.config.pad_id)
        memory, weights = self.encoder(
            self.embed(source_ids), padding_mask=mask
        )
        return memory, mask, weights

    def decode(
        self,
        target_ids: tf.Tensor,
        memory: tf.Tensor | None,
        memory_padding_mask: tf.Tensor,
        cache: list | None = None,
        start: int = 0,
    ) -> tuple[tf.Tensor, list, list]:
        """Read some target tokens, and predict the next of each.

        Args:
            target_ids: Integers `(batch, target)`.
            memory: From `encode`; not needed with a cache.
            memory_padding_mask: The source's mask, from `encode`.
            cache: From the decoder's `start_cache` or an earlier call.
            start: Position of the first token.

        Returns:
            logits: `(batch, target, vocab_size)`.
            weights: A list with a pair for each block: self-attention's
                `(batch, heads, target, key)` and cross-attention's
                `(batch, heads, target, source)`.
            cache: Keys and values, for the next call.
        """
        start = take_start(start, cache)
        x, weights, cache = self.decoder(
            self.embed(target_ids, start),
            memory=memory,
            memory_padding_mask=memory_padding_mask,
            cache=cache,
            start=start,
        )
        return self.embedding.logits(x), weights, cache

    def call(
        self, source_ids: tf.Tensor, target_ids: tf.Tensor
    ) -> tf.Tensor:
        memory, source_mask, _ = self.encode(source_ids)
        return self.decode(target_ids, memory, source_mask)[0]

    def start(self, source_ids: tf.Tensor, max_len: int) -> tuple:
        """Read the source, and return the state before the first token.

        Args:
            source_ids: Integers `(batch, source)`.
            max_len: The largest number of tokens to write.

        Returns:
            The state: a cache, and the source's padding mask.
        """
        memory, source_mask, _ = self.encode(source_ids)
        batch = tf.shape(memory)[0]
        return self.decoder.start_cache(batch, max_len, memory), source_mask

    def step(
        self, token_ids: tf.Tensor, state: tuple, position: int
    ) -> tuple[tf.Tensor, tuple]:
        """Read one token of the translation.

        Args:
            token_ids: Integers `(batch,)`.
            state: From `start` or an earlier step.
            position: Number of tokens read before this one.

        Returns:
            Logits `(batch, vocab_size)`, and the new state.
        """
        cache, source_mask = state
        logits, _, cache = self.decode(
            token_ids[:, None], None, source_mask, cache, position
        )
        return logits[:, 0], (cache, source_mask)

    def attention_maps(
        self, source_ids: tf.Tensor, target_ids: tf.Tensor
    ) -> tuple[list, list, list]:
        """Return the attention weights, for figures.

        Returns:
            Three lists with weights `(batch, heads, query, key)` for each
            layer: of the encoder, of the decoder's self-attention, and of
            its cross-attention.
        """
        source_ids = tf.convert_to_tensor(source_ids)
        memory, source_mask, encoder_weights = self.encode(source_ids)
        _, pairs, _ = self.decode(target_ids, memory, source_mask)
        to_target, to_source = zip(*pairs, strict=True)
        return encoder_weights, list(to_target), list(to_source)
