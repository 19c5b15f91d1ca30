"""GPT: a decoder that predicts each next token of a text."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import keras
import tensorflow as tf
from keras import layers

from minitransformer.embeddings import TokenEmbedding
from minitransformer.positions import (
    LearnedPositions,
    check_length,
    take_start,
)
from minitransformer.runs.pretrained import Form, read_model
from minitransformer.runs.saving import SavedModel
from minitransformer.runs.sizes import check_sizes
from minitransformer.stacks import Decoder

ACTIVATIONS = {
    "gelu": functools.partial(tf.nn.gelu, approximate=True),
    "squared_relu": lambda x: tf.nn.relu(x) ** 2,  # So et al. 2021, §4
}
# Our layers → Hugging Face's: outside the blocks, and in a block.
LAYERS = {
    "embedding": "wte",
    "positions": "wpe",
    "decoder/final_norm": "ln_f",
}
BLOCK = {
    "attention_norm": "ln_1",
    "self_attention/query_dense": "attn.c_attn",  # its left third
    "self_attention/key_dense": "attn.c_attn",
    "self_attention/value_dense": "attn.c_attn",
    "self_attention/output_dense": "attn.c_proj",
    "feed_forward_norm": "ln_2",
    "feed_forward/expand_dense": "mlp.c_fc",
    "feed_forward/contract_dense": "mlp.c_proj",
}
PUBLISHED = Form(
    kind="GPT-2",
    vocabularies=(
        ("vocab.json", "merges.txt"),
        ("encoder.json", "vocab.bpe"),
    ),
    sizes={
        "vocab_size": ("vocab_size", 50257),
        "max_len": ("n_positions", 1024),
        "d_model": ("n_embd", 768),
        "num_heads": ("n_head", 12),
        "num_layers": ("n_layer", 12),
        "d_ff": ("n_inner", None),
        "dropout_rate": ("resid_pdrop", 0.1),
    },
    must_be={
        "config.json": {
            "model_type": "gpt2",
            "activation_function": "gelu_new",
            "layer_norm_epsilon": 1e-5,
            "scale_attn_weights": True,
            "scale_attn_by_inverse_layer_idx": False,
            "add_cross_attention": False,
            "tie_word_embeddings": True,
        },
        "tokenizer_config.json": {
            "add_prefix_space": False,
            "add_bos_token": False,
        },
    },
    layers=LAYERS
    | {
        f"decoder/block_#/{ours}": f"h.#.{theirs}"
        for ours, theirs in BLOCK.items()
    },
    # The table of embeddings again, and causal masks.
    not_needed=r"lm_head\.weight|h\.\d+\.attn\.(masked_)?bias",
    by_rows=False,
)


@dataclass(frozen=True)
class GPTConfig:
    """The sizes of a GPT.

    Args:
        vocab_size: Number of tokens, special ones included.
        max_len: The longest sequence it can see at once.
        d_model: Width of the residual stream.
        num_heads: Number of attention heads; must divide `d_model`.
        num_layers: Number of decoder blocks.
        d_ff: Width inside the feed-forward layers; 4 · d_model if None.
        dropout_rate: Share dropped in training, in four places: embeddings,
            attention weights and the two sublayers' outputs.
        use_bias: Whether Dense layers and norms have biases.
        rotary: Whether attention rotates queries and keys by position,
            instead of a learned vector for each position.
        activation: "gelu", or "squared_relu": max(x, 0)².
        band: Number of positions that every second block reaches, as in
            GPT-3; None for all.

    Raises:
        ValueError: if sizes or activation are impossible.
    """

    vocab_size: int
    max_len: int
    d_model: int
    num_heads: int
    num_layers: int
    d_ff: int | None = None
    dropout_rate: float = 0.0
    use_bias: bool = True
    rotary: bool = False
    activation: str = "gelu"
    band: int | None = None

    def __post_init__(self) -> None:
        check_sizes(self)
        if self.d_ff is None:
            object.__setattr__(self, "d_ff", 4 * self.d_model)
        if self.max_len < 2:
            raise ValueError(
                "max_len=1: a GPT predicts what follows a token, so give "
                "at least 2."
            )
        if self.rotary and self.d_model // self.num_heads % 2:
            raise ValueError(
                f"d_model={self.d_model} gives each of {self.num_heads} "
                "heads an odd width, but rotary turns pairs of numbers: "
                "choose d_model so that the width is even."
            )
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation={self.activation!r}: choose one of "
                f"{', '.join(ACTIVATIONS)}."
            )
        if self.band is not None and self.num_layers < 2:
            raise ValueError(
                f"band={self.band} with num_layers=1: only every second "
                "block has a band, so give 2 blocks or more, or no band."
            )
        if self.band is not None and self.band >= self.max_len:
            raise ValueError(
                f"band={self.band} hides nothing in max_len={self.max_len} "
                "positions: give a smaller band, or None."
            )

    @classmethod
    def nano(cls, vocab_size: int) -> Self:
        """The size of nanoGPT's recipe for a CPU: 0.8 M parameters."""
        return cls(
            vocab_size=vocab_size,
            max_len=64,
            d_model=128,
            num_heads=4,
            num_layers=4,
            use_bias=False,
        )

    @classmethod
    def gpt2(cls) -> Self:
        """The smallest published GPT-2: 124 M parameters."""
        return cls(
            vocab_size=50257,
            max_len=1024,
            d_model=768,
            num_heads=12,
            num_layers=12,
            dropout_rate=0.1,
        )


