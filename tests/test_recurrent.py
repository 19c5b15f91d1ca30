import keras
import numpy as np
import pytest
import tensorflow as tf

from minitransformer import (
    DotScore,
    GeneralScore,
    InputFeedingDecoder,
    PlainDecoder,
    TextbookDecoder,
)

REAL = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], bool)


def decoders():
    return {
        "plain": PlainDecoder(units=6),
        "textbook": TextbookDecoder(units=6, score=GeneralScore(units=4)),
        "feeding": InputFeedingDecoder(units=6, score=GeneralScore(units=6)),
    }


@pytest.fixture
def parts(normal):
    """Inputs `(2, 3, 4)`, memory `(2, 5, 6)`, and the encoder's state."""
    return normal(2, 3, 4), normal(2, 5, 6), (normal(2, 6), normal(2, 6))


@pytest.mark.parametrize("kind", ["plain", "textbook", "feeding"])
def test_step_by_step_is_the_same_as_at_once(parts, kind):
    inputs, memory, encoder_state = parts
    decoder = decoders()[kind]
    source, state = decoder.read(memory, REAL), decoder.start(encoder_state)
    whole, weights, last = decoder(inputs, state, source)
    assert whole.shape == (2, 3, 6)
    for i in range(3):
        one, looked, state = decoder(inputs[:, i : i + 1], state, source)
        np.testing.assert_allclose(one[:, 0], whole[:, i], atol=1e-5)
        if kind != "plain":
            np.testing.assert_allclose(looked[:, 0], weights[:, i], atol=1e-5)
    for ours, theirs in zip(state, last, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert (weights is None) == (kind == "plain")


@pytest.mark.parametrize("kind", ["textbook", "feeding"])
def test_padding_of_the_source_is_not_seen(parts, kind):
    inputs, memory, encoder_state = parts
    decoder = decoders()[kind]
    state = decoder.start(encoder_state)
    before, weights, _ = decoder(inputs, state, decoder.read(memory, REAL))
    assert (weights.numpy()[1, :, 3:] == 0).all()
    memory[1, 3:] = 9
    after, _, _ = decoder(inputs, state, decoder.read(memory, REAL))
    np.testing.assert_allclose(after, before, atol=1e-6)
    memory[1, 2] = 9
    seen, _, _ = decoder(inputs, state, decoder.read(memory, REAL))
    assert np.abs(seen - before)[1].max() > 1e-4


def test_the_textbook_form_by_hand_with_raw_keras_layers(normal):
    features = units = 3
    x, source = normal(2, 4, features), normal(2, 5, features)
    encoder = keras.layers.LSTM(units, return_sequences=True, return_state=True)
    memory, h, c = encoder(source)
    dense = keras.layers.Dense(features, use_bias=False)
    scores = tf.matmul(x, dense(memory), transpose_b=True)
    weights = tf.nn.softmax(scores)
    context = tf.matmul(weights, memory)
    joined = tf.concat([x, context], axis=-1)
    lstm = keras.layers.LSTM(units)
    result = lstm(joined, initial_state=[h, c])
    assert scores.shape == (2, 4, 5)
    assert context.shape == (2, 4, 3)
    assert joined.shape == (2, 4, 6)
    assert result.shape == (2, 3)

    decoder = TextbookDecoder(units=units, score=GeneralScore(units=features))
    decoder(x, decoder.start((h, c)), decoder.read(memory, None))  # builds
    decoder.score.key_dense.set_weights(dense.get_weights())
    decoder.lstm.set_weights(lstm.get_weights())
    outputs, looked, state = decoder(x, decoder.start((h, c)), decoder.read(memory, None))
    np.testing.assert_allclose(looked, weights, atol=1e-6)
    np.testing.assert_allclose(outputs[:, -1], result, atol=1e-6)
    np.testing.assert_allclose(state[0], result, atol=1e-6)


def test_input_feeding_is_the_papers_equations(parts):
    inputs, memory, (h, c) = parts
    decoder = InputFeedingDecoder(units=6, score=DotScore())
    source = decoder.read(memory, REAL)
    outputs, weights, _ = decoder(inputs, decoder.start((h, c)), source)
    kernel, recurrent, bias = decoder.cell.get_weights()
    join = decoder.attention_dense.kernel.numpy()

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    attentional = np.zeros((2, 6))
    for t in range(3):
        x = np.concatenate([inputs[:, t], attentional], axis=-1)
        i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        scores = np.where(REAL, np.einsum("bu,bku->bk", h, memory), -np.inf)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        context = np.einsum("bk,bku->bu", shares, memory)
        attentional = np.tanh(np.concatenate([context, h], axis=-1) @ join)
        np.testing.assert_allclose(weights[:, t], shares, atol=1e-5)
        np.testing.assert_allclose(outputs[:, t], attentional, atol=1e-5)
