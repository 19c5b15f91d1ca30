"""The encoder's and the cross-attention's first user: copying a sequence."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from minitransformer import (
    Decoder,
    Encoder,
    SinusoidalPositions,
    TokenEmbedding,
    make_optimizer,
    padding_mask,
    train,
)

PAD, BOS, VOCAB, LONGEST = 0, 1, 13, 6


class Copier(keras.Model):
    """A tiny encoder-decoder. It exists only here."""

    def __init__(self):
        super().__init__(name="copier")
        sizes = {"num_layers": 1, "d_model": 32, "num_heads": 4, "d_ff": 64, "norm_first": True}
        self.embedding = TokenEmbedding(vocab_size=VOCAB, d_model=32, name="embedding")
        self.positions = SinusoidalPositions(max_len=8, d_model=32)
        self.encoder = Encoder(**sizes)
        self.decoder = Decoder(cross_attention=True, **sizes)

    def call(self, source_ids, target_ids):
        mask = padding_mask(source_ids, pad_id=PAD)
        memory, _ = self.encoder(self.positions(self.embedding(source_ids)), padding_mask=mask)
        x, _, _ = self.decoder(
            self.positions(self.embedding(target_ids)), memory=memory, memory_padding_mask=mask
        )
        return self.embedding.logits(x)


def pairs(count, seed):
    """Make sources `(count, 8)` with padding, and targets of length 6."""
    rng = np.random.default_rng(seed)
    source = np.zeros((count, LONGEST + 2), "int32")
    for row in source:
        length = rng.integers(2, LONGEST + 1)
        row[:length] = rng.integers(2, VOCAB, length)
    targets = source[:, :LONGEST]
    inputs = np.concatenate([np.full((count, 1), BOS, "int32"), targets[:, :-1]], axis=1)
    weights = (targets != PAD).astype("float32")
    return (source, inputs), targets, weights


@pytest.mark.slow
def test_a_tiny_encoder_decoder_learns_to_copy_exactly():
    keras.utils.set_random_seed(1)
    model = Copier()
    (source, inputs), targets, weights = pairs(20_000, seed=1)
    model(source[:1], inputs[:1])
    data = tf.data.Dataset.from_tensor_slices(((source, inputs), targets, weights))
    optimizer = make_optimizer(model, learning_rate=3e-3, weight_decay=0.0)
    losses = []
    train(
        model,
        optimizer,
        lambda first: data.repeat().batch(64).skip(first),
        steps=600,
        evaluate=lambda: 0.0,
        evaluate_every=600,
        report=lambda row: losses.append(row.loss),
    )
    assert losses[0] > 2 * losses[-1]

    # Never seen, and written token by token from nothing but the source.
    (source, _), targets, weights = pairs(200, seed=2)
    step = tf.function(model)
    written = np.full((200, LONGEST + 1), BOS, "int32")
    for i in range(LONGEST):
        logits = step(source, written[:, :LONGEST])
        written[:, i + 1] = np.argmax(logits[:, i], axis=-1)
    right = (written[:, 1:] == targets) | (weights == 0)
    assert right.all(axis=1).mean() == 1.0
