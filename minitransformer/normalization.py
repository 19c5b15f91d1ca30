"""Normalization: bring the numbers of every vector to one size."""

from typing import Any

import tensorflow as tf
from keras import layers

from minitransformer.runs.given import rate


class LayerNorm(layers.Layer):
    """Normalize each vector over its own features, then scale and shift.

        y = gain · (x − mean) / √(variance + ε) + bias

    Mean and variance are those of one vector; no other token matters.

    Args:
        epsilon: ε, added to the variance. GPT-2 uses 1e-5, BERT 1e-12,
            Keras 1e-3.
        use_bias: Whether a bias is learned.

    Call arguments:
        x: `(…, d_model)`.

    Returns:
        `(…, d_model)`.

    References:
        Ba, Kiros & Hinton 2016, §3, equations 3 and 4.
    Differs from the paper: it has no ε.
    """

    def __init__(
        self, *, epsilon: float = 1e-5, use_bias: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.epsilon, self.use_bias = rate("epsilon", epsilon), use_bias

    def build(self, x_shape: tuple) -> None:
        width = x_shape[-1:]
        self.gain = self.add_weight(width, "ones", name="gain")
        if self.use_bias:
            self.bias = self.add_weight(width, "zeros", name="bias")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        x = tf.cast(x, tf.float32)  # half precision overflows at 256²
        mean = tf.reduce_mean(x, axis=-1, keepdims=True)
        centred = x - mean
        variance = tf.reduce_mean(centred**2, axis=-1, keepdims=True)
        y = centred * tf.math.rsqrt(variance + self.epsilon)
        y = tf.cast(y, self.compute_dtype) * self.gain
        return y + self.bias if self.use_bias else y


class RMSNorm(LayerNorm):
    """Divide each vector by its root mean square; subtract no mean.

        y = gain · x / √(mean(x²) + ε)

    Args:
        epsilon: ε, added to the mean square. Llama uses 1e-5 or 1e-6.
        use_bias: Whether a bias is learned. Llama has none.

    Call arguments:
        x: `(…, d_model)`.

    Returns:
        `(…, d_model)`.

    References:
        Zhang & Sennrich 2019, §4, equation 4.
    Differs from the paper: it has no ε.
    """

    def __init__(
        self,
        *,
        epsilon: float = 1e-5,
        use_bias: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(epsilon=epsilon, use_bias=use_bias, **kwargs)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        x = tf.cast(x, tf.float32)
        mean_square = tf.reduce_mean(x**2, axis=-1, keepdims=True)
        y = x * tf.math.rsqrt(mean_square + self.epsilon)
        y = tf.cast(y, self.compute_dtype) * self.gain
        return y + self.bias if self.use_bias else y
