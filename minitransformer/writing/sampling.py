"""Sampling: from logits to a token, by chance or without."""

import tensorflow as tf

from minitransformer.runs.saving import checked


def check_options(
    temperature: float, top_k: int | None, top_p: float | None
) -> tuple[float, int | None, float | None]:
    """Refuse options out of their range; NumPy's become Python's.

    Raises:
        TypeError, ValueError: Same as in `checked`.
    """
    temperature = checked(
        float, "temperature", temperature, lambda t: t >= 0, "0 or more"
    )
    if top_k is not None:
        many = "an integer of at least 1, or None"
        top_k = checked(int, "top_k", top_k, lambda k: k >= 1, many)
    if top_p is not None:
        share = "a number above 0 and up to 1, or None"
        top_p = checked(float, "top_p", top_p, lambda p: 0 < p <= 1, share)
    return temperature, top_k, top_p


def choose(
    logits: tf.Tensor,
    *,
    seed: tf.Tensor | tuple[int, int],
    temperature: float,
    top_k: int | None,
    top_p: float | None,
) -> tf.Tensor:
    """Choose one token for each row of logits.

        p = softmax(logits / temperature), cut to the likeliest tokens

    For p = (0.5, 0.3, 0.2), `top_k` 2 and `top_p` 0.6 both keep the first
    two, which then have (0.625, 0.375); `top_p` 0.5 keeps the first alone.

    Args:
        logits: `(batch, vocab_size)`.
        seed: Two integers; the same seed chooses the same tokens.
        temperature: 0 takes the likeliest token, 1 follows the model; the
            lower, the more often the likely ones are taken.
        top_k: Only the k likeliest tokens remain, if not None.
        top_p: Only the fewest tokens whose probabilities reach p remain,
            if not None (Holtzman et al. 2020, §3.1); the likeliest always.

    Returns:
        Token ids `(batch,)`, int32; -1 for a row that holds NaN.

    Raises:
        TypeError, ValueError: if an option is out of its range.
    """
    temperature, top_k, top_p = check_options(temperature, top_k, top_p)
    logits = tf.cast(logits, tf.float32)
    broken = tf.reduce_any(tf.math.is_nan(logits), axis=-1)
    # Float32 cannot divide by less; so low, only the likeliest counts.
    if temperature < 1e-30:
        token = tf.argmax(logits, axis=-1, output_type=tf.int32)
        return tf.where(broken, -1, token)
    logits = logits / temperature
    nothing = logits.dtype.min
    if top_k is not None:
        k = min(top_k, logits.shape[-1])
        kth = tf.math.top_k(logits, k).values[:, -1:]  # (batch, 1)
        logits = tf.where(logits < kth, nothing, logits)
    if top_p is not None:
        ordered = tf.sort(logits, axis=-1, direction="DESCENDING")
        likely = tf.nn.softmax(ordered)
        before = tf.cumsum(likely, axis=-1, exclusive=True)
        # The last token needed to reach p sets the bar.
        needed = tf.where(before < top_p, ordered, logits.dtype.max)
        bar = tf.reduce_min(needed, axis=-1, keepdims=True)
        bar = tf.minimum(bar, ordered[:, :1])
        logits = tf.where(logits < bar, nothing, logits)
    # Gumbel's trick: the largest of logits + noise is a sample of softmax.
    uniform = tf.random.stateless_uniform(
        tf.shape(logits), seed, minval=1e-20, alg="philox"
    )
    noise = -tf.math.log(-tf.math.log(uniform))
    token = tf.argmax(logits + noise, axis=-1, output_type=tf.int32)
    return tf.where(broken, -1, token)
