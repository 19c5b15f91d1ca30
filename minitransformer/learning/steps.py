"""Steps: what training does again and again, compiled.

Read a batch, compare the logits with the targets, follow the gradient.
"""

import keras
import numpy as np
import tensorflow as tf

from minitransformer.learning.losses import masked_cross_entropy

PART = 768  # tokens read at a time: their activations fit into the caches


def make_optimizer(
    model, *, learning_rate, weight_decay=0.1, beta_2=0.99, epsilon=1e-8
):
    """Make AdamW that decays matrices only, not gains and biases.

    Args:
        model: A built model.
        learning_rate: A number or a schedule.
        weight_decay: Share of a matrix taken away, times the learning rate.
        beta_2: How long the second moment remembers.
        epsilon: Added to the second moment's root.

    Returns:
        A built Keras optimizer; without decay it is Adam.

    References:
        Loshchilov & Hutter 2019, algorithm 2; the values are nanoGPT's.
    """
    optimizer = keras.optimizers.AdamW(
        learning_rate,
        beta_1=0.9,
        beta_2=beta_2,
        epsilon=epsilon,
        weight_decay=weight_decay,
    )
    weights = model.trainable_variables
    vectors = [weight for weight in weights if len(weight.shape) < 2]
    if vectors:
        optimizer.exclude_from_weight_decay(var_list=vectors)
    optimizer.build(weights)
    return optimizer


def random_streams(model, seed):
    """List a model's Dropout states, each with a number of its own."""
    return [
        (variable, np.random.SeedSequence((seed, i)).generate_state(1)[0])
        for i, variable in enumerate(model.non_trainable_variables)
        if variable.path.endswith("seed_generator_state")
    ]


def call(model, inputs, **options):
    """Call a model with its inputs: one, or several in a tuple."""
    if isinstance(inputs, tuple):
        return model(*inputs, **options)
    return model(inputs, **options)


def compare(measure, logits, targets, weights, *options):
    """Measure the answers to one question, or to several in tuples.

        loss = (Σ first losses + Σ second losses + …) / Σ first weights

    For losses: accuracies of several questions are no sum.

    Args:
        measure: `masked_cross_entropy`, or another of its form.
        logits, targets, weights: As for it; or a tuple of each. Then the
            weights of the first question count what is divided by, and the
            others' say how much theirs matter beside it.
        *options: Given to `measure`, too.

    Returns:
        Two scalars: the sum, and what to divide it by.
    """
    if not isinstance(logits, tuple):
        return measure(logits, targets, weights, *options)
    questions = zip(logits, targets, weights, strict=True)
    sums = [measure(*question, *options) for question in questions]
    return sum(one for one, _ in sums), sums[0][1]


def compile_steps(
    model,
    optimizer,
    *,
    clip_norm,
    accumulate,
    seed,
    use_xla,
    label_smoothing=0.0,
):
    """Compile a function that makes several training steps.

    Args:
        model: Maps inputs to logits.
        optimizer: A built Keras optimizer.
        clip_norm: The gradient's global norm is cut to this.
        accumulate: Number of batches that make one step together.
        seed: Where the random streams of dropout begin.
        use_xla: Whether XLA compiles.
        label_smoothing: As for `masked_cross_entropy`.

    Returns:
        A function of a stack of batches `(steps · accumulate, …)`, the
        number of the first step, and how many to make; it returns their
        mean loss and the last gradient's norm before clipping.
    """
    strategy = tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync
    weights = model.trainable_variables
    dropouts = random_streams(model, seed)

    @tf.function(jit_compile=use_xla, autograph=False)
    def gradients(inputs, targets, token_weights):
        with tf.GradientTape() as tape:
            logits = call(model, inputs, training=True)
            sums = compare(
                masked_cross_entropy,
                logits,
                targets,
                token_weights,
                label_smoothing,
            )
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

        rows = tf.nest.flatten(stack)[0].shape[1]
        parts = count_parts(rows, longest(stack), replicas)

        def add_part(j, *sums):
            # Each replica takes its own rows, and a part of them at a time.
            part = tf.nest.map_structure(
                lambda array: share(
                    array[i * accumulate + j // parts],
                    which * parts + j % parts,
                    replicas * parts,
                ),
                stack,
            )
            more = gradients(*part)
            return j + 1, *(a + b for a, b in zip(sums, more, strict=True))

        _, *sums = tf.while_loop(
            lambda j, *sums: j < accumulate * parts,
            add_part,
            (0, 0.0, 0.0, *(tf.zeros(w.shape) for w in weights)),
        )
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


def longest(stack):
    """Find the longest row of tokens in a stack `(steps, batch, seq)`."""
    return max(array.shape[2] for array in tf.nest.flatten(stack))


def count_parts(rows, seq, replicas):
    """Count the parts into which a replica cuts its rows of a batch."""
    rows //= replicas
    return next(
        n
        for n in range(1, rows + 1)
        if (rows % n == 0 and rows // n * seq <= PART) or n == rows
    )


def share(batch, which, replicas):
    """Cut one replica's rows out of a batch."""
    if replicas == 1:
        return batch
    rows = batch.shape[0] // replicas
    if rows * replicas != batch.shape[0]:
        raise ValueError(
            f"A batch of {batch.shape[0]} cannot be shared by {replicas} "
            f"replicas: use a multiple of {replicas}."
        )
    begin = tf.cast(which * rows, tf.int32)
    rest = batch.shape[1:]
    return tf.slice(batch, (begin, *[0] * len(rest)), (rows, *rest))


def compile_evaluation(model, *, use_xla, measure=masked_cross_entropy):
    """Compile a function that measures a mean over a dataset.

    Args:
        model: Maps inputs to logits.
        use_xla: Whether XLA compiles.
        measure: What is measured: the loss, or `masked_accuracy`.

    Returns:
        A function of a dataset of (inputs, targets, weights); it returns
        the mean over all targets that count, as a float.
    """

    @tf.function(jit_compile=use_xla, autograph=False)
    def sums(inputs, targets, weights):
        return compare(measure, call(model, inputs), targets, weights)

    def mean_loss(dataset):
        loss, count = 0.0, 0.0
        for batch in dataset:
            batch_loss, batch_count = sums(*batch)
            loss += float(batch_loss)
            count += float(batch_count)
        return loss / count

    return mean_loss
