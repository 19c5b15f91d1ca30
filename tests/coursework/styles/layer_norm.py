"""Layer normalization, written in several ways; all of them are right."""

import numpy as np
import tensorflow as tf

from minitransformer import normalization


def einsum(x, gain, bias, epsilon):
    """Take the variance as the mean of squares less the mean's square."""
    width = x.shape[-1]
    mean = np.einsum("bsd->bs", x) / width
    variance = np.einsum("bsd,bsd->bs", x, x) / width - mean**2
    scale = 1 / np.sqrt(variance + epsilon)
    return np.einsum("bsd,bs,d->bsd", x - mean[..., None], scale, gain) + bias


def loops(x, gain, bias, epsilon):
    batch, seq, width = x.shape
    output = np.zeros(x.shape, x.dtype)
    for b in range(batch):
        for i in range(seq):
            mean = sum(x[b, i]) / width
            variance = sum((value - mean) ** 2 for value in x[b, i]) / width
            for j in range(width):
                normal = (x[b, i, j] - mean) * (variance + epsilon) ** -0.5
                output[b, i, j] = normal * gain[j] + bias[j]
    return output


def features_first(x, gain, bias, epsilon):
    """Work on (d_model, batch · seq), where no axis must be kept."""
    rows = x.reshape(-1, x.shape[-1]).T
    rows = rows - rows.mean(0)
    rows = rows / np.hypot(rows.std(0), np.sqrt(epsilon))
    return (rows.T * gain + bias).reshape(x.shape)


def tensorflow(x, gain, bias, epsilon):
    mean, variance = tf.nn.moments(tf.constant(x), axes=[-1], keepdims=True)
    scale = tf.math.rsqrt(variance + epsilon) * gain
    return x * scale + (bias - mean * scale)


def package(x, gain, bias, epsilon):
    layer = normalization.LayerNorm(epsilon=epsilon)
    layer.build(x.shape)
    layer.gain.assign(gain)
    layer.bias.assign(bias)
    return layer(x)


STYLES = {
    "einsum": {"layer_norm": einsum},
    "loops": {"layer_norm": loops},
    "features first": {"layer_norm": features_first},
    "tensorflow": {"layer_norm": tensorflow},
    "package": {"layer_norm": package},
}
