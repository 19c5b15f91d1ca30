"""A GPT with an n-gram memory: it looks up a vector for its last tokens.

Which token is likely often depends on two or three tokens before it. A
table can hold this, and a table needs no matrix product.
"""

from dataclasses import dataclass
from typing import Any, Self

import keras
import tensorflow as tf
from keras import layers

from minitransformer.embeddings import TokenEmbedding, take_ids
from minitransformer.multi_head import write_cache
from minitransformer.positions import check_length, take_start
from minitransformer.runs.saving import SavedModel
from minitransformer.runs.sizes import check_sizes
from minitransformer.stacks import Decoder


@dataclass(frozen=True)
class NGramGPTConfig:
    """The sizes of a GPT with an n-gram memory.

    Args:
        vocab_size: Number of tokens, special ones included.
        max_len: The longest sequence it can see at once.
        d_model: Width of the residual stream.
        num_heads: Number of attention heads; must divide `d_model`.
        num_layers: Number of decoder blocks.
        longest: The memory holds n-grams of 2 to `longest` tokens.
        rows: Number of vectors for each length; a prime number spreads
            n-grams best.
        dropout_rate: Share dropped in training: attention weights and the
            two sublayers' outputs.
        memory_dropout_rate: Share of the n-grams dropped in training.

    Raises:
        ValueError: if sizes are impossible.
    """

    vocab_size: int
    max_len: int
    d_model: int
    num_heads: int
    num_layers: int
    longest: int
    rows: int
    dropout_rate: float = 0.0
    memory_dropout_rate: float = 0.0

    def __post_init__(self) -> None:
        check_sizes(self)
        if self.longest < 2:
            raise ValueError(
                f"longest={self.longest}: an n-gram of one token is the "
                "token's embedding, so give at least 2."
            )
        if self.max_len < 2 or self.d_model // self.num_heads % 2:
            raise ValueError(
                f"max_len={self.max_len} and d_model={self.d_model} with "
                f"num_heads={self.num_heads}: max_len must be at least 2, "
                "and each head's width even, because rotary positions turn "
                "pairs of numbers."
            )

    @classmethod
    def nano(cls, vocab_size: int) -> Self:
        """`GPTConfig.nano` with rotary positions and a memory."""
        return cls(
            vocab_size=vocab_size,
            max_len=64,
            d_model=128,
            num_heads=4,
            num_layers=4,
            longest=5,
            rows=16381,
        )


def ngram_rows(marks: tf.Tensor, n: int, base: int, rows: int) -> tf.Tensor:
    """Find the table's row for the n-gram that ends at each token.

        row_t = (Σᵢ mark_{t−i} · baseⁱ) mod rows,   i = 0 … n − 1

    The sum may leave the range of int32 and wrap around: it is only a
    hash, and n-grams with the same hash share a row.

    Args:
        marks: Integers `(batch, seq)`: token ids + 1, or 0 for no token.
        n, base, rows: Length of the n-grams, a number above all marks,
            and the number of rows.

    Returns:
        Integers `(batch, seq)` from 0 to rows − 1.
    """
    seq = tf.shape(marks)[1]
    padded = tf.pad(marks, [[0, 0], [n - 1, 0]])
    total = tf.zeros_like(marks)
    for i in range(n):  # the earliest token first
        total = total * base + padded[:, i : i + seq]
    return tf.math.floormod(total, rows)


