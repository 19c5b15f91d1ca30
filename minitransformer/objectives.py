"""Objectives: what is asked of a model, as (inputs, targets, weights).

Weights say which targets count: 1 for a real one, 0 for filling.
"""

import tensorflow as tf


def next_token(token_ids):
    """Ask for each token, given those before it.

        inputs[t] = token[t],   targets[t] = token[t + 1]

    Args:
        token_ids: Integers `(…, seq + 1)`.

    Returns:
        inputs: `(…, seq)`.
        targets: `(…, seq)`, one position ahead.
        weights: Ones `(…, seq)`, float32.

    References:
        Radford et al. 2018, §3.1, equation 1.
    """
    inputs, targets = token_ids[..., :-1], token_ids[..., 1:]
    return inputs, targets, tf.ones(tf.shape(targets))
