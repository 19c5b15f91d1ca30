"""BERT: an encoder that reads in both directions.

`Bert` turns tokens into vectors; a head from `bert_heads` uses them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import keras
import tensorflow as tf
from keras import layers

from minitransformer.embeddings import TokenEmbedding
from minitransformer.masks import padding_mask
from minitransformer.normalization import LayerNorm
from minitransformer.positions import LearnedPositions, check_length
from minitransformer.runs.pretrained import (
    Form,
    read_model,
    sentence_form,
)
from minitransformer.runs.saving import SavedModel
from minitransformer.runs.sizes import check_sizes
from minitransformer.stacks import Encoder

EPSILON = 1e-12  # of all norms
# Our layers → Hugging Face's: outside the blocks, and in a block.
LAYERS = {
    "embedding": "embeddings.word_embeddings",
    "segment_embedding": "embeddings.token_type_embeddings",
    "positions": "embeddings.position_embeddings",
    "embedding_norm": "embeddings.LayerNorm",
    "pooler_dense": "pooler.dense",
}
BLOCK = {
    "self_attention/query_dense": "attention.self.query",
    "self_attention/key_dense": "attention.self.key",
    "self_attention/value_dense": "attention.self.value",
    "self_attention/output_dense": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "feed_forward/expand_dense": "intermediate.dense",
    "feed_forward/contract_dense": "output.dense",
    "feed_forward_norm": "output.LayerNorm",
}
PUBLISHED = Form(
    kind="BERT",
    vocabularies=(("vocab.txt",),),
    sizes={
        "vocab_size": ("vocab_size", 30522),
        "max_len": ("max_position_embeddings", 512),
        "d_model": ("hidden_size", 768),
        "num_heads": ("num_attention_heads", 12),
        "num_layers": ("num_hidden_layers", 12),
        "d_ff": ("intermediate_size", 3072),
        "num_segments": ("type_vocab_size", 2),
        "pad_id": ("pad_token_id", 0),
        "dropout_rate": ("hidden_dropout_prob", 0.1),
    },
    must_be={
        "config.json": {
            "model_type": "bert",
            "hidden_act": "gelu",
            "layer_norm_eps": EPSILON,
            "position_embedding_type": "absolute",
            "is_decoder": False,
        }
    },
    layers=LAYERS
    | {
        f"encoder/block_#/{ours}": f"encoder.layer.#.{theirs}"
        for ours, theirs in BLOCK.items()
    },
    # The numbers 0, 1, 2, …; zeros; and the heads of pre-training.
    not_needed=r"embeddings\.(position_ids|token_type_ids)|cls\.",
    by_rows=True,
    optional=("pooler.",),
)


def gelu(x: tf.Tensor) -> tf.Tensor:
    """Compute x · Φ(x) with the exact Φ; GPT-2 approximates it."""
    return tf.nn.gelu(x, approximate=False)


def initialize(layer: layers.Layer) -> None:
    """Draw a layer's matrices from N(0, 0.02²), cut off at ±0.04."""
    for weight in layer.trainable_variables:
        if len(weight.shape) > 1:  # gains stay 1, biases 0
            # A new initializer each time: one gives the same numbers again.
            normal = keras.initializers.TruncatedNormal(stddev=0.02)
            weight.assign(normal(weight.shape))


@dataclass(frozen=True)
class BertConfig:
    """The sizes of a BERT.

    Args:
        vocab_size: Number of tokens, special ones included.
        max_len: The longest sequence it can see at once.
        d_model: Width of the residual stream.
        num_heads: Number of attention heads; must divide `d_model`.
        num_layers: Number of encoder blocks.
        d_ff: Width inside the feed-forward layers; 4 · d_model if None.
        num_segments: Number of texts that can stand side by side.
        dropout_rate: Share dropped in training: from the embeddings, the
            attention weights, the two sublayers' outputs, and before a
            classifier.
        pad_id: The tokenizer's id for padding.

    Raises:
        ValueError: if sizes are impossible, or `pad_id` is not an id.
    """

    vocab_size: int
    max_len: int
    d_model: int
    num_heads: int
    num_layers: int
    d_ff: int | None = None
    num_segments: int = 2
    dropout_rate: float = 0.1
    pad_id: int = 0

    def __post_init__(self) -> None:
        check_sizes(self)
        if self.d_ff is None:
            object.__setattr__(self, "d_ff", 4 * self.d_model)

    @classmethod
    def small(cls, tokenizer: Any, max_len: int, **options: Any) -> Self:
        """The size that `train_bert.py` trains."""
        return cls(
            vocab_size=tokenizer.vocab_size,
            max_len=max_len,
            d_model=128,
            num_heads=4,
            num_layers=4,
            pad_id=tokenizer.pad_id,
            **options,
        )

    @classmethod
    def base(cls) -> Self:
        """The paper's BERT-base: 110 M parameters."""
        return cls(30522, 512, d_model=768, num_heads=12, num_layers=12)


