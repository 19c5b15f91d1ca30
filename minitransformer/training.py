"""Training: the one loop that every model here is trained by.

A step: read a batch, compare the logits with the targets, follow the
gradient. Several steps run inside one compiled call.
"""

import contextlib
import math
import signal
import sys
import threading
import time

import keras
import numpy as np
import tensorflow as tf

from minitransformer.losses import masked_cross_entropy


def make_optimizer(model, *, learning_rate, weight_decay=0.1, beta_2=0.99):
    """Make AdamW that decays matrices only, not gains and biases.

    Args:
        model: A built model.
        learning_rate: A number or a schedule.
        weight_decay: Share of a matrix taken away, times the learning rate.
        beta_2: How long the second moment remembers.

    Returns:
        A built Keras optimizer.

    References:
        Loshchilov & Hutter 2019, algorithm 2; the values are nanoGPT's.
    """
    optimizer = keras.optimizers.AdamW(
        learning_rate, beta_1=0.9, beta_2=beta_2, epsilon=1e-8,
        weight_decay=weight_decay,
    )  # fmt: skip
    weights = model.trainable_variables
    vectors = [weight for weight in weights if len(weight.shape) < 2]
    if vectors:
        optimizer.exclude_from_weight_decay(var_list=vectors)
    optimizer.build(weights)
    return optimizer


def compile_steps(
    model, optimizer, *, clip_norm, accumulate, seed, use_xla
):
    """Compile a function that makes several training steps.

    Args:
        model: Maps inputs to logits.
        optimizer: A built Keras optimizer.
        clip_norm: The gradient's global norm is cut to this.
        accumulate: Number of batches that make one step together.
        seed: Where the random streams of dropout begin.
        use_xla: Whether XLA compiles.

    Returns:
        A function of a stack of batches `(steps · accumulate, …)`, the
        number of the first step, and how many to make; it returns their
        mean loss and the last gradient's norm before clipping.
    """
    strategy = tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync
    weights = model.trainable_variables
    dropouts = [
        (variable, np.random.SeedSequence((seed, i)).generate_state(1)[0])
        for i, variable in enumerate(model.non_trainable_variables)
        if variable.path.endswith("seed_generator_state")
    ]

    @tf.function(jit_compile=use_xla, autograph=False)
    def gradients(inputs, targets, token_weights):
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            sums = masked_cross_entropy(logits, targets, token_weights)
        return [
            *sums,
            # Dense, where the embedding's gradient is a list of rows.
            *map(tf.convert_to_tensor, tape.gradient(sums[0], weights)),
        ]

    def one_step(stack, i, step):
        replica = tf.distribute.get_replica_context()
        which = tf.cast(replica.replica_id_in_sync_group, tf.int32)
        for state, stream in dropouts:
            # A stream for each layer and step, whatever ran before. Keras
            # counts its calls up by one: room for 1024 in a step.
            place = tf.cast(step * 1024, tf.uint32)
            mine = tf.constant(stream, tf.uint32) + tf.cast(
                which, tf.uint32
            )
            state.assign(tf.stack([mine, place]))

        def batch(number):
            # Each replica takes its own rows of the batch.
            return tf.nest.map_structure(
                lambda part: share(part[number], which, replicas), stack
            )

        sums = gradients(*batch(i * accumulate))
        for j in range(1, accumulate):
            more = gradients(*batch(i * accumulate + j))
            sums = [a + b for a, b in zip(sums, more, strict=True)]
        loss, count, *total = replica.all_reduce("sum", sums)
        mean = [gradient / count for gradient in total]
        clipped, norm = tf.clip_by_global_norm(mean, clip_norm)
        # Keras adds up over the replicas what is summed already.
        optimizer.apply([part / replicas for part in clipped], weights)
        return loss / count, norm

    # With several replicas XLA compiles forward and backward alone.
    @tf.function(jit_compile=use_xla and replicas == 1, autograph=False)
    def steps(stack, first, count):
        def another(i, loss, norm):
            results = strategy.run(one_step, args=(stack, i, first + i))
            # The same on every replica, after the all-reduce.
            one, norm = (
                strategy.experimental_local_results(result)[0]
                for result in results
            )
            return i + 1, loss + one, norm

        _, loss, norm = tf.while_loop(
            lambda i, loss, norm: i < count, another, (0, 0.0, 0.0)
        )
        return loss / tf.cast(count, tf.float32), norm

    return steps


def share(batch, which, replicas):
    """Cut one replica's rows out of a batch."""
    if replicas == 1:
        return batch
    rows = batch.shape[0] // replicas
    return batch[which * rows : (which + 1) * rows]


