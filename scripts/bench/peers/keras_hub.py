"""KerasHub's GPT-2, trained with Keras' `fit`."""

import time

import keras
import tensorflow as tf
from keras_hub.models import GPT2Backbone, GPT2CausalLM


def train(sizes, meter, use_xla=False):
    keras.utils.set_random_seed(1)
    model = GPT2CausalLM(
        GPT2Backbone(
            vocabulary_size=sizes.vocab_size,
            num_layers=sizes.num_layers,
            num_heads=sizes.num_heads,
            hidden_dim=sizes.d_model,
            intermediate_dim=4 * sizes.d_model,
            max_sequence_length=sizes.max_len,
            dropout=0.0,
        )
    )
    model.compile(
        keras.optimizers.AdamW(1e-3, weight_decay=0.1, beta_2=0.99, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=use_xla,
    )
    inputs, targets = sizes.batches(10)
    inputs = {"token_ids": inputs, "padding_mask": inputs >= 0}
    data = tf.data.Dataset.from_tensor_slices((inputs, targets)).cache()
    # With autotuning, `fit` returns only when tf.data's tuner wakes up: after
    # 5.11, 10.23, 20.47 s, … (10 ms · (2ⁿ − 1)), up to twice the time of the steps.
    options = tf.data.Options()
    options.autotune.enabled = False
    data = data.repeat().prefetch(2).with_options(options)
    first = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: meter.stepped())
    model.fit(data, steps_per_epoch=1, callbacks=[first], verbose=0)
    model.fit(data, steps_per_epoch=2, verbose=0)
    since = time.perf_counter()
    model.fit(data, steps_per_epoch=sizes.steps, verbose=0)
    seconds = time.perf_counter() - since
    tokens = sizes.steps * sizes.batch_size * sizes.max_len
    meter.timed(tokens, seconds)


def train_xla(sizes, meter):
    train(sizes, meter, use_xla=True)
