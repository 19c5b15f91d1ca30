"""BERT: an encoder that reads in both directions, and three heads for it.

`Bert` turns tokens into vectors. What the vectors are good for is a matter
of a head: `BertPretraining` guesses hidden words and whether two texts
belong together, `BertClassifier` sorts sentences.
"""

from dataclasses import asdict, dataclass

import keras
import tensorflow as tf
from keras import layers

from minitransformer.embeddings import TokenEmbedding
from minitransformer.masks import padding_mask as real_tokens
from minitransformer.normalization import LayerNorm
from minitransformer.positions import LearnedPositions
from minitransformer.runs.pretrained import bert_arrays, bert_sizes
from minitransformer.runs.saving import (
    assign_weights,
    load_model,
    save_model,
)
from minitransformer.stacks import Encoder

EPSILON = 1e-12  # of all norms


def gelu(x):
    """x · Φ(x), with the exact Φ: GPT-2 has an approximation."""
    return tf.nn.gelu(x, approximate=False)


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
        ValueError: if a size is not positive, the heads do not divide the
            width, `pad_id` is no id, or the dropout rate is not in [0, 1).
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

    def __post_init__(self):
        if self.d_ff is None:
            object.__setattr__(self, "d_ff", 4 * self.d_model)
        for name in (
            "vocab_size",
            "max_len",
            "d_model",
            "num_heads",
            "num_layers",
            "d_ff",
            "num_segments",
        ):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name}={getattr(self, name)}: give at least 1."
                )
        if self.d_model % self.num_heads:
            raise ValueError(
                f"d_model={self.d_model} is not divisible by num_heads="
                f"{self.num_heads}: choose a multiple of {self.num_heads}."
            )
        if not 0 <= self.pad_id < self.vocab_size:
            raise ValueError(
                f"pad_id={self.pad_id}: give an id of the vocabulary, 0 to "
                f"{self.vocab_size - 1}."
            )
        if not 0 <= self.dropout_rate < 1:
            raise ValueError(
                f"dropout_rate={self.dropout_rate}: give a share from 0 up "
                "to, but not including, 1."
            )

    @classmethod
    def small(cls, tokenizer, max_len, **options):
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
    def base(cls):
        """The paper's BERT-base: 110 M parameters."""
        return cls(
            vocab_size=30522,
            max_len=512,
            d_model=768,
            num_heads=12,
            num_layers=12,
        )


class Bert(keras.Model):
    """Turn each token into a vector that knows its whole sentence.

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
        padding_mask: Bool `(batch, seq)`, True = a real token; all but
            `config.pad_id` if None.

    Returns:
        hidden: `(batch, seq, d_model)`.
        pooled: `(batch, d_model)`, of the first token, [CLS].

    Raises:
        ValueError: if the sequence is longer than `config.max_len`.

    References:
        Devlin et al. 2019, §3, figure 2; weights from N(0, 0.02), cut off
        at two standard deviations, as in its code.
    """

    def __init__(self, config):
        super().__init__(name="bert")
        self.config = config
        self.embedding = TokenEmbedding(
            vocab_size=config.vocab_size,
            d_model=config.d_model,
            name="embedding",
        )
        self.segment_embedding = TokenEmbedding(
            vocab_size=config.num_segments,
            d_model=config.d_model,
            name="segment_embedding",
        )
        self.positions = LearnedPositions(
            max_len=config.max_len, d_model=config.d_model, name="positions"
        )
        self.embedding_norm = LayerNorm(
            epsilon=EPSILON, name="embedding_norm"
        )
        self.dropout = layers.Dropout(config.dropout_rate)
        self.encoder = Encoder(
            num_layers=config.num_layers,
            d_model=config.d_model,
            num_heads=config.num_heads,
            d_ff=config.d_ff,
            norm_first=False,
            dropout_rate=config.dropout_rate,
            attention_dropout_rate=config.dropout_rate,
            activation=gelu,
            epsilon=EPSILON,
        )
        self.pooler_dense = layers.Dense(
            config.d_model, activation="tanh", name="pooler_dense"
        )
        self(tf.zeros((1, 1), tf.int32))  # makes the weights
        initialize(self)

    def call(self, token_ids, segment_ids=None, padding_mask=None):
        hidden, pooled, _ = self.forward(
            token_ids, segment_ids, padding_mask
        )
        return hidden, pooled

    def forward(self, token_ids, segment_ids=None, padding_mask=None):
        """Do what a call does, and return the attention, too.

        Returns:
            hidden, pooled: As a call.
            weights: A list with `(batch, heads, seq, seq)` for each block.
        """
        seq_len = token_ids.shape[1]
        if seq_len is not None and seq_len > self.config.max_len:
            raise ValueError(
                f"{seq_len} tokens, but max_len={self.config.max_len}: cut "
                "the sequence, or make a model with a larger max_len."
            )
        if padding_mask is None:
            padding_mask = real_tokens(token_ids, pad_id=self.config.pad_id)
        if segment_ids is None:
            segment_ids = tf.zeros_like(token_ids)
        x = self.embedding(token_ids) + self.segment_embedding(segment_ids)
        x = self.dropout(self.embedding_norm(self.positions(x)))
        hidden, weights = self.encoder(x, padding_mask=padding_mask)
        return hidden, self.pooler_dense(hidden[:, 0]), weights

    def attention_maps(self, token_ids, segment_ids=None):
        """Show who looked at whom.

        Args:
            token_ids, segment_ids: As in a call.

        Returns:
            A list with the weights `(batch, heads, query, key)` of each
            layer.
        """
        return self.forward(tf.convert_to_tensor(token_ids), segment_ids)[2]

    def save(self, folder):
        """Write `config.json` and `weights.safetensors` into a folder."""
        save_model(self, asdict(self.config), folder)

    @classmethod
    def load(cls, folder):
        """Read a model that `save` wrote.

        Raises:
            ValueError: if the folder holds no model, or another one.
        """
        return load_model(lambda config: cls(BertConfig(**config)), folder)

    @classmethod
    def from_pretrained(cls, folder):
        """Read a BERT that was published in Hugging Face's form.

        Args:
            folder: Holds `config.json`, `model.safetensors`, `vocab.txt`.

        The heads of pre-training are left out; a folder with a classifier
        of its own is another kind of model.

        Raises:
            ValueError: if a file is missing or damaged, the model is of
                another kind, or tensors are missing, unknown or of another
                shape; each is listed by its name.
        """
        config = BertConfig(**bert_sizes(folder))
        arrays = bert_arrays(folder, asdict(config))
        model = cls(config)
        assign_weights(model, arrays)
        return model


