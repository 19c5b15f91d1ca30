"""Recurrent decoders: LSTMs that write, with three ways to the source.

`start` makes the first state, `read` prepares the source once, and `call`
does some steps and returns the state after them: a whole sentence in
training, one token when translating.
"""

from typing import Any

import tensorflow as tf
from keras import layers

from minitransformer.scoring import attend


def make_lstm(units: int, name: str, dtype: Any = None) -> layers.Layer:
    """Make an LSTM that returns all outputs and its last state (h, c)."""
    return layers.LSTM(
        units,
        dtype=dtype,
        return_sequences=True,
        return_state=True,
        use_cudnn=False,  # it refuses rows that are padding only
        name=name,
    )


class PlainDecoder(layers.Layer):
    """Write with the encoder's last state only.

    Args:
        units: Width of the LSTM.

    Call arguments:
        inputs: `(batch, target, d_model)`.
        state: From `start` or an earlier call.
        source: From `read`.

    Returns:
        outputs: `(batch, target, units)`.
        weights: None, because there is no attention.
        state: For the next call.

    References:
        Sutskever et al. 2014, §2.
    """

    def __init__(self, *, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lstm = make_lstm(units, "lstm", self.dtype_policy)

    def start(self, encoder_state: tuple) -> tuple:
        return encoder_state

    def read(self, memory: tf.Tensor, padding_mask: tf.Tensor) -> tuple:
        return ()

    def call(
        self, inputs: tf.Tensor, state: tuple, source: tuple
    ) -> tuple[tf.Tensor, tf.Tensor | None, tuple]:
        outputs, *state = self.lstm(inputs, initial_state=list(state))
        return outputs, None, tuple(state)


class TextbookDecoder(PlainDecoder):
    """Attend first, then write: the queries are the decoder's inputs.

        contextₜ = attention from inputₜ
        outputₜ = LSTM([inputₜ; contextₜ], outputₜ₋₁)

    No query depends on an earlier step, so all contexts are computed
    together.

    Args:
        units: Width of the LSTM.
        score: A layer of `scoring`.

    Call arguments:
        inputs, state, source: Same as in `PlainDecoder`.

    Returns:
        outputs, state: Same as in `PlainDecoder`.
        weights: `(batch, target, source)`.

    References:
        This form is common in textbooks; no paper has it.
    """

    def __init__(
        self, *, units: int, score: layers.Layer, **kwargs: Any
    ) -> None:
        layers.Layer.__init__(self, **kwargs)
        self.score = score  # first, as in checkpoints
        self.lstm = make_lstm(units, "lstm", self.dtype_policy)

    def read(self, memory: tf.Tensor, padding_mask: tf.Tensor) -> tuple:
        """Prepare the source: keys, values and padding mask."""
        return self.score.keys(memory), memory, padding_mask

    def call(
        self, inputs: tf.Tensor, state: tuple, source: tuple
    ) -> tuple[tf.Tensor, tf.Tensor | None, tuple]:
        context, weights = attend(self.score, inputs, *source)
        joined = tf.concat([inputs, context], axis=-1)
        outputs, *state = self.lstm(joined, initial_state=list(state))
        return outputs, weights, tuple(state)


class InputFeedingDecoder(layers.Layer):
    """Write, attend with the output, and feed the result back.

        hₜ = LSTM([inputₜ; h̃ₜ₋₁], hₜ₋₁)
        contextₜ = attention from hₜ
        h̃ₜ = tanh(W_c [contextₜ; hₜ])

    The attentional vector h̃ is the output. It joins the next input, so the
    LSTM knows what was attended to.

    Args:
        units: Width of the LSTM and of h̃.
        score: A layer of `scoring`.

    Call arguments:
        inputs, state, source: Same as in `PlainDecoder`.

    Returns:
        outputs, state: Same as in `PlainDecoder`.
        weights: `(batch, target, source)`.

    References:
        Luong et al. 2015, §3, equation 5, and §3.3.
    """

    def __init__(
        self, *, units: int, score: layers.Layer, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.score = score
        dtype = self.dtype_policy
        self.cell = layers.LSTMCell(units, name="cell", dtype=dtype)
        self.attention_dense = layers.Dense(
            units,
            activation="tanh",
            use_bias=False,
            name="attention_dense",
            dtype=dtype,
        )

    def start(self, encoder_state: tuple) -> tuple:
        h, c = encoder_state
        return h, c, tf.zeros_like(h)  # no attention yet

    read = TextbookDecoder.read

    def call(
        self, inputs: tf.Tensor, state: tuple, source: tuple
    ) -> tuple[tf.Tensor, tf.Tensor | None, tuple]:
        def step(before, x):  # x: (batch, d_model)
            (h, c, attentional), _ = before
            joined = tf.concat([x, attentional], axis=-1)
            h, (_, c) = self.cell(joined, [h, c])
            context, weights = attend(self.score, h[:, None], *source)
            both = tf.concat([context[:, 0], h], axis=-1)
            attentional = self.attention_dense(both)  # (batch, units)
            return (h, c, attentional), weights[:, 0]

        no_weights = tf.zeros(tf.shape(source[1])[:2], inputs.dtype)
        by_step = tf.transpose(inputs, (1, 0, 2))  # (target, batch, …)
        states, weights = tf.scan(step, by_step, (tuple(state), no_weights))
        outputs = tf.transpose(states[2], (1, 0, 2))
        weights = tf.transpose(weights, (1, 0, 2))
        return outputs, weights, tuple(part[-1] for part in states)