class GPT(SavedModel, keras.Model):
    """Predict each next token from all tokens before it.

        ids → embeddings + positions → decoder blocks → norm → logits

    Args:
        config: A `GPTConfig`.

    Call arguments:
        token_ids: Integers `(batch, seq)`, seq ≤ `config.max_len`.

    Returns:
        Logits `(batch, seq, vocab_size)`: row t is about token t + 1.

    Raises:
        ValueError: if the sequence is longer than `config.max_len`.

    References:
        Radford et al. 2019, §2.3: pre-norm blocks, a norm at the end, tied
        logits, GELU (its tanh form), weights from N(0, 0.02²), residual
        projections scaled down by the root of their number.
    Differs from the paper: initial biases are 0 and positions are drawn
        from N(0, 0.02²), as in nanoGPT; GPT-2's code draws them from
        N(0, 0.01²).
    """

    config_class = GPTConfig

    def __init__(self, config: GPTConfig) -> None:
        super().__init__(config, "gpt")
        d_model = config.d_model
        self.embedding = TokenEmbedding(
            vocab_size=config.vocab_size, d_model=d_model, name="embedding"
        )
        self.positions = None
        if not config.rotary:
            self.positions = LearnedPositions(
                max_len=config.max_len, d_model=d_model, name="positions"
            )
        self.dropout = layers.Dropout(config.dropout_rate)
        self.decoder = Decoder(
            num_layers=config.num_layers,
            d_model=d_model,
            num_heads=config.num_heads,
            d_ff=config.d_ff,
            norm_first=True,
            cross_attention=False,
            dropout_rate=config.dropout_rate,
            attention_dropout_rate=config.dropout_rate,
            activation=ACTIVATIONS[config.activation],
            use_bias=config.use_bias,
            rotary=config.rotary,
            band=config.band,
        )
        self(tf.zeros((1, 1), tf.int32))  # makes the weights
        self.initialize()

    def initialize(self) -> None:
        """Draw small first weights: the first loss is near ln(vocab_size).

        W ~ N(0, 0.02²)
        W ~ N(0, 0.02² / (2 · num_layers))   at the end of a residual branch

        Only the logit of the token just read is larger, because the
        logits use the table of embeddings.
        """
        for weight in self.trainable_variables:
            if len(weight.shape) < 2:
                continue  # gains stay 1, biases 0
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
        cache: list | None = None,
        start: int = 0,
        length: int | None = None,
    ) -> tuple[tf.Tensor, list, list]:
        """Compute the logits, and return weights and cache with them.

        Args:
            token_ids: Integers `(batch, seq)`.
            cache: From `start_cache` or an earlier call, or None.
            start: Position of `token_ids[:, 0]`.
            length: How many of these tokens a banded block's cache
                remembers, if others follow that are no text; None for all.

        Returns:
            logits: `(batch, seq, vocab_size)`.
            weights: A list with `(batch, heads, seq, key)` for each block.
            cache: Keys and values, for the next call.
        """
        token_ids = tf.convert_to_tensor(token_ids)
        start = take_start(start, cache)
        check_length(token_ids, self.config.max_len, start)
        x = self.embedding(token_ids)
        if self.positions is not None:
            x = self.positions(x, start=start)
        x = self.dropout(x)  # (batch, seq, d_model)
        x, weights, cache = self.decoder(
            x, cache=cache, start=start, length=length
        )
        self_weights = [pair[0] for pair in weights]
        return self.embedding.logits(x), self_weights, cache

    def start_cache(self, batch_size: int) -> list:
        """Make an empty cache of `config.max_len` positions or a band."""
        return self.decoder.start_cache(batch_size, self.config.max_len)

    def attention_maps(self, token_ids: tf.Tensor) -> list:
        """List the weights `(batch, heads, query, key)` of each block."""
        return self.forward(token_ids)[1]

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """Read a GPT-2 that was published in Hugging Face's form.

        Args:
            folder: Holds `config.json`, `model.safetensors` or its shards,
                and the tokenizer's two files.

        Raises:
            ValueError: if a file is missing or damaged, the model is of
                another kind, or tensors do not fit; each is listed by its
                name.
        """
        return read_model(cls, folder, PUBLISHED)
