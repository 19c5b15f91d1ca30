"""Sampling: from logits to probabilities, and to a random token."""

import numpy as np


def next_token_probabilities(logits, temperature, top_k, top_p):
    """Turn each row's logits into the probabilities to draw from.

    Apply the temperature, then top-k, then top-p. After each cut, make the
    remaining probabilities of a row sum to one again. Each row is cut on
    its own.

    Args:
        logits: Floats `(batch, vocab)`, perhaps ±1,000.
        temperature: A number that divides the logits. 0 gives the
            probability 1 to the likeliest token, the first of equals,
            whatever top_k and top_p are.
        top_k: Keep the k likeliest tokens, and all tokens equal to the
            k-th. None, or a k beyond the vocabulary, cuts nothing.
        top_p: Keep the smallest number of likeliest tokens whose
            probabilities sum to p or more, so at least one. A number,
            0 < p < 1, or None. In the questions no two equal tokens stand
            at this threshold, and no sum is so near p that rounding
            decides.

    Returns:
        probabilities: Floats `(batch, vocab)`, in the order of the logits.
    """
    vocab = logits.shape[-1]
    if temperature == 0:
        return np.eye(vocab, dtype=logits.dtype)[logits.argmax(axis=-1)]
    probabilities = softmax(logits / temperature)
    if top_k is not None:
        k = min(top_k, vocab)
        kth = np.sort(probabilities, axis=-1)[:, -k, None]  # (batch, 1)
        probabilities = keep(probabilities, kth)
    if top_p is not None:
        ordered = np.sort(probabilities, axis=-1)[:, ::-1]
        before = np.cumsum(ordered, axis=-1) - ordered
        # The least likely token that is needed sets the threshold.
        bar = np.where(before < top_p, ordered, 1).min(axis=-1)[:, None]
        probabilities = keep(probabilities, bar)
    return probabilities


def softmax(logits):
    """Make probabilities of each row of logits."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def keep(rows, bar):
    """Set a row below its threshold to 0, and make it sum to one."""
    kept = np.where(rows < bar, 0, rows)
    return kept / kept.sum(axis=-1, keepdims=True)


def sample(probabilities, uniform):
    """Draw one token per row, each with its own random number u.

    Draw the first token i with p₀ + … + pᵢ > u, the inverse of the
    cumulative distribution. So a token of probability 0 is never drawn.

    Args:
        probabilities: Floats `(batch, vocab)`. A row sums to one, except
            for rounding. If u is not below this sum, draw the last token
            that has a probability above 0.
        uniform: Floats `(batch,)`, in [0, 1): uniform[b] is the u of row
            b.

    Returns:
        token_ids: Integers `(batch,)`.
    """
    cumulative = np.cumsum(probabilities, axis=-1)
    cumulative = cumulative / cumulative[:, -1:]  # its end is 1, not 0.999…
    return (cumulative <= uniform[:, None]).sum(axis=-1)
