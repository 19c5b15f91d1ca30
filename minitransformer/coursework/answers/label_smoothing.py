"""Cross-entropy with label smoothing."""

import numpy as np


def smoothed_cross_entropy(logits, targets, weights, label_smoothing):
    """Compare the model with soft targets, in nats.

        surprise = −Σᵥ qᵥ · log softmax(logits)ᵥ

    The soft target q gives 1 − ε to the target, and shares ε equally
    among all V tokens of the vocabulary: q is 1 − ε + ε/V for the target,
    and ε/V for each other token (Szegedy et al. 2016, §7).

    Args:
        logits: Floats `(batch, seq, vocab_size)`, up to ±10,000.
        targets: Integers `(batch, seq)`, from 0 to vocab_size − 1, also
            where they do not count.
        weights: Floats `(batch, seq)`: 1.0 where a target counts, 0.0
            where it does not.
        label_smoothing: ε, a number from 0 up to 1.

    Returns:
        A scalar float: the mean surprise over all positions of the batch
        that count, with equal weight; 0.0 if no position counts.
    """
    share = label_smoothing / logits.shape[-1]
    only = np.eye(logits.shape[-1], dtype=logits.dtype)[targets]
    soft = (1 - label_smoothing) * only + share
    shifted = logits - logits.max(axis=-1, keepdims=True)
    sums = np.exp(shifted).sum(axis=-1, keepdims=True)
    log_p = shifted - np.log(sums)  # (batch, seq, vocab_size)
    surprise = -(soft * log_p).sum(axis=-1)  # (batch, seq)
    total, count = (surprise * weights).sum(), weights.sum()
    return total / np.maximum(count, 1)
