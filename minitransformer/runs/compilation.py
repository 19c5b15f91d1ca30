"""Compilation: use XLA where it works, and warn where it does not."""

import functools
import warnings
from collections.abc import Callable

import tensorflow as tf


@functools.cache
def xla_works() -> bool:
    """Tell whether XLA can compile here; warn once if it cannot."""
    try:
        add = tf.function(tf.add, jit_compile=True, autograph=False)
        add(1, 1)
    except (tf.errors.OpError, ValueError) as error:
        warnings.warn(
            f"This TensorFlow has no XLA; going on, slower ({error})",
            stacklevel=2,
        )
        return False
    return True


@functools.cache
def compiled(function: Callable, use_xla: bool) -> Callable:
    """Compile a function of tensors, once for the whole program."""
    return tf.function(
        function, jit_compile=use_xla and xla_works(), autograph=False
    )
