"""One step of Luong's attention: score, read, and join with the state."""

import numpy as np


def luong_step(state, memory, padding_mask, w_a, w_c):
    """Let a decoder's state attend to the source.

        score(h, m) = h · (m W_a)                 "general"
        context = Σ weight · m,     weights = softmax(scores)
        h̃ = tanh([context; h] W_c)

    Args:
        state: Floats `(batch, units)`, the decoder's state h.
        memory: Floats `(batch, source, memory_units)`, the encoder's
            output, with the rows m.
        padding_mask: Bool `(batch, source)`, True = a real token; each
            sequence has at least one.
        w_a: Floats `(memory_units, units)`.
        w_c: Floats `(memory_units + units, attention_units)`; its first
            rows are for the context.

    Returns:
        attentional: `(batch, attention_units)`, h̃.
        weights: `(batch, source)`: each row sums to 1, and padding has
            exactly 0, also for scores of ±5,000.
    """
    keys = memory @ w_a  # (batch, source, units)
    scores = (keys @ state[:, :, None])[:, :, 0]
    masked = np.where(padding_mask, scores, -1e30)
    masked = masked - masked.max(axis=-1, keepdims=True)
    weights = np.exp(masked) / np.exp(masked).sum(axis=-1, keepdims=True)
    context = (weights[:, None] @ memory)[:, 0]  # (batch, memory_units)
    joined = np.concatenate([context, state], axis=-1)
    return np.tanh(joined @ w_c), weights
