"""Right solutions of `sampling` in other styles."""

import bisect
import itertools
import math
from unittest import mock

import numpy as np
import tensorflow as tf

from minitransformer.writing.sampling import choose


def by_places(logits, temperature, top_k, top_p):
    """Sort once, cut by places, and undo the order in the end."""
    if not temperature:
        likely = np.zeros_like(logits)
        likely[np.arange(len(logits)), np.argmax(logits, axis=1)] = 1
        return likely
    order = np.argsort(logits, axis=1, kind="stable")[:, ::-1]
    z = np.take_along_axis(logits, order, axis=1).astype("float64")
    z = (z - z[:, :1]) / temperature
    if top_k is not None and top_k < z.shape[1]:
        z[z < z[:, top_k - 1 : top_k]] = -np.inf
    p = np.exp(z)
    p /= p.sum(axis=1, keepdims=True)
    if top_p is not None:
        reached = np.cumsum(p, axis=1) >= top_p
        reached = np.pad(reached[:, :-1], ((0, 0), (1, 0)))  # one later
        p[reached] = 0
        p /= p.sum(axis=1, keepdims=True)
    result = np.empty_like(p)
    np.put_along_axis(result, order, p, axis=1)
    return result


def draw_by_argmax(probabilities, uniform):
    above = np.cumsum(probabilities, axis=1, dtype="float64") > uniform[:, None]
    last = [np.flatnonzero(row)[-1] for row in probabilities]
    return np.where(above.any(axis=1), above.argmax(axis=1), last)


def by_loops(logits, temperature, top_k, top_p):
    """Rows of plain Python, tokens as a dictionary."""
    rows = []
    for row in logits.tolist():
        if temperature == 0:
            best = row.index(max(row))
            rows.append([float(i == best) for i in range(len(row))])
            continue
        weight = {i: math.exp((z - max(row)) / temperature) for i, z in enumerate(row)}
        if top_k is not None:
            least = sorted(weight.values(), reverse=True)[:top_k][-1]
            weight = {i: w for i, w in weight.items() if w >= least}
        if top_p is not None:
            total, reached, kept = sum(weight.values()), 0.0, {}
            for i in sorted(weight, key=weight.get, reverse=True):
                if reached >= top_p * total:
                    break
                kept[i] = weight[i]
                reached += weight[i]
            weight = kept
        total = sum(weight.values())
        rows.append([weight.get(i, 0.0) / total for i in range(len(row))])
    return rows


def draw_by_bisection(probabilities, uniform):
    tokens = []
    for row, u in zip(probabilities.tolist(), uniform.tolist(), strict=True):
        sums = list(itertools.accumulate(row))
        token = bisect.bisect_right(sums, u)
        while token == len(row) or row[token] == 0:
            token -= 1
        tokens.append(token)
    return tokens


def with_tensorflow(logits, temperature, top_k, top_p):
    """Cut logits, as transformers does, from the least likely token up."""
    if temperature == 0:
        return tf.one_hot(tf.argmax(logits, axis=-1), logits.shape[-1])
    z = tf.constant(logits) / temperature
    if top_k is not None:
        kth = tf.math.top_k(z, min(top_k, z.shape[-1])).values[..., -1:]
        z = tf.where(z < kth, -np.inf, z)
    if top_p is not None:
        order = tf.argsort(z, axis=-1)  # upwards
        ordered = tf.gather(z, order, batch_dims=1)
        sums = tf.cumsum(tf.nn.softmax(ordered), axis=-1)
        ordered = tf.where(sums <= 1 - top_p, -np.inf, ordered)
        z = tf.gather(ordered, tf.argsort(order, axis=-1), batch_dims=1)
    return tf.nn.softmax(z)


def draw_with_searchsorted(probabilities, uniform):
    sums = tf.cumsum(probabilities, axis=-1)
    token = tf.searchsorted(sums, uniform[:, None], side="right")[:, 0]
    return tf.minimum(token, probabilities.shape[-1] - 1)


def with_package(logits, temperature, top_k, top_p):
    """`choose` without its chance: what would it draw from?

    All tokens get the same noise, and where the largest sum would be taken,
    the softmax of the sums is.
    """
    if temperature == 0:
        token = choose(logits, seed=(0, 0), temperature=0, top_k=top_k, top_p=top_p)
        return tf.one_hot(token, logits.shape[-1])
    with (
        mock.patch("tensorflow.random.stateless_uniform", equal_noise),
        mock.patch("tensorflow.argmax", lambda sums, **_: tf.nn.softmax(sums)),
        mock.patch("tensorflow.reduce_any", return_value=False),  # no NaN
    ):
        return choose(logits, seed=(0, 0), temperature=temperature, top_k=top_k, top_p=top_p)


def equal_noise(shape, *_, **__):
    return tf.fill(shape, 0.5)


STYLES = {
    "places": {"next_token_probabilities": by_places, "sample": draw_by_argmax},
    "loops": {"next_token_probabilities": by_loops, "sample": draw_by_bisection},
    "tensorflow": {"next_token_probabilities": with_tensorflow, "sample": draw_with_searchsorted},
    "package": {"next_token_probabilities": with_package, "sample": draw_with_searchsorted},
}
