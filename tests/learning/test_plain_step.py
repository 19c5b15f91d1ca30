"""The plain step and the fast one are the same steps."""

import numpy as np
import pytest
import tensorflow as tf
from test_training import descent, fit, small_gpt, windows

from minitransformer import make_optimizer, masked_cross_entropy, plain_step
from minitransformer.learning import fast_steps


def train_plainly(model, steps, accumulate, loss=masked_cross_entropy):
    optimizer = descent(model)
    batches, results = iter(windows()(0)), []
    for _ in range(steps):
        group = [next(batches) for _ in range(accumulate)]
        loss_and_norm = plain_step(model, optimizer, group, loss)
        results.append([float(number) for number in loss_and_norm])
    return results


@pytest.mark.parametrize(
    ("accumulate", "use_xla"),
    [(1, False), (2, False), pytest.param(2, True, marks=pytest.mark.slow)],
)
def test_fast_steps_find_the_losses_norms_and_weights_of_plain_ones(
    monkeypatch, accumulate, use_xla
):
    # Three steps in one call, and a batch of 4 rows of 7 in two halves of two parts.
    monkeypatch.setattr(fast_steps, "PART", 7)
    plain, fast = small_gpt(), small_gpt()
    expected = train_plainly(plain, steps=3, accumulate=accumulate)
    _, rows = fit(
        fast,
        steps=3,
        optimizer=descent(fast),
        accumulate=accumulate,
        evaluate_every=10,
        use_xla=use_xla,
    )
    losses, norms = zip(*expected, strict=True)
    assert len(rows) == 1
    assert rows[0].loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert rows[0].grad_norm == pytest.approx(norms[-1], rel=1e-4)
    for ours, theirs in zip(fast.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_plain_steps_alone_train_a_model(eagerly):
    model = small_gpt()
    optimizer = make_optimizer(model, learning_rate=1e-2)
    batch = next(iter(windows()(0)))
    losses = [float(plain_step(model, optimizer, [batch])[0]) for _ in range(10)]
    assert losses[-1] < 0.7 * losses[0]


def test_another_loss_is_followed(eagerly):
    def doubled(logits, targets, weights):
        loss_sum, weight_sum = masked_cross_entropy(logits, targets, weights)
        return 2 * loss_sum, weight_sum

    (loss, norm), (other_loss, other_norm) = (
        train_plainly(small_gpt(), 1, 1, loss)[0] for loss in (masked_cross_entropy, doubled)
    )
    assert other_loss == pytest.approx(2 * loss)
    assert other_norm == pytest.approx(2 * norm, rel=1e-4)


def test_epsilon_is_added_before_the_second_moment_is_corrected():
    # Keras' place of ε; by algorithm 1 of Adam the step would be 0.05.
    model = small_gpt()
    optimizer = make_optimizer(model, learning_rate=0.1, weight_decay=0.0, beta_2=0.98)
    bias = next(v for v in model.trainable_variables if len(v.shape) == 1)
    before = bias.numpy()
    gradient = [tf.fill(v.shape, 1e-8) for v in model.trainable_variables]
    optimizer.apply(gradient, model.trainable_variables)
    expected = 0.1 / (1 + 1 / np.sqrt(1 - 0.98))  # 0.0124
    np.testing.assert_allclose(before - bias.numpy(), expected, rtol=1e-2)
