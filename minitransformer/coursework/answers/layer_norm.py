"""Layer normalization: bring each vector to mean 0 and variance 1."""

import numpy as np


def layer_norm(x, gain, bias, epsilon):
    """Normalize each token's vector on its own, then scale and shift it.

        y = gain · (x − mean) / √(variance + ε) + bias

    The mean and the variance are taken over the d_model numbers of one
    token. The variance is the mean of the squared distances from the mean.

    Args:
        x: Floats `(batch, seq, d_model)`.
        gain, bias: Floats `(d_model,)`, one number per feature.
        epsilon: ε, a number above 0.

    Returns:
        `(batch, seq, d_model)`.
    """
    mean = x.mean(axis=-1, keepdims=True)  # (batch, seq, 1)
    variance = x.var(axis=-1, keepdims=True)
    centred = x - mean
    normal = centred / np.sqrt(variance + epsilon)
    return gain * normal + bias
