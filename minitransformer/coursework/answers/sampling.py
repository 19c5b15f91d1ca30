"""Sampling: from logits to probabilities, and to a random token."""

import numpy as np


def next_token_probabilities(logits, temperature, top_k, top_p):
    """Turn each row's logits into the probabilities to draw from.

    In this order: the temperature; top-k; top-p of what is left, after its
    probabilities were made to sum to one again. Each row is cut on its own,
    and sums to one in the end.

    Args:
        logits: Floats `(batch, vocab)`, perhaps ±1,000.
        temperature: A number; logits are divided by it. 0 gives the
            probability 1 to the likeliest token, the first of equals,
            whatever top_k and top_p are.
        top_k: Only the k likeliest tokens keep a probability, and all that
            are equal to the k-th; a k beyond the vocabulary cuts nothing.
            None cuts nothing either.
        top_p: Only the fewest likeliest tokens whose probabilities sum to
            p or more keep one, so it is always at least one token. A
            number, 0 < p < 1, or None. No two equal tokens will stand at
            this bar, and no sum will be so near p that rounding counts.

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
        # The least likely token that is still needed sets the bar.
        bar = np.where(before < top_p, ordered, 1).min(axis=-1)[:, None]
        probabilities = keep(probabilities, bar)
    return probabilities


def softmax(logits):
    """Make probabilities of each row of logits.

    Args:
        logits: Floats `(batch, vocab)`.

    Returns:
        `(batch, vocab)`; each row sums to one.
    """
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def keep(rows, bar):
    """Cut what is below the bar, and make the rest sum to one again.

    Args:
        rows: Floats `(batch, vocab)`, probabilities.
        bar: Floats `(batch, 1)`, one for each row.

    Returns:
        `(batch, vocab)`; each row sums to one.
    """
    kept = np.where(rows < bar, 0, rows)
    return kept / kept.sum(axis=-1, keepdims=True)


def sample(probabilities, uniform):
    """Draw one token for each row, with one random number for each.

    It is the first token i with p₀ + … + pᵢ > u: the inverse of the
    cumulative distribution. So a token of probability 0 is never drawn.

    Args:
        probabilities: Floats `(batch, vocab)`. A row sums to one but for
            rounding; where u is not below its sum, the last token that has
            a probability above 0 is drawn.
        uniform: Floats `(batch,)`, in [0, 1): row b is drawn with
            uniform[b].

    Returns:
        token_ids: Integers `(batch,)`.
    """
    cumulative = np.cumsum(probabilities, axis=-1)
    cumulative = cumulative / cumulative[:, -1:]  # its end is 1, not 0.999…
    return (cumulative <= uniform[:, None]).sum(axis=-1)