class BertPretraining(keras.Model):
    """Guess the hidden words, and whether one text follows the other.

        word logits = table · norm(gelu(W hidden + b)) + bias
        next logits = W′ pooled + b′

    Args:
        bert: A `Bert`; it is trained, too.

    Call arguments:
        token_ids, segment_ids: As for `Bert`.
        positions: Integers `(batch, predictions)`: whose words to guess.

    Returns:
        word_logits: `(batch, predictions, vocab_size)`.
        next_logits: `(batch, 1, 2)`: the second text is another's, or
            follows the first.

    References:
        Devlin et al. 2019, §3.1 and appendix A.2; the dense layer and norm
        before the logits, and their bias, are in its code.
    """

    def __init__(self, bert):
        super().__init__(name="bert_pretraining")
        self.bert, self.config = bert, bert.config
        self.word_dense = layers.Dense(
            bert.config.d_model, activation=gelu, name="word_dense"
        )
        self.word_norm = LayerNorm(epsilon=EPSILON, name="word_norm")
        self.word_bias = self.add_weight(
            shape=(bert.config.vocab_size,),
            initializer="zeros",
            name="word_bias",
        )
        self.next_dense = layers.Dense(2, name="next_dense")
        nothing = tf.zeros((1, 1), tf.int32)
        self(nothing, nothing, nothing)
        for layer in (self.word_dense, self.next_dense):
            initialize(layer)

    def call(self, token_ids, segment_ids, positions):
        hidden, pooled = self.bert(token_ids, segment_ids)
        # Logits are the dearest part: only those asked for are made.
        chosen = tf.gather(hidden, positions, batch_dims=1)
        chosen = self.word_norm(self.word_dense(chosen))
        word_logits = self.bert.embedding.logits(chosen) + self.word_bias
        return word_logits, self.next_dense(pooled)[:, None]

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
            lambda config: cls(Bert(BertConfig(**config))), folder
        )


class BertClassifier(keras.Model):
    """Sort texts into classes, by the pooled vector.

        logits = W dropout(pooled) + b

    Args:
        bert: A `Bert`; it is trained, too, unless `bert.trainable` is
            False.
        num_classes: Number of classes.

    Call arguments:
        token_ids, segment_ids: As for `Bert`.

    Returns:
        Logits `(batch, 1, num_classes)`: one question a text.

    References:
        Devlin et al. 2019, §4.1.
    """

    def __init__(self, bert, num_classes):
        super().__init__(name="bert_classifier")
        self.bert, self.config = bert, bert.config
        self.dropout = layers.Dropout(bert.config.dropout_rate)
        self.class_dense = layers.Dense(num_classes, name="class_dense")
        self(tf.zeros((1, 1), tf.int32))
        initialize(self.class_dense)

    def call(self, token_ids, segment_ids=None):
        _, pooled = self.bert(token_ids, segment_ids)
        return self.class_dense(self.dropout(pooled))[:, None]

    def save(self, folder):
        """Write `config.json` and `weights.safetensors` into a folder."""
        classes = {"num_classes": self.class_dense.units}
        save_model(self, asdict(self.config) | classes, folder)

    @classmethod
    def load(cls, folder):
        """Read a model that `save` wrote.

        Raises:
            ValueError: if the folder holds no model, or another one.
        """

        def build(config):
            num_classes = config.pop("num_classes", 1)
            return cls(Bert(BertConfig(**config)), num_classes)

        return load_model(build, folder)


def initialize(layer):
    """Draw a layer's matrices from N(0, 0.02²), without the far ends."""
    for weight in layer.trainable_variables:
        if len(weight.shape) > 1:  # gains stay 1, biases 0
            # A new one each time: the same one draws the same again.
            normal = keras.initializers.TruncatedNormal(stddev=0.02)
            weight.assign(normal(weight.shape))