def compile_evaluation(model, *, use_xla):
    """Compile a function that measures the mean loss over a dataset.

    Args:
        model: Maps inputs to logits.
        use_xla: Whether XLA compiles.

    Returns:
        A function of a dataset of (inputs, targets, weights); it returns
        the mean loss over all targets that count, in nats, as a float.
    """

    @tf.function(jit_compile=use_xla, autograph=False)
    def sums(inputs, targets, weights):
        return masked_cross_entropy(model(inputs), targets, weights)

    def mean_loss(dataset):
        loss, count = 0.0, 0.0
        for batch in dataset:
            batch_loss, batch_count = sums(*batch)
            loss += float(batch_loss)
            count += float(batch_count)
        return loss / count

    return mean_loss


def train(
    model, optimizer, batches, *, steps, evaluate, evaluate_every,
    start=0, clip_norm=1.0, accumulate=1, seed=0, use_xla=True,
    checkpoints=None,
    checkpoint_every=250, report=lambda row: None,
):  # fmt: skip
    """Train until `steps` are made, or Ctrl-C is pressed.

    Args:
        model: Maps inputs to logits.
        optimizer: From `make_optimizer`.
        batches: Function from a number n to a dataset of (inputs, targets,
            weights) that begins with batch n and does not end.
        steps: Number of steps in all, those before a resume included.
        evaluate: Function without arguments that returns the validation
            loss.
        evaluate_every: Steps between evaluations; the last step has one.
        clip_norm: The gradient's global norm is cut to this.
        accumulate: Number of batches that make one step together.
        seed: Where the random streams of dropout begin.
        use_xla: Whether XLA compiles.
        start: Steps already made, by a run that is resumed.
        checkpoints: A `Checkpoints` to save to, or None.
        checkpoint_every: Steps between checkpoints; the last step has one.
        report: Function of a dictionary: step, loss, valid_loss (None
            between evaluations), learning_rate, grad_norm, tokens_per_s,
            seconds (of this call). It is called after each compiled call.

    Returns:
        The number of steps made: less than `steps` after Ctrl-C, and then
        the checkpoint is saved.

    Raises:
        FloatingPointError: if the loss is no longer a number.
        OSError: if a checkpoint cannot be written.
    """
    done = start
    # The most steps in a call, up to ten, that meet what is due between.
    often = math.gcd(evaluate_every, checkpoint_every)
    call = max(n for n in range(1, 11) if often % n == 0)
    run = compile_steps(
        model, optimizer, clip_norm=clip_norm, accumulate=accumulate,
        seed=seed, use_xla=use_xla,
    )  # fmt: skip
    stacks = iter(
        batches(done * accumulate).batch(call * accumulate).prefetch(2)
    )
    started = time.perf_counter()
    with ctrl_c() as pressed:
        while done < steps and not pressed():
            since = time.perf_counter()
            count = min(call, steps - done)
            stack = next(stacks)
            loss, norm = run(stack, tf.constant(done), tf.constant(count))
            loss, norm = float(loss), float(norm)  # waits for the result
            now = time.perf_counter()
            done += count
            if not np.isfinite([loss, norm]).all():
                raise FloatingPointError(
                    f"At step {done} the loss is {loss} and its gradient's "
                    f"norm {norm}: try a lower learning rate."
                )
            last = done == steps
            measured = done % evaluate_every == 0 or last
            report({
                "step": done,
                "loss": loss,
                "valid_loss": evaluate() if measured else None,
                "learning_rate": float(
                    tf.convert_to_tensor(optimizer.learning_rate)
                ),
                "grad_norm": norm,
                "tokens_per_s": tokens(stack, count) / (now - since),
                "seconds": time.perf_counter() - started,
            })  # fmt: skip
            due = done % checkpoint_every == 0 or last or pressed()
            if checkpoints and due:
                checkpoints.save(done)
    return done


def tokens(stack, count):
    """Count the targets in `count` steps of a stack."""
    targets = stack[1]
    return (
        float(tf.size(targets[0])) * count * targets.shape[0] / len(targets)
    )


@contextlib.contextmanager
def ctrl_c():
    """Notice Ctrl-C instead of stopping at once; the second one stops.

    Yields:
        A function that tells whether it was pressed.
    """
    pressed = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # only the main thread hears signals
        return

    def note(number, frame):
        pressed.append(number)
        sys.stderr.write(
            "\nsaving after this step; again to stop at once\n"
        )
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
