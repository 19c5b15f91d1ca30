"""Small trainings with a fault planted in each, for the diagnoses.

Nine tokens in ten repeat the one before the previous one, so a model must
attend to learn. One compiled step serves all trainings with the same mask.
"""

import functools
from unittest import mock

import numpy as np

STEPS, VOCAB, WINDOW, BATCH = 200, 11, 12, 16
UNIFORM = float(np.log(VOCAB))


def tokens(count, seed=0):
    """Draw tokens; the one that follows is usually that of two before."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, VOCAB, count)
    for i in np.flatnonzero(rng.random(count) < 0.9):
        ids[i] = ids[i - 2] if i > 1 else ids[i]
    return ids.astype("int32")


@functools.cache
def compiled(mask=None, clip=1.0):
    """Compile a model, its step and its loss, perhaps with a wrong mask."""
    import tensorflow as tf

    import minitransformer as mt

    sizes = {"max_len": WINDOW, "d_model": 64, "num_heads": 2, "num_layers": 1}
    model = mt.GPT(mt.GPTConfig(vocab_size=VOCAB, **sizes))
    optimizer = mt.make_optimizer(model, learning_rate=1e-2)
    optimizer.build(model.trainable_variables)

    def wrong(seq, key_len=None, start=None):
        return tf.fill((seq, seq), mask == "shows all")

    @tf.function(autograph=False)
    def step(*batch):
        return mt.plain_step(model, optimizer, [batch])

    @tf.function(autograph=False)
    def loss(inputs, targets, weights):
        return mt.masked_cross_entropy(model(inputs), targets, weights)

    right = mock.patch("minitransformer.stacks.causal_mask", wrong)
    if mask:
        right.start()
    with mock.patch("minitransformer.learning.plain_step.CLIP_NORM", clip):
        ids = np.zeros((BATCH, WINDOW), "int32")
        for function in step, loss:
            function.get_concrete_function(ids, ids, np.ones(ids.shape, "float32"))
    if mask:
        right.stop()
    return model, optimizer, step, loss


def train_small(seed, fault=None, steps=STEPS):
    """Train a small GPT with one fault, or none; return the log's rows."""
    import keras

    from minitransformer.learning.training import Row

    masks = {"flat by its mask": "hides all", "no mask": "shows all"}
    clip = 1e9 if fault == "spikes" else 1.0
    model, optimizer, step, loss = compiled(masks.get(fault), clip)
    if fault == "trained weights":
        train_small(seed)
    keras.utils.set_random_seed(seed)
    if fault != "trained weights":
        for gain in model.trainable_variables:  # another fault may have left NaN
            gain.assign(np.ones(gain.shape))
        model.initialize()
    for variable in optimizer.variables:
        variable.assign(np.zeros(variable.shape))
    text = tokens(4400)
    train_ids, valid_ids = text[:4000], text[4000:]
    if fault == "overfitting":
        train_ids = train_ids[:100]
    if fault == "leak":  # the text is one passage, again and again
        train_ids, valid_ids = np.tile(train_ids[:60], 60), np.tile(train_ids[:60], 7)[:400]
    if fault == "high start":
        model.embedding.table.assign(50 * model.embedding.table)
    peak = {"flat by its rate": 1e-7, "NaN": 1e25, "overfitting": 3e-3}
    peak = peak.get(fault, 5e-3)
    rng = np.random.default_rng(seed)

    def batch(ids, starts):
        windows = np.stack([ids[i : i + WINDOW + 1] for i in starts])
        inputs, targets = windows[:, :-1], windows[:, 1:]
        if fault == "same targets":  # targets that are not shifted
            targets = inputs
        return inputs, targets, np.ones(inputs.shape, "float32")

    def validate():
        starts = np.arange(0, len(valid_ids) - WINDOW, WINDOW)
        sums = [loss(*batch(valid_ids, starts[i : i + BATCH])) for i in (0, BATCH)]
        total, weight = np.sum(sums, axis=0)
        return float(total / weight)

    rows, losses, norm = [], [], 0.0
    for done in range(1, steps + 1):
        rate = peak * min(1, done / 40, (steps - done + 5) / 100)
        optimizer.learning_rate.assign(rate)
        drawn = batch(train_ids, rng.integers(0, len(train_ids) - WINDOW, BATCH))
        if fault == "spikes" and 120 < done <= 130:  # broken batches, not clipped
            drawn = drawn[0], rng.integers(0, VOCAB, drawn[1].shape, "int32"), drawn[2]
        found, norm = step(*drawn)
        losses.append(float(found))
        if done % 10 == 0:
            valid = validate() if done % 20 == 0 else None
            rows.append(Row(done, float(np.mean(losses)), valid, rate, float(norm), 1.0, done / 10))
            losses = []
    return rows
