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
