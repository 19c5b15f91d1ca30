"""RMSNorm and SwiGLU: the norm and the feed-forward layer of newer GPTs."""

import numpy as np


def rms_norm(x, gain, epsilon):
    """Divide each vector by the root of the mean of its squares.

        y = gain · x / √(mean(x²) + ε)

    Args:
        x: Floats `(…, d_model)`; the mean is taken over the last axis.
        gain: Floats `(d_model,)`.
        epsilon: ε, a small number that the paper's equation leaves out.

    Returns:
        `(…, d_model)`.

    References:
        Zhang & Sennrich 2019, equation 4.
    """
    mean_square = np.mean(x**2, axis=-1, keepdims=True)
    return gain * x / np.sqrt(mean_square + epsilon)


def swiglu(x, weights):
    """Expand each token's vector twice; one of the two is a gate.

        FFN(x) = (swish(x W) ⊗ x V) W₂,   swish(z) = z / (1 + exp(−z))

    Args:
        x: Floats `(batch, seq, d_model)`.
        weights: A dictionary, without biases: "gate", W, and "value", V,
            `(d_model, d_ff)`; "output", W₂, `(d_ff, d_model)`.

    Returns:
        `(batch, seq, d_model)`.

    References:
        Shazeer 2020, §2, equation 6.
    """
    z = x @ weights["gate"]  # (batch, seq, d_ff)
    gate = z * (1 + np.tanh(z / 2)) / 2  # swish; this exp never overflows
    return (gate * (x @ weights["value"])) @ weights["output"]
