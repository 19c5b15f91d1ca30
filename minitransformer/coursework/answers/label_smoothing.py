"""Cross-entropy with label smoothing."""

import numpy as np


def smoothed_cross_entropy(logits, targets, weights, label_smoothing):
    """Compare the model with targets that are not quite sure, in nats.

        surprise = −Σᵥ qᵥ · log softmax(logits)ᵥ

    where q, the soft target, mixes 1 − ε of the target alone with ε of
    all tokens alike: q is 1 − ε + ε/V for the target, and ε/V for each of
    the others (Szegedy et al. 2016, §7).

    Args:
        logits: Floats `(batch, seq, vocab_size)`. Those of ±10,000 must
            do no harm.
        targets: Integers `(batch, seq)`, from 0 up to vocab_size − 1, and
            so where they do not count.
        weights: Floats `(batch, seq)`: 1.0 where a target counts, 0.0
            where not.
        label_smoothing: ε, a number from 0 up to 1; V is vocab_size.

    Returns:
        A scalar float: the mean surprise of all positions of the batch
        that count, each as much as any other; 0.0 if none does.
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
