"""Feed-forward: after attention, work on each token by itself."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import layers


class FeedForward(layers.Layer):
    """Expand each vector, apply a nonlinearity, and project it back.

        FFN(x) = f(x W₁ + b₁) W₂ + b₂

    The same weights serve every position, and no position sees another.

    Args:
        d_model: Width of the input and the output.
        d_ff: Width in between, usually 4 · d_model.
        activation: f, or its name in Keras (which can save only a name).
        use_bias: Whether to add b₁ and b₂.

    Call arguments:
        x: `(batch, seq, d_model)`.

    Returns:
        `(batch, seq, d_model)`.

    References:
        Vaswani et al. 2017, §3.3, equation 2.
    """

    def __init__(
        self,
        *,
        d_model: int,
        d_ff: int,
        activation: str | Callable[[tf.Tensor], tf.Tensor] = "relu",
        use_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)
        dense: Any = {"use_bias": use_bias, "dtype": self.dtype_policy}
        self.expand_dense = layers.Dense(d_ff, name="expand_dense", **dense)
        self.contract_dense = layers.Dense(
            d_model, name="contract_dense", **dense
        )

    def build(self, x_shape: tuple) -> None:
        self.expand_dense.build(x_shape)
        self.contract_dense.build((*x_shape[:-1], self.expand_dense.units))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        hidden = self.activation(self.expand_dense(x))  # (batch, seq, d_ff)
        return self.contract_dense(hidden)


class GatedFeedForward(FeedForward):
    """Multiply the expanded vector by a gate, number by number.

        SwiGLU(x) = (silu(x W_gate) ⊙ x W₁) W₂

    Args:
        activation: f, applied to the gate: "silu" makes it SwiGLU.
        d_model, d_ff, use_bias: Same as in `FeedForward`. With ⅔ of its
            d_ff, three matrices have the size of its two.

    Call arguments:
        x: `(batch, seq, d_model)`.

    Returns:
        `(batch, seq, d_model)`.

    References:
        Shazeer 2020, §2, equation 6.
    """

    def __init__(
        self,
        *,
        d_ff: int,
        activation: str | Callable[[tf.Tensor], tf.Tensor] = "silu",
        **options: Any,
    ) -> None:
        super().__init__(d_ff=d_ff, activation=activation, **options)
        self.gate_dense = layers.Dense(
            d_ff,
            use_bias=self.expand_dense.use_bias,
            name="gate_dense",
            dtype=self.dtype_policy,
        )

    def build(self, x_shape: tuple) -> None:
        super().build(x_shape)
        self.gate_dense.build(x_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        gate = self.activation(self.gate_dense(x))  # (batch, seq, d_ff)
        return self.contract_dense(gate * self.expand_dense(x))
