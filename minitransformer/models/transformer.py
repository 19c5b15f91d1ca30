"""The Transformer: an encoder reads, a decoder writes, attention joins."""

from dataclasses import asdict, dataclass

import keras
import tensorflow as tf
from keras import layers

from minitransformer.embeddings import TokenEmbedding
from minitransformer.masks import padding_mask
from minitransformer.positions import SinusoidalPositions
from minitransformer.runs.saving import load_model, save_model
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
        ValueError: if a size is not positive, the heads do not divide the
            width, the width is odd, or the dropout rate is not in [0, 1).
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

    def __post_init__(self):
        for name in (
            "vocab_size",
            "max_len",
            "d_model",
            "num_heads",
            "num_layers",
            "d_ff",
        ):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name}={getattr(self, name)}: give at least 1."
                )
        if self.d_model % self.num_heads or self.d_model % 2:
            raise ValueError(
                f"d_model={self.d_model} must be even and divisible by "
                f"num_heads={self.num_heads}: choose a multiple of both."
            )
        if not 0 <= self.dropout_rate < 1:
            raise ValueError(
                f"dropout_rate={self.dropout_rate}: give a share from 0 up "
                "to, but not including, 1."
            )

    @classmethod
    def small(cls, tokenizer, max_len, **options):
        """The size that `train_translation.py` trains."""
        return cls(
            vocab_size=tokenizer.vocab_size,
            max_len=max_len,
            d_model=128,
            num_heads=4,
            num_layers=2,
            d_ff=512,
            pad_id=tokenizer.pad_id,
            bos_id=tokenizer.bos_id,
            eos_id=tokenizer.eos_id,
            **options,
        )

    @classmethod
    def base(cls, tokenizer, max_len=512):
        """The paper's base model (table 3): about 65 M parameters."""
        return cls(
            vocab_size=tokenizer.vocab_size,
            max_len=max_len,
            d_model=512,
            num_heads=8,
            num_layers=6,
            d_ff=2048,
            pad_id=tokenizer.pad_id,
            bos_id=tokenizer.bos_id,
            eos_id=tokenizer.eos_id,
        )


class Transformer(keras.Model):
    """Translate: each target token sees the source and those before it.

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

    def __init__(self, config):
        super().__init__(name="transformer")
        self.config = config
        self.embedding = TokenEmbedding(
            vocab_size=config.vocab_size,
            d_model=config.d_model,
            name="embedding",
        )
        self.positions = SinusoidalPositions(
            max_len=config.max_len, d_model=config.d_model
        )
        self.dropout = layers.Dropout(config.dropout_rate)
        block = {
            "num_layers": config.num_layers,
            "d_model": config.d_model,
            "num_heads": config.num_heads,
            "d_ff": config.d_ff,
            "norm_first": config.norm_first,
            "dropout_rate": config.dropout_rate,
        }
        self.encoder = Encoder(**block)
        self.decoder = Decoder(cross_attention=True, **block)
        self(tf.zeros((1, 1), tf.int32), tf.zeros((1, 1), tf.int32))
        # So that √d_model times a row, and a row's logit, have variance 1.
        table, stddev = self.embedding.table, config.d_model**-0.5
        normal = keras.initializers.RandomNormal(stddev=stddev)
        table.assign(normal(table.shape))

    def embed(self, token_ids, start=0):
        """Make vectors of ids: √d_model · embedding + position.

        Args:
            token_ids: Integers `(batch, seq)`.
            start: Position of the first one.

        Returns:
            `(batch, seq, d_model)`.
        """
        token_ids = tf.convert_to_tensor(token_ids)
        seq, max_len = token_ids.shape[1], self.config.max_len
        if seq is not None and seq > max_len:
            raise ValueError(
                f"{seq} tokens, but max_len={max_len}: cut the sequence, "
                "or make a model with a larger max_len."
            )
        x = self.embedding(token_ids) * self.config.d_model**0.5
        return self.dropout(self.positions(x, start=start))

    def encode(self, source_ids):
        """Read the source.

        Args:
            source_ids: Integers `(batch, source)`.

        Returns:
            memory: `(batch, source, d_model)`.
            padding_mask: Bool `(batch, source)`, True = a real token.
            weights: A list with `(batch, heads, source, source)` for each
                block.
        """
        real = padding_mask(source_ids, pad_id=self.config.pad_id)
        memory, weights = self.encoder(
            self.embed(source_ids), padding_mask=real
        )
        return memory, real, weights

    def decode(
        self, target_ids, memory, memory_padding_mask, cache=None, start=0
    ):
        """Write some tokens further.

        Args:
            target_ids: Integers `(batch, target)`.
            memory: From `encode`; not needed with a cache.
            memory_padding_mask: The source's mask, from `encode`.
            cache: From the decoder's `start_cache` or an earlier call.
            start: Position of the first token.

        Returns:
            logits: `(batch, target, vocab_size)`.
            weights: A list with a pair for each block: to the target
                `(batch, heads, target, key)`, and to the source
                `(batch, heads, target, source)`.
            cache: Keys and values for the tokens to come.
        """
        x, weights, cache = self.decoder(
            self.embed(target_ids, start),
            memory=memory,
            memory_padding_mask=memory_padding_mask,
            cache=cache,
            start=start,
        )
        return self.embedding.logits(x), weights, cache

    def call(self, source_ids, target_ids):
        memory, real, _ = self.encode(source_ids)
        return self.decode(target_ids, memory, real)[0]

    def start(self, source_ids, max_len):
        """Read the source, and make all that a translation begins with.

        Args:
            source_ids: Integers `(batch, source)`.
            max_len: The most tokens to write.

        Returns:
            A cache, and the source's padding mask.
        """
        memory, real, _ = self.encode(source_ids)
        batch = tf.shape(memory)[0]
        return self.decoder.start_cache(batch, max_len, memory), real

    def step(self, token_ids, state, position):
        """Read one token of the translation.

        Args:
            token_ids: Integers `(batch,)`.
            state: From `start` or an earlier step.
            position: How many tokens were read before it.

        Returns:
            Logits `(batch, vocab_size)` for the next token, and the state
            after this one.
        """
        cache, real = state
        logits, _, cache = self.decode(
            token_ids[:, None], None, real, cache, position
        )
        return logits[:, 0], (cache, real)

    def attention_maps(self, source_ids, target_ids):
        """Show who looked at whom.

        Returns:
            Three lists with weights `(batch, heads, query, key)` for each
            layer: the encoder's, the decoder's to the target, and the
            decoder's to the source.
        """
        memory, real, own = self.encode(tf.convert_to_tensor(source_ids))
        _, pairs, _ = self.decode(
            tf.convert_to_tensor(target_ids), memory, real
        )
        target, source = zip(*pairs, strict=True)
        return own, list(target), list(source)

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
            lambda config: cls(TransformerConfig(**config)), folder
        )
