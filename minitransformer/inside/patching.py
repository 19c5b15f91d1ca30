"""Patching: where, in a run, is the information that makes the answer?"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from minitransformer.inside.capture import capture


def patch_effects(
    model: keras.Model,
    inputs: Any,
    others: Any,
    names: Sequence[str],
    measure: Callable[[tf.Tensor], Any],
    output: str = "logits",
) -> np.ndarray:
    """Move one vector at a time from another run into this one.

        effect = measure(output | one vector ← the other run's)

    Args:
        model: A model of this package.
        inputs: Token ids, or a tuple with all inputs of the model.
        others: Inputs of the same shapes, such as a text that differs in
            one word.
        names: Sites with arrays `(batch, seq, …)`, such as "block0", or
            `(batch, heads, …)`, such as "block0.self.heads". All have the
            same seq, or the same number of heads.
        measure: Function from the array of `output` to a number, such as
            the difference between the logits of two answers.
        output: The site that is measured; "hidden" for a BERT, which has
            no logits.

    Returns:
        Numbers `(sites, seq)`, sites in the order of computation: the
        measure with the other run's vector at one site and one position.
        For sites of heads, `(sites, heads)`: one head at all positions.

    Raises:
        ValueError: if the inputs have different shapes, or the sites have
            different lengths.

    References:
        Meng et al. 2022, §2, "causal tracing".
    """
    pairs = zip(
        tf.nest.flatten(inputs), tf.nest.flatten(others), strict=True
    )
    for one, other in pairs:
        if np.shape(one) != np.shape(other):
            raise ValueError(
                f"The inputs have shapes {np.shape(one)} and "
                f"{np.shape(other)}: give texts with equally many tokens."
            )
    found = capture(model, others, names)
    lengths = {name: other.shape[1] for name, other in found.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"The sites have different lengths: {lengths}. Call "
            "patch_effects once for each length."
        )
    effects = []
    for name, other in found.items():
        for position in tf.unstack(tf.eye(other.shape[1])):
            # (seq, 1, …): True at one position, for all of its vector
            chosen = tf.reshape(position, (-1, *[1] * (other.ndim - 2))) > 0
            # Elsewhere, the model keeps its own array.
            patch = partial(tf.where, chosen, other)
            made = capture(model, inputs, [output], {name: patch})
            effects.append(float(measure(made[output])))
    return np.reshape(effects, (-1, other.shape[1]))