class Bert(SavedModel, keras.Model):
    """Turn each token into a vector that depends on its whole sentence.

        ids → token + segment + position embeddings → norm
            → encoder blocks → hidden
        pooled = tanh(W hidden[0] + b)

    Args:
        config: A `BertConfig`.

    Call arguments:
        token_ids: Integers `(batch, seq)`, seq ≤ `config.max_len`: [CLS],
            a text, [SEP], and perhaps another text and [SEP].
        segment_ids: Integers `(batch, seq)`: 0 for the first text, 1 for
            the second; all 0 if None.
        padding_mask: Bool `(batch, seq)`, True = a real token; if None,
            every token but `config.pad_id` is real.

    Returns:
        hidden: `(batch, seq, d_model)`.
        pooled: `(batch, d_model)`, of the first token, [CLS].

    Raises:
        ValueError: if the sequence is longer than `config.max_len`.

    References:
        Devlin et al. 2019, §3, figure 2; weights from N(0, 0.02), cut off
        at two standard deviations, as in its code.
    """

    config_class = BertConfig

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config, "bert")
        d_model = config.d_model
        self.pooling, self.sentence_len = "mean", config.max_len
        self.embedding = TokenEmbedding(
            vocab_size=config.vocab_size, d_model=d_model, name="embedding"
        )
        self.segment_embedding = TokenEmbedding(
            vocab_size=config.num_segments,
            d_model=d_model,
            name="segment_embedding",
        )
        self.positions = LearnedPositions(
            max_len=config.max_len, d_model=d_model, name="positions"
        )
        self.embedding_norm = LayerNorm(
            epsilon=EPSILON, name="embedding_norm"
        )
        self.dropout = layers.Dropout(config.dropout_rate)
        self.encoder = Encoder(
            num_layers=config.num_layers,
            d_model=d_model,
            num_heads=config.num_heads,
            d_ff=config.d_ff,
            norm_first=False,
            dropout_rate=config.dropout_rate,
            attention_dropout_rate=config.dropout_rate,
            activation=gelu,
            epsilon=EPSILON,
        )
        self.pooler_dense = layers.Dense(
            d_model, activation="tanh", name="pooler_dense"
        )
        self(tf.zeros((1, 1), tf.int32))  # makes the weights
        initialize(self)

    def call(
        self,
        token_ids: tf.Tensor,
        segment_ids: tf.Tensor | None = None,
        padding_mask: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return self.forward(token_ids, segment_ids, padding_mask)[:2]

    def forward(
        self,
        token_ids: tf.Tensor,
        segment_ids: tf.Tensor | None = None,
        real: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor, list]:
        """Compute the results of a call, and the attention weights.

        Args:
            token_ids, segment_ids: Same as in a call.
            real: The padding mask of a call.

        Returns:
            hidden, pooled: Same as in a call.
            weights: A list with `(batch, heads, seq, seq)` for each block.
        """
        token_ids = tf.convert_to_tensor(token_ids)
        check_length(token_ids, self.config.max_len)
        if real is None:
            real = padding_mask(token_ids, pad_id=self.config.pad_id)
        if segment_ids is None:
            segment_ids = tf.zeros_like(token_ids)
        x = self.embedding(token_ids) + self.segment_embedding(segment_ids)
        x = self.dropout(self.embedding_norm(self.positions(x)))
        hidden, weights = self.encoder(x, padding_mask=real)
        return hidden, self.pooler_dense(hidden[:, 0]), weights

    def attention_maps(
        self, token_ids: tf.Tensor, segment_ids: tf.Tensor | None = None
    ) -> list:
        """List the weights `(batch, heads, query, key)` of each layer."""
        return self.forward(token_ids, segment_ids)[2]

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """Read a BERT that was published in Hugging Face's form.

        Args:
            folder: Holds `config.json`, `model.safetensors`, `vocab.txt`.
                The heads of pre-training are ignored.

        Raises:
            ValueError: if a file is missing or damaged, the model is of
                another kind or has a classifier, or tensors do not fit;
                each is listed by its name.
        """
        model = read_model(cls, folder, PUBLISHED)
        model.pooling, most = sentence_form(folder)
        max_len = model.config.max_len
        model.sentence_len = min(most or max_len, max_len)
        return model
