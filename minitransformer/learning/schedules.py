"""Schedules: learning rates that rise and then fall."""

import math

import keras
import tensorflow as tf

from minitransformer.runs.given import at_least, rate, whole


class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Rise in a line, then fall along half a cosine.

        step < warmup:  peak · (step + 1) / (warmup + 1)
        otherwise:      final + (peak − final) · (1 + cos(π · progress)) / 2

    where progress goes from 0 after the warm-up to 1 after the last step.

    Args:
        peak, final: The highest learning rate, and the last one.
        warmup_steps, steps: Number of steps of the rise, and of all steps.

    References:
        Loshchilov & Hutter 2017, equation 5, without restarts; the values
        are nanoGPT's.
    """

    def __init__(
        self, *, peak: float, final: float, warmup_steps: int, steps: int
    ) -> None:
        self.peak, self.final = rate("peak", peak), rate("final", final)
        self.warmup_steps = whole("warmup_steps", warmup_steps, 0)
        self.steps = whole("steps", steps)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(step, tf.float32)
        rise = self.peak * (step + 1) / (self.warmup_steps + 1)
        length = max(self.steps - self.warmup_steps, 1)
        progress = tf.minimum((step - self.warmup_steps) / length, 1.0)
        cosine = (1 + tf.cos(math.pi * progress)) / 2
        fall = self.final + (self.peak - self.final) * cosine
        return tf.where(step < self.warmup_steps, rise, fall)

    def get_config(self) -> dict:
        return {
            "peak": self.peak,
            "final": self.final,
            "warmup_steps": self.warmup_steps,
            "steps": self.steps,
        }


class WarmupInverseRoot(keras.optimizers.schedules.LearningRateSchedule):
    """Rise in a line, then fall as 1 / √step.

        rate = factor · d_model^−0.5 · min(n^−0.5, n · warmup_steps^−1.5)

    where n is the number of the step, from 1.

    Args:
        d_model: Width of the model.
        warmup_steps: Number of steps of the rise, up to the peak of
            factor / √(d_model · warmup_steps).
        factor: 1 in the paper.

    References:
        Vaswani et al. 2017, §5.3, equation 3.
    """

    def __init__(
        self, *, d_model: int, warmup_steps: int, factor: float = 1.0
    ) -> None:
        self.factor = rate("factor", factor)
        self.d_model, self.warmup_steps = at_least(
            1, d_model=d_model, warmup_steps=warmup_steps
        )

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        n = tf.cast(step, tf.float32) + 1
        rate = tf.minimum(n**-0.5, n * self.warmup_steps**-1.5)
        return self.factor * self.d_model**-0.5 * rate

    def get_config(self) -> dict:
        return {
            "d_model": self.d_model,
            "warmup_steps": self.warmup_steps,
            "factor": self.factor,
        }
