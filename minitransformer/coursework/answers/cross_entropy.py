"""Cross-entropy over the positions that count."""

import numpy as np


def masked_cross_entropy(logits, targets, weights):
    """Measure in nats how surprised the model is by the targets.

        loss = mean of −log softmax(logits)[target]

    Args:
        logits: Floats `(batch, seq, vocab_size)`, up to ±10,000.
        targets: Integers `(batch, seq)`, from 0 to vocab_size − 1, also
            where they do not count.
        weights: Floats `(batch, seq)`: 1.0 where a target counts, 0.0
            where it does not.

    Returns:
        A scalar float: the mean over all positions of the batch that
        count, with equal weight; 0.0 if no position counts.
    """
    highest = logits.max(axis=-1, keepdims=True)
    shifted = logits - highest
    sums = np.exp(shifted).sum(axis=-1, keepdims=True)
    log_p = shifted - np.log(sums)  # (batch, seq, vocab_size)
    chosen = np.take_along_axis(log_p, targets[..., None], axis=-1)
    surprise = -chosen[..., 0]  # (batch, seq)
    total, count = (surprise * weights).sum(), weights.sum()
    return total / np.maximum(count, 1)
