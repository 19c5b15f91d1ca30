"""Sampling: from logits to a token, by a random draw or greedily."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from minitransformer.runs.given import checked, rate, switch, whole


def probability(name: str, value: Any) -> float:
    """Check a number above 0, up to 1."""
    expected = "a number above 0, up to 1"
    return checked(float, name, value, lambda p: 0 < p <= 1, expected)


RULES: dict[str, Callable] = {  # of the options
    "temperature": rate,
    "top_k": whole,
    "top_p": probability,
    "stop_id": lambda name, value: whole(name, value, 0),
    "use_cache": switch,
}
MAY_BE_NONE = {"top_k", "top_p", "stop_id"}


def take_options(**options: Any) -> dict[str, Any]:
    """Check options, and return them as Python's own numbers."""
    for name, value in options.items():
        if value is not None or name not in MAY_BE_NONE:
            options[name] = RULES[name](name, value)
    return options


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
        temperature: 0 takes the likeliest token, 1 follows the model.
        top_k: Only the k likeliest tokens remain, if not None.
        top_p: Only the fewest tokens whose probabilities reach p remain,
            if not None (Holtzman et al. 2020, §3.1); always at least one.

    Returns:
        Token ids `(batch,)`, int32; -1 for a row that holds NaN.

    Raises:
        TypeError, ValueError: if an option is out of its range.
    """
    options = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    temperature, top_k, top_p = take_options(**options).values()
    logits = tf.cast(logits, tf.float32)
    broken = tf.reduce_any(tf.math.is_nan(logits), axis=-1)
    # The quotients could overflow float32: take the likeliest token.
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
