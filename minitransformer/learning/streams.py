"""Streams: random numbers that depend only on seed, step and part.

A layer's own random state depends on all calls before. These states are
computed, so that nothing has to be stored for a training to go on exactly,
and two parts of a step can be computed at the same time.
"""

import keras
import numpy as np
import tensorflow as tf


def dropout_states(model: keras.Model, seed: int) -> list[tuple]:
    """List each Dropout layer's random state, with a seed for it."""
    return [
        (variable, np.random.SeedSequence((seed, i)).generate_state(1)[0])
        for i, variable in enumerate(model.non_trainable_variables)
        if variable.path.endswith("seed_generator_state")
    ]


def drawn_states(
    dropouts: list[tuple], step: tf.Tensor, stream: tf.Tensor
) -> list[tuple]:
    """List the random states for one part of a step: variable, value.

    So a part drops the same values, no matter what ran before it, and a
    resumed run continues exactly.
    """
    # Keras adds 1 per dropout call: leave room for 1,024 calls per step.
    count, stream = (
        tf.cast(number, tf.uint32) for number in (step * 1024, stream)
    )
    return [
        (variable, tf.stack([tf.constant(seed, tf.uint32) + stream, count]))
        for variable, seed in dropouts
    ]


def keep_other_states(
    model: keras.Model, dropouts: list[tuple], scope: keras.StatelessScope
) -> None:
    """Store what other layers have changed, such as a batch norm's mean.

    Raises:
        ValueError: if something else has changed, which would be lost.
    """
    drawn = {id(variable) for variable, _ in dropouts}
    others = {id(v): v for v in model.variables if id(v) not in drawn}
    for key, new in scope.state_mapping.items():
        if key in others:
            others[key].assign(new)
        elif key not in drawn:
            raise ValueError(
                "The model changes a variable that it does not list. If it "
                "draws random numbers, make a keras.random.SeedGenerator "
                "in __init__, store it, and give it as seed=…"
            )
