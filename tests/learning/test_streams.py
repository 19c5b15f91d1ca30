import keras
import numpy as np
import pytest
import tensorflow as tf

from minitransformer.learning import fast_steps


class Dropped(keras.Model):
    """Ones, of which dropout takes some; its norm keeps a moving mean."""

    def __init__(self):
        super().__init__()
        self.norm = keras.layers.BatchNormalization(center=False, scale=False)
        self.dropout = keras.layers.Dropout(0.5)
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, ids, training=False):
        ones = tf.ones_like(self.norm(tf.cast(ids, tf.float32)[..., None], training=training))
        return self.scale * self.dropout(ones, training=training)


def make_steps_of_dropped(accumulate=1):
    model = Dropped()
    model(np.zeros((2, 50), "int32"))
    optimizer = keras.optimizers.SGD(0.0)
    optimizer.build(model.trainable_variables)

    def loss(logits, targets, weights):
        return tf.reduce_sum(logits[..., 0] * targets), tf.reduce_sum(weights)

    return model, fast_steps.compile_steps(
        model, optimizer, seed=0, use_xla=False, loss=loss, accumulate=accumulate
    )


@pytest.mark.parametrize(
    "signs",  # of the rows of each batch, every row is a part
    [[[1, -1]], [[1, 1], [-1, -1]], [[1, -1, 1, -1]]],
    ids=["halves", "batches", "parts"],
)
def test_the_parts_of_a_step_drop_different_values(monkeypatch, signs):
    monkeypatch.setattr(fast_steps, "PART", 50)
    _, steps = make_steps_of_dropped(accumulate=len(signs))
    # What some rows keep is subtracted from what the others keep.
    signs = np.repeat(np.array(signs, "float32")[..., None], 50, axis=2)
    stack = tuple(map(tf.constant, (np.zeros(signs.shape, "int32"), signs, np.ones_like(signs))))
    loss, _ = steps(stack, tf.constant(0), tf.constant(1))
    assert abs(float(loss)) > 0.001


def test_random_numbers_that_would_stand_still_are_refused():
    model, steps = make_steps_of_dropped()
    model.dropout = lambda x, training: keras.random.dropout(x, 0.5)
    stack = tuple(map(tf.constant, (np.zeros((1, 2, 50), "int32"), *np.ones((2, 1, 2, 50), "f4"))))
    with pytest.raises(ValueError, match=r"make a keras\.random\.SeedGenerator"):
        steps(stack, tf.constant(0), tf.constant(1))


def test_a_moving_mean_is_kept():
    model, steps = make_steps_of_dropped()
    ids = np.full((1, 2, 50), 7, "int32")
    stack = tuple(map(tf.constant, (ids, np.ones(ids.shape, "float32"), np.ones(ids.shape, "f4"))))
    steps(stack, tf.constant(0), tf.constant(1))
    # Two halves, each moves it by a hundredth of the rest.
    assert float(model.norm.moving_mean[0]) == pytest.approx(7 * (1 - 0.99**2), rel=1e-4)