class NGramMemory(layers.Layer):
    """Add up a vector for each n-gram that ends at a token.

        memory_t = Σₙ table_n[ngram_rows_n,t],   n = 2 … longest

    Args:
        vocab_size, d_model, longest, rows: Same as in `NGramGPTConfig`.
        dropout_rate: Share of the n-grams dropped in training. A vector is
            dropped whole, so that no model relies on a rare n-gram.

    Call arguments:
        marks: Integers `(batch, key)`: ids + 1, or 0 for no token.
        start, seq: The first of the positions that are looked up, and
            their number.

    Returns:
        `(batch, seq, d_model)`: zeros before training.

    References:
        Huang et al. 2025, "Over-Tokenized Transformer", §3.2: hashed
        n-gram embeddings in the input.
    Differs from the paper: whole vectors of width d_model are added,
        without slices and projections.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        d_model: int,
        longest: int,
        rows: int,
        dropout_rate: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.dropout = layers.Dropout(
            dropout_rate, noise_shape=(None, None, 1)
        )
        # Powers of an even base would wrap around to 0.
        self.base, self.d_model = vocab_size + 1 | 1, d_model
        # No more rows than there are different sums.
        self.rows = {
            n: min(rows, self.base**n) for n in range(2, longest + 1)
        }

    def build(self, marks_shape: tuple) -> None:
        self.tables = {
            n: self.add_weight(
                shape=(rows, self.d_model),
                initializer="zeros",
                name=f"memory_{n}",
            )
            for n, rows in self.rows.items()
        }

    def call(self, marks: tf.Tensor, start: int, seq: int) -> tf.Tensor:
        size, memory = (tf.shape(marks)[0], seq), 0.0
        for n, table in self.tables.items():
            rows = ngram_rows(marks, n, self.base, self.rows[n])
            rows = tf.slice(rows, (0, start), size)
            memory += self.dropout(tf.gather(table, rows))
        return tf.cast(memory, self.compute_dtype)


class NGramGPT(SavedModel, keras.Model):
    """Predict each next token; the input holds an n-gram memory.

        ids → embeddings + memory → decoder blocks → norm → logits

    Args:
        config: An `NGramGPTConfig`.

    Call arguments:
        token_ids: Integers `(batch, seq)`, seq ≤ `config.max_len`.

    Returns:
        Logits `(batch, seq, vocab_size)`: row t is about token t + 1.

    Raises:
        ValueError: if the sequence is longer than `config.max_len`.

    References:
        `GPT` for the rest; Su et al. 2021 for rotary positions; So et al.
        2021, §4, for the squared ReLU.
    """

    config_class = NGramGPTConfig

    def __init__(self, config: NGramGPTConfig) -> None:
        super().__init__(config, "ngram_gpt")
        sizes = {"vocab_size": config.vocab_size, "d_model": config.d_model}
        self.embedding = TokenEmbedding(**sizes, name="embedding")
        self.memory = NGramMemory(
            **sizes,
            longest=config.longest,
            rows=config.rows,
            dropout_rate=config.memory_dropout_rate,
            name="memory",
        )
        self.decoder = Decoder(
            num_layers=config.num_layers,
            d_model=config.d_model,
            num_heads=config.num_heads,
            d_ff=4 * config.d_model,
            norm_first=True,
            cross_attention=False,
            dropout_rate=config.dropout_rate,
            attention_dropout_rate=config.dropout_rate,
            activation=lambda x: tf.nn.relu(x) ** 2,
            use_bias=False,
            rotary=True,
        )
        self(tf.zeros((1, 1), tf.int32))  # makes the weights
        self.initialize()

    def initialize(self) -> None:
        """Draw the first weights as `GPT` does; the memory starts at 0.

        W ~ N(0, 0.02²)
        W ~ N(0, 0.02² / (2 · num_layers))   at the end of a residual branch
        """
        for weight in self.trainable_variables:
            if len(weight.shape) < 2 or "memory" in weight.path:
                continue
            stddev = 0.02
            if weight.path.endswith(
                ("output_dense/kernel", "contract_dense/kernel")
            ):
                stddev /= (2 * self.config.num_layers) ** 0.5
            normal = keras.initializers.RandomNormal(stddev=stddev)
            weight.assign(normal(weight.shape))

    def call(self, token_ids: tf.Tensor) -> tf.Tensor:
        return self.forward(token_ids)[0]

    def forward(
        self,
        token_ids: tf.Tensor,
        cache: dict | None = None,
        start: int = 0,
    ) -> tuple[tf.Tensor, list, dict]:
        """Compute the logits, and return weights and cache with them.

        Args, Returns: Same as in `GPT.forward`. The cache is a dictionary
            of the blocks' keys and values, and of the tokens read so far.
        """
        ids = take_ids(token_ids, self.config.vocab_size)
        start = take_start(start, cache)
        check_length(ids, self.config.max_len, start)
        # (batch, 1, seq, 1), as a cache has its keys
        marks = tf.cast(ids, tf.int32)[:, None, :, None] + 1
        if cache is not None:
            marks = write_cache(cache["marks"], marks, start)
        x = self.embedding(ids)
        x += self.memory(
            marks[:, 0, :, 0], start=start, seq=tf.shape(ids)[1]
        )
        x, weights, blocks = self.decoder(
            x, cache=cache and cache["blocks"], start=start
        )
        self_weights = [pair[0] for pair in weights]
        cache = {"blocks": blocks, "marks": marks}
        return self.embedding.logits(x), self_weights, cache

    def start_cache(self, batch_size: int) -> dict:
        """Make an empty cache of `config.max_len` positions."""
        max_len = self.config.max_len
        return {
            "blocks": self.decoder.start_cache(batch_size, max_len),
            "marks": tf.zeros((batch_size, 1, max_len, 1), tf.int32),
        }

    def attention_maps(self, token_ids: tf.Tensor) -> list:
        """List the weights `(batch, heads, query, key)` of each block."""
        return self.forward(token_ids)[1]
