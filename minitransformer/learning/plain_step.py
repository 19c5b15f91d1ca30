"""The plain step: a training step in a dozen lines.

Read a batch, measure the loss, compute the gradient, clip it, and update
the weights. `fast_steps` makes the same steps faster.
"""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

from minitransformer.learning.losses import masked_cross_entropy, total
from minitransformer.runs.given import rate

CLIP_NORM = 1.0  # as in GPT-3 (Brown et al. 2020, appendix B) and nanoGPT


def make_optimizer(
    model: keras.Model,
    *,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
    weight_decay: float = 0.1,
    beta_2: float = 0.99,
    epsilon: float = 1e-8,
) -> keras.optimizers.Optimizer:
    """Make AdamW that decays matrices only, not gains and biases.

    Args:
        model: A built model.
        learning_rate: A number or a schedule.
        weight_decay: Share that a step removes, times the learning rate.
        beta_2: Share of the mean square that a step keeps.
        epsilon: Added to the root of the mean square (Kingma & Ba, §2).

    Returns:
        A built Keras optimizer.

    Raises:
        TypeError, ValueError: if a number is not in its range.

    References:
        Loshchilov & Hutter 2019, algorithm 2; the values are nanoGPT's.
        Differs from the paper: vectors do not decay, and the place of ε.
    """
    if not callable(learning_rate):
        learning_rate = rate("learning_rate", learning_rate)
    optimizer = keras.optimizers.AdamW(
        learning_rate,
        beta_2=rate("beta_2", beta_2, below=1),
        epsilon=rate("epsilon", epsilon),
        weight_decay=rate("weight_decay", weight_decay),
    )
    return build_optimizer(optimizer, model.trainable_variables)


def build_optimizer(
    optimizer: keras.optimizers.Optimizer, variables: list[keras.Variable]
) -> keras.optimizers.Optimizer:
    """Make an optimizer's state, and except vectors from the decay."""
    if vectors := [v for v in variables if len(v.shape) < 2]:
        optimizer.exclude_from_weight_decay(var_list=vectors)
    optimizer.build(variables)
    return optimizer


def predict(model: Callable, inputs: Any, **options: Any) -> Any:
    """Call a model with one input, or with several in a tuple."""
    several = inputs if isinstance(inputs, tuple) else (inputs,)
    return model(*several, **options)


def plain_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    batches: Iterable,
    loss: Callable = masked_cross_entropy,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Make one training step with one batch, or with several together.

        gradient = ∇ (Σ losses / Σ weights),  cut to a norm of `CLIP_NORM`

    Args:
        model: Maps inputs to logits.
        optimizer: From `make_optimizer`; it changes the model's weights.
        batches: Triples (inputs, targets, weights of the targets).
        loss: `masked_cross_entropy`, or another function of its form.

    Returns:
        The mean loss, and the gradient's norm before clipping.

    Raises:
        ValueError: if no target counts; compiled, the result is NaN.

    References:
        Pascanu et al. 2013, algorithm 1, for clipping.
    """
    variables, sums = model.trainable_variables, []
    for inputs, targets, weights in batches:
        with tf.GradientTape() as tape:
            logits = predict(model, inputs, training=True)
            loss_sum, weight_sum = total(loss, logits, targets, weights)
        gradient = tape.gradient(loss_sum, variables)
        # The gradient of an embedding is a list of rows: make it dense.
        gradient = map(tf.convert_to_tensor, gradient)
        sums.append([loss_sum, weight_sum, *gradient])
    loss_sum, weight_sum, *gradient = map(sum, zip(*sums, strict=True))
    if tf.executing_eagerly() and not weight_sum > 0:
        raise ValueError("No target counts: give weights above 0.")
    gradient = [part / weight_sum for part in gradient]
    gradient, norm = tf.clip_by_global_norm(gradient, CLIP_NORM)
    optimizer.apply(gradient, variables)
    return loss_sum / weight_sum, norm
