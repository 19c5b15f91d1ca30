"""Llama: GPT-2's decoder, with five parts replaced."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import keras
import tensorflow as tf
from keras import layers

from minitransformer.embeddings import TokenEmbedding
from minitransformer.feed_forward import GatedFeedForward
from minitransformer.normalization import RMSNorm
from minitransformer.positions import check_length, take_start
from minitransformer.runs.llama_files import read_llama
from minitransformer.runs.saving import SavedModel
from minitransformer.runs.sizes import check_sizes
from minitransformer.stacks import Decoder


@dataclass(frozen=True)
class LlamaConfig:
    """The sizes of a Llama.

    Args:
        vocab_size, max_len, d_model, num_layers: Same as in `GPTConfig`.
        num_heads: Number of heads of queries; must divide `d_model`.
        num_kv_heads: Number of heads of keys and values; must divide
            `num_heads`. None means as many as `num_heads`.
        d_ff: Inner width of the feed-forward layers; None means 8/3 ·
            d_model, rounded up to a multiple of 4.
        epsilon: ε of the norms.
        tied: Whether the logits use the table of embeddings.
        bos_id: The token before the beginning of each text, or None.
    """

    vocab_size: int
    max_len: int
    d_model: int
    num_heads: int
    num_layers: int
    num_kv_heads: int | None = None
    d_ff: int | None = None
    epsilon: float = 1e-5
    tied: bool = True
    bos_id: int | None = None

    def __post_init__(self) -> None:
        check_sizes(self)
        heads = self.num_kv_heads or self.num_heads
        object.__setattr__(self, "num_kv_heads", heads)
        d_ff = self.d_ff or -(-8 * self.d_model // 12) * 4
        object.__setattr__(self, "d_ff", d_ff)


class Llama(SavedModel, keras.Model):
    """Predict each next token, as `GPT` does, with other parts.

        ids → embeddings → decoder blocks → norm → logits

    Args:
        config: A `LlamaConfig`.

    Call arguments:
        token_ids: Integers `(batch, seq)`, seq ≤ `config.max_len`.

    Returns:
        Logits `(batch, seq, vocab_size)`: row t is about token t + 1.

    References:
        Touvron et al. 2023a, §2.2; 2023b, §2.2, for shared key heads.
    Differs from the papers: logits can be tied, as in llama2.c.
    """

    config_class = LlamaConfig

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__(config, "llama")
        d_model = config.d_model
        self.embedding = TokenEmbedding(
            vocab_size=config.vocab_size, d_model=d_model, name="embedding"
        )
        self.decoder = Decoder(
            num_layers=config.num_layers,
            d_model=d_model,
            num_heads=config.num_heads,
            num_kv_heads=config.num_kv_heads,
            d_ff=config.d_ff,
            norm=RMSNorm,
            feed_forward=GatedFeedForward,
            activation="silu",
            epsilon=config.epsilon,
            rotary=True,
            use_bias=False,
            norm_first=True,
            cross_attention=False,
        )
        self.logits_dense = None
        if not config.tied:
            self.logits_dense = layers.Dense(
                config.vocab_size, use_bias=False, name="logits_dense"
            )
        self(tf.zeros((1, 1), tf.int32))  # makes the weights
        self.initialize()

    def initialize(self) -> None:
        """Draw small first weights, as `GPT.initialize` does."""
        residual = "output_dense/kernel", "contract_dense/kernel"
        for weight in self.trainable_variables:
            if len(weight.shape) == 2:  # gains stay 1
                ends_branch = weight.path.endswith(residual)
                sums = 2 * self.config.num_layers if ends_branch else 1
                values = tf.random.normal(weight.shape, 0, 0.02 / sums**0.5)
                weight.assign(values)

    def call(self, token_ids: tf.Tensor) -> tf.Tensor:
        return self.forward(token_ids)[0]

    def forward(
        self,
        token_ids: tf.Tensor,
        cache: list | None = None,
        start: int = 0,
    ) -> tuple[tf.Tensor, list, list]:
        """Do the same as `GPT.forward`, without `length`."""
        token_ids = tf.convert_to_tensor(token_ids)
        start = take_start(start, cache)
        check_length(token_ids, self.config.max_len, start)
        x = self.embedding(token_ids)  # (batch, seq, d_model)
        x, weights, cache = self.decoder(x, cache=cache, start=start)
        logits = self.logits_dense or self.embedding.logits
        return logits(x), [pair[0] for pair in weights], cache

    def start_cache(self, batch_size: int) -> list:
        """Make an empty cache of `config.max_len` positions."""
        return self.decoder.start_cache(batch_size, self.config.max_len)

    def attention_maps(self, token_ids: tf.Tensor) -> list:
        """List the weights `(batch, heads, query, key)` of each block."""
        return self.forward(token_ids)[1]

    @classmethod
    def from_pretrained(cls, path: str | Path) -> Self:
        """Read what others have published; see `read_llama`."""
        return read_llama(cls, path)
