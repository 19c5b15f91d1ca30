"""Sinusoidal positions, written in several ways; all of them are right."""

import math

import numpy as np
import tensorflow as tf

from minitransformer import positions


def loops(max_len, d_model):
    if d_model % 2 == 1:
        raise ValueError("odd")
    table = np.zeros((max_len, d_model), np.float32)
    for position in range(max_len):
        for i in range(d_model // 2):
            angle = position / math.pow(10000, 2 * i / d_model)
            table[position, 2 * i] = math.sin(angle)
            table[position, 2 * i + 1] = math.cos(angle)
    return table


def slices(max_len, d_model):
    """Take the frequencies from exp and log, all in float32."""
    if d_model % 2:
        raise ValueError("odd")
    even = np.arange(0, d_model, 2, dtype=np.float32)
    frequency = np.exp(even * np.float32(-np.log(10000.0) / d_model))
    position = np.arange(max_len, dtype=np.float32)
    angle = np.outer(position, frequency)
    table = np.empty((max_len, d_model), np.float32)
    table[:, ::2] = np.sin(angle)
    table[:, 1::2] = np.cos(angle)
    return table


def shifted(max_len, d_model):
    """Know that a cosine is a sine, a quarter of a turn later."""
    if d_model % 2:
        raise ValueError("odd")
    i, odd = np.divmod(np.arange(d_model), 2)
    rate = 1 / np.power(10000, 2 * i / d_model)
    angle = np.einsum("p,c->pc", np.arange(max_len), rate)
    return np.sin(angle + np.pi / 2 * odd).astype(np.float32)


def turned(max_len, d_model):
    """Turn each pair by one step more, as complex numbers."""
    if d_model % 2:
        raise ValueError("odd")
    rate = 10000.0 ** (-np.arange(0, d_model, 2) / d_model)
    steps = np.ones((max_len, 1)) * np.exp(-1j * rate)
    steps[0] = 1j  # sin(0) = 0 is the real part, cos(0) = 1 the other
    pairs = np.cumprod(steps, axis=0)
    pairs = np.stack([pairs.real, pairs.imag], axis=2)
    return pairs.reshape(max_len, d_model).astype(np.float32)


def tensorflow(max_len, d_model):
    if d_model % 2:
        raise ValueError("odd")
    position = tf.range(max_len, dtype=tf.float32)[:, None]
    pair = tf.range(d_model // 2, dtype=tf.float32)
    angle = position / tf.pow(10000.0, 2 * pair / d_model)
    both = tf.stack([tf.sin(angle), tf.cos(angle)], axis=-1)
    return tf.reshape(both, (max_len, d_model))


STYLES = {
    "loops": {"sinusoidal_positions": loops},
    "slices": {"sinusoidal_positions": slices},
    "shifted sines": {"sinusoidal_positions": shifted},
    "complex numbers": {"sinusoidal_positions": turned},
    "tensorflow": {"sinusoidal_positions": tensorflow},
    "package": {"sinusoidal_positions": positions.sinusoidal_positions},
}
