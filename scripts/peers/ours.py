"""This package, as its own scripts use it."""

import time

import keras
import numpy as np
import tensorflow as tf

from minitransformer import GPT, GPTConfig, generate, make_optimizer
from minitransformer.steps import compile_steps
from scripts.peers.measure import CALL


def train(sizes, meter):
    keras.utils.set_random_seed(1)
    model = GPT(GPTConfig(**sizes.model, use_bias=False))
    optimizer = make_optimizer(model, learning_rate=1e-3)
    run = compile_steps(
        model, optimizer, clip_norm=1.0, accumulate=1, seed=1, use_xla=True
    )
    inputs, targets = map(tf.constant, sizes.batches(CALL))
    stack = inputs, targets, tf.ones(inputs.shape)
    float(run(stack, tf.constant(0), tf.constant(1))[0])
    meter.stepped()
    float(run(stack, tf.constant(1), tf.constant(2))[0])
    since = time.perf_counter()
    for done in range(0, sizes.steps, CALL):
        float(run(stack, tf.constant(done), tf.constant(CALL))[0])
    seconds = time.perf_counter() - since
    meter.timed(sizes.steps * inputs[0].shape.num_elements(), seconds)


def sample(sizes, batch_size):
    model = GPT(GPTConfig(**sizes.model, use_bias=False))
    prompt = np.zeros((batch_size, 1), "int32")
    return lambda: generate(
        model, prompt, max_new_tokens=sizes.max_len - 1, seed=1
    )
