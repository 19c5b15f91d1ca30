import functools
import itertools
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, make_tiny_gpt
from safetensors.numpy import load_file
from small_bert import make_bert

from minitransformer import (
    GPT,
    Checkpoints,
    GPTConfig,
    compile_evaluation,
    consecutive_windows,
    make_optimizer,
    masked_accuracy,
    masked_cross_entropy,
    random_windows,
    train,
)
from minitransformer.learning import checks, fast_steps
from minitransformer.runs.saving import assign_weights

IDS = np.random.default_rng(1).integers(0, 23, 300)


def small_gpt(**options):
    """Make a GPT of one block, which compiles quickly."""
    return make_tiny_gpt(num_layers=1, **options)


def windows(batch_size=4, seed=5):
    return lambda first: random_windows(
        IDS, seq_len=7, batch_size=batch_size, seed=seed, first=first
    )


def fit(model, steps=6, rows=None, batches=None, rate=1e-2, **options):
    optimizer = options.pop("optimizer", None) or make_optimizer(model, learning_rate=rate)
    rows = [] if rows is None else rows
    done = train(
        model,
        optimizer,
        batches or windows(),
        steps=steps,
        **{
            "evaluate": lambda: 0.0,
            "evaluate_every": 3,
            "use_xla": False,
            "report": rows.append,
            **options,
        },
    )
    return done, rows


def descent(model):
    """Plain descent: Adam would forgive a gradient that is too large, and make rounding large."""
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    return optimizer


def assert_same_weights(a, b, exactly=True, atol=0.0):
    for x, y in zip(a.get_weights(), b.get_weights(), strict=True):
        if exactly:
            np.testing.assert_array_equal(x, y)
        else:
            np.testing.assert_allclose(x, y, atol=atol)


def test_a_step_is_clipped_adamw_that_decays_matrices_only(monkeypatch, eagerly):
    monkeypatch.setattr(fast_steps, "CLIP_NORM", 0.5)
    model, by_hand = small_gpt(), small_gpt()
    _, rows = fit(model, steps=1, rate=0.1)
    inputs, targets, weights = next(iter(windows()(0)))
    with tf.GradientTape() as tape:
        loss, count = masked_cross_entropy(by_hand(inputs), targets, weights)
        mean = loss / count
    variables = by_hand.trainable_variables
    gradients = [tf.convert_to_tensor(g).numpy() for g in tape.gradient(mean, variables)]
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    assert rows[0].loss == pytest.approx(float(mean), rel=1e-5)
    assert rows[0].grad_norm == pytest.approx(norm, rel=1e-4)
    assert norm > 0.5
    for ours, before, g in zip(model.trainable_variables, variables, gradients, strict=True):
        g = g * 0.5 / norm
        # The first step of Adam: both moments are the gradient's own.
        change = 0.1 * g / (np.abs(g) + 1e-8)
        decay = 0.1 * 0.1 * before.numpy() if g.ndim == 2 else 0.0
        expected = before.numpy() - decay - change
        far = np.abs(g) > 1e-5  # where ε does not matter
        np.testing.assert_allclose(ours.numpy()[far], expected[far], atol=2e-3)


def test_a_step_goes_no_further_than_the_clipped_gradient(monkeypatch, eagerly):
    # Plain descent: Adam's first step is the same at any scale.
    for clip_norm in (0.5, 1e6):
        model = small_gpt()
        before = model.get_weights()
        optimizer = keras.optimizers.SGD(0.1)
        monkeypatch.setattr(fast_steps, "CLIP_NORM", clip_norm)
        _, rows = fit(model, steps=1, optimizer=optimizer)
        way = np.sqrt(
            sum(
                ((new - old) ** 2).sum()
                for new, old in zip(model.get_weights(), before, strict=True)
            )
        )
        length = min(rows[0].grad_norm, clip_norm)
        assert way == pytest.approx(0.1 * length, rel=1e-3)
    assert rows[0].grad_norm > 0.5


@pytest.mark.slow
def test_the_loss_falls_to_the_lowest_possible():
    keras.utils.set_random_seed(0)
    model = small_gpt()
    ids = np.tile([3, 1, 4, 1, 5, 9, 2, 6], 40)
    _, rows = fit(
        model,
        steps=120,
        rate=3e-3,
        evaluate_every=60,
        batches=lambda first: random_windows(ids, seq_len=7, batch_size=4, seed=0, first=first),
    )
    assert rows[-1].loss < 0.3 * rows[0].loss


@pytest.mark.slow
def test_accumulated_batches_are_one_large_batch(eagerly):
    large, small = small_gpt(), small_gpt()

    def halves(first):
        def count_some(batch):
            inputs, targets, weights = batch
            counted = tf.range(7) < 2 + inputs[0, 0] % 5
            return inputs, targets, weights * tf.cast(counted, tf.float32)

        return windows()(first).map(count_some)

    def whole(first):
        # The same two batches of 4, as one of 8.
        return (
            halves(2 * first)
            .batch(2, drop_remainder=True)
            .map(lambda *parts: tuple(tf.concat(tf.unstack(p), 0) for p in parts))
        )

    _, one = fit(large, steps=4, batches=whole)
    _, two = fit(small, steps=4, batches=halves, accumulate=2)
    assert one[-1].loss == pytest.approx(two[-1].loss, rel=1e-4)
    assert_same_weights(large, small, exactly=False, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("use_xla", [False, True])
def test_a_batch_read_in_parts_makes_the_same_step(monkeypatch, use_xla):
    models = small_gpt(), small_gpt()
    # 4 rows of 7 in two halves: parts of 14 tokens are 2 rows, and of 7, one.
    for model, part in zip(models, (14, 7), strict=True):
        monkeypatch.setattr(fast_steps, "PART", part)
        fit(model, steps=3, use_xla=use_xla, optimizer=descent(model))
    assert_same_weights(*models, exactly=False, atol=1e-6)


@pytest.mark.parametrize(("part", "parts"), [(96, 1), (95, 2), (48, 2), (40, 3), (1, 12)])
def test_parts_are_as_large_as_they_may_be(monkeypatch, part, parts):
    monkeypatch.setattr(fast_steps, "PART", part)
    stack = np.zeros((3, 12, 8)), np.zeros((3, 12, 5))
    assert fast_steps.count_parts(stack) == parts


@pytest.mark.parametrize(("rows", "replicas", "halves"), [(6, 1, 2), (5, 1, 1), (6, 2, 1)])
def test_two_cores_share_a_batch_that_can_be_halved(rows, replicas, halves):
    assert fast_steps.count_halves(np.zeros((3, rows, 8)), replicas) == halves


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dropout_rate", "use_xla", "accumulate"), [(0.4, False, 1), (0.4, False, 2), (0.4, True, 1)]
)
def test_resumed_training_ends_with_the_same_weights_bit_for_bit(
    tmp_path, dropout_rate, use_xla, accumulate
):
    def start(folder):
        model = small_gpt(dropout_rate=dropout_rate)
        optimizer = make_optimizer(model, learning_rate=1e-2)
        state = [*model.trainable_variables, *optimizer.variables]
        return model, {
            "optimizer": optimizer,
            "use_xla": use_xla,
            "checkpoints": (kept := Checkpoints(tmp_path / folder, state)),
            "start": kept.restore(),
            "save_every": 3,
            "accumulate": accumulate,
            "seed": 7,
        }

    whole, options = start("whole")
    _, rows = fit(whole, steps=8, **options)
    first, options = start("parts")
    fit(first, steps=3, **options)
    # The checkpoint at the end of a shorter run is one on the way of a
    # longer one, as the learning rate here does not depend on its length.
    second, options = start("parts")
    done, later = fit(second, steps=8, **options)
    assert done == 8
    assert [row.step for row in later] == [6, 8]
    assert later[-1].loss == rows[-1].loss
    assert_same_weights(whole, second)


@pytest.mark.slow
def test_dropout_differs_from_step_to_step_and_with_the_seed(eagerly):
    losses = {}
    for seed in (1, 1, 2):
        model = small_gpt(dropout_rate=0.5)
        _, rows = fit(
            model,
            steps=4,
            rate=0.0,
            seed=seed,
            evaluate_every=1,
            batches=lambda first: windows()(0).take(1).repeat(),
        )
        new = [row.loss for row in rows]
        if seed in losses:
            assert losses[seed] == new
        losses[seed] = new
        assert len(set(new)) == 4
    assert losses[1] != losses[2]


@pytest.mark.slow
def test_xla_and_plain_tensorflow_agree():
    plain, compiled = small_gpt(), small_gpt()
    _, one = fit(plain, steps=5, rate=1e-3)
    _, two = fit(compiled, steps=5, rate=1e-3, use_xla=True)
    assert one[-1].loss == pytest.approx(two[-1].loss, rel=1e-4)


def test_each_call_reports_a_row_and_the_last_step_is_validated():
    _, rows = fit(small_gpt(), steps=33, evaluate_every=20, evaluate=lambda: 1.5)
    assert [row.step for row in rows] == [10, 20, 30, 33]
    losses = [row.valid_loss for row in rows]
    assert losses == [None, 1.5, None, 1.5]
    assert all(row.tokens_per_s > 0 for row in rows)


def test_validation_is_the_mean_over_all_targets(eagerly):
    model = small_gpt(dropout_rate=0.5)
    mean_loss = compile_evaluation(model, use_xla=False)
    loss = mean_loss(consecutive_windows(IDS, seq_len=7, batch_size=4))
    total = 0.0
    for i in range(0, len(IDS) - 1, 7):
        part = IDS[i : i + 8][None]
        weights = np.ones((1, part.shape[1] - 1))
        total += masked_cross_entropy(model(part[:, :-1]), part[:, 1:], weights)[0]
    assert loss == pytest.approx(float(total) / (len(IDS) - 1), rel=1e-5)


def test_ctrl_c_saves_and_stops(eagerly, tmp_path):
    model = small_gpt()
    optimizer = make_optimizer(model, learning_rate=1e-2)
    checkpoints = Checkpoints(tmp_path, model.trainable_variables)
    before = signal.getsignal(signal.SIGINT)

    def press(row):
        if row.step == 6:
            signal.raise_signal(signal.SIGINT)

    done, _ = fit(model, steps=30, optimizer=optimizer, checkpoints=checkpoints, report=press)
    assert done == 6
    assert [step for step, _ in checkpoints.files()] == [6]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_stops_at_once(eagerly):
    def press(row):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(small_gpt(), steps=30, report=press)


def test_a_nan_loss_stops_the_training_with_advice(eagerly):
    rows = []
    with pytest.raises(FloatingPointError, match="lower learning rate"):
        fit(small_gpt(), rate=1e25, steps=12, report=rows.append)
    assert not np.isfinite([rows[-1].loss, rows[-1].grad_norm]).all()
    assert rows[-1].valid_loss is None


def test_nan_weights_are_refused_before_the_first_step(eagerly):
    model = small_gpt()
    model.embedding.table.assign(np.full((23, 12), np.nan))
    with pytest.raises(ValueError, match="table holds NaN or infinity before"):
        fit(model)


def batches_of(inputs=0, targets=0, weight=1.0, count=None, sizes=(4,)):
    """A function that makes a dataset whose third batch is changed."""
    ids = np.arange(7) % 11

    def make(first):
        def generate():
            for n in itertools.count(first) if count is None else range(first, count):
                rows, changed = sizes[n % len(sizes)], n == 2
                x = np.tile(ids, (rows, 1))
                weights = np.full((rows, 7), weight if changed else 1.0)
                yield x + changed * inputs, x + changed * targets, weights

        spec = tf.TensorSpec((None, 7), tf.int32)
        weights = tf.TensorSpec((None, 7), tf.float32)
        return tf.data.Dataset.from_generator(generate, output_signature=(spec, spec, weights))

    return make


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (batches_of(weight=0.0), "no target counts"),
        (batches_of(weight=-1.0), "no target counts"),
        (batches_of(weight=np.nan), "no target counts"),
        (batches_of(inputs=20), "ids from 0 to 26"),
        (batches_of(inputs=-1), "ids from -1 to 6"),
        (batches_of(targets=20), "targets are from 0 to 26"),
        (batches_of(count=5), "3 batches, and 2 were left"),
        (batches_of(count=0), "and 0 were left"),
        (batches_of(sizes=(4, 4, 2)), "drop_remainder=True"),
    ],
)
def test_wrong_batches_are_refused_with_the_reason(eagerly, batches, message):
    with pytest.raises(ValueError, match=message):
        fit(small_gpt(), batches=batches, save_every=3)


def test_a_nan_loss_is_traced_to_its_cause():
    # XLA makes NaN of a target that is outside of the vocabulary.
    stack = [np.zeros((1, 2, 7), "int32"), np.full((1, 2, 7), 23), np.ones((1, 2, 7))]
    assert "23" in checks.likely_cause(small_gpt(), stack)
    stack[1] -= 1
    assert checks.likely_cause(small_gpt(), stack) is None
    stack[2][0, 1, 3] = np.inf
    assert "infinity" in checks.likely_cause(small_gpt(), stack)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ([], "Cannot evaluate"),
        ([(np.zeros((1, 3), "i4"), np.zeros((1, 3), "i4"), np.zeros((1, 3)))], "add up to 0"),
        ([(np.zeros((1, 3), "i4"), np.full((1, 3), 99), np.ones((1, 3)))], "targets are from 99"),
        ([(np.full((1, 3), 99), np.zeros((1, 3), "i4"), np.ones((1, 3)))], "ids from 99"),
    ],
)
def test_an_evaluation_without_data_or_with_wrong_ids_is_refused(eagerly, dataset, message):
    with pytest.raises(ValueError, match=message):
        compile_evaluation(small_gpt(), use_xla=False)(dataset)


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("steps", -1, ValueError),
        ("steps", 2.5, TypeError),
        ("steps", 2**31, ValueError),
        ("accumulate", 0, ValueError),
        ("evaluate_every", 0, ValueError),
        ("save_every", None, TypeError),
        ("seed", "x", TypeError),
        ("seed", -1, ValueError),
        ("evaluate", 3.0, TypeError),
        ("batches", [1, 2], TypeError),
        ("batches", lambda n: [1, 2], TypeError),
        ("batches", lambda n: tf.data.Dataset.range(9), TypeError),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused_by_name(argument, value, error):
    with pytest.raises(error, match=argument) as caught:
        fit(small_gpt(), **{argument: value})
    assert len(str(caught.value)) < 300


def test_numpy_numbers_are_numbers(eagerly):
    done, _ = fit(small_gpt(), steps=np.int64(3), seed=np.uint8(1), accumulate=np.int32(1))
    assert done == 3


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
@pytest.mark.parametrize("number", ["SIGTERM", pytest.param("SIGHUP", marks=pytest.mark.slow)])
def test_a_signal_saves_and_then_acts_as_usual(eagerly, tmp_path, number):
    number, heard = getattr(signal, number), []
    model = small_gpt()
    checkpoints = Checkpoints(tmp_path, model.trainable_variables)
    before = signal.signal(number, lambda *_: heard.append(checkpoints.files()[0][0]))
    try:
        fit(
            model,
            steps=30,
            checkpoints=checkpoints,
            report=lambda row: row.step == 6 and signal.raise_signal(number),
        )
        assert heard == [6]  # after saving, once
        signal.signal(number, signal.SIG_IGN)  # as `nohup` does
        done, _ = fit(model, steps=9, report=lambda row: signal.raise_signal(number))
        assert done == 9
    finally:
        signal.signal(number, before)


def from_pytorch(tensors, kind, num_layers):
    """Name the peer's tensors as ours; a Linear's matrix is transposed."""
    theirs = {
        name.removeprefix(f"{kind}/"): tensor
        for name, tensor in tensors.items()
        if name.startswith(f"{kind}/")
    }
    ours = {
        "embedding/table": theirs["embedding.weight"],
        "positions/table": theirs["positions.weight"],
        "decoder/final_norm/gain": theirs["final_norm.weight"],
    }
    for i in range(num_layers):
        old, new = f"blocks.{i}.", f"decoder/block_{i}/"
        for norm in ("attention_norm", "feed_forward_norm"):
            ours[f"{new}{norm}/gain"] = theirs[f"{old}{norm}.weight"]
        parts = np.split(theirs[f"{old}query_key_value.weight"], 3)
        for name, part in zip(("query", "key", "value"), parts, strict=True):
            ours[f"{new}self_attention/{name}_dense/kernel"] = part.T
        for name, place in (
            ("output", "self_attention"),
            ("expand", "feed_forward"),
            ("contract", "feed_forward"),
        ):
            matrix = theirs[f"{old}{name}.weight"].T
            ours[f"{new}{place}/{name}_dense/kernel"] = matrix
    return ours


@pytest.mark.parametrize("use_xla", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_twenty_steps_are_those_of_pytorch(use_xla):
    peer = load_file(ROOT / "tests" / "fixtures" / "pytorch_steps.safetensors")
    model = GPT(
        GPTConfig(vocab_size=29, max_len=16, d_model=24, num_heads=3, num_layers=2, use_bias=False)
    )
    assign_weights(model, from_pytorch(peer, "weight", 2))
    inputs, targets = peer["inputs"], peer["targets"]

    with tf.GradientTape() as tape:
        loss, count = masked_cross_entropy(model(inputs[0]), targets[0], np.ones(targets[0].shape))
        loss = loss / count
    ours = tape.gradient(loss, model.trainable_variables)
    theirs = from_pytorch(peer, "gradient", 2)
    for weight, gradient in zip(model.trainable_variables, ours, strict=True):
        name = weight.path.removeprefix("gpt/")
        np.testing.assert_allclose(tf.convert_to_tensor(gradient), theirs[name], atol=1e-5)

    _, rows = fit(
        model,
        steps=20,
        rate=1e-2,
        evaluate_every=1,
        use_xla=use_xla,
        batches=lambda first: tf.data.Dataset.from_tensor_slices(
            (inputs, targets, np.ones(targets.shape, "float32"))
        ),
    )
    np.testing.assert_allclose([row.loss for row in rows], peer["losses"], atol=1e-3)


def test_label_smoothing_is_for_the_step_and_not_for_validation(eagerly):
    model = small_gpt()
    inputs, targets, weights = next(iter(windows()(0)))
    logits = model(inputs)
    expected = {
        smoothing: float(loss / count)
        for smoothing in (0.0, 0.3)
        for loss, count in [masked_cross_entropy(logits, targets, weights, smoothing)]
    }
    mean_loss = compile_evaluation(model, use_xla=False)
    data = [(inputs, targets, weights)]
    assert mean_loss(data) == pytest.approx(expected[0.0], rel=1e-5)
    accuracy = compile_evaluation(model, use_xla=False, measure=masked_accuracy)
    right = np.mean(np.argmax(logits, axis=-1) == targets.numpy())
    assert accuracy(data) == pytest.approx(right)
    loss = functools.partial(masked_cross_entropy, label_smoothing=0.3)
    _, rows = fit(model, steps=1, loss=loss)
    assert rows[0].loss == pytest.approx(expected[0.3], rel=1e-5)
    assert abs(expected[0.3] - expected[0.0]) > 0.01


def test_the_speed_counts_all_accumulated_tokens(eagerly):
    rows = []
    fit(small_gpt(), steps=3, rows=rows, accumulate=2)
    # A step of two batches of 4 · 7 targets, in a part of the time.
    row = rows[0]
    assert row.tokens_per_s * row.seconds >= 0.999 * 2 * 4 * 7


def test_the_longest_row_of_tokens_is_found():
    stack = (np.zeros((3, 2, 5)), np.zeros((3, 2, 7))), np.zeros((3, 2, 1))
    assert fast_steps.longest(stack) == 7


@pytest.mark.parametrize("part", [7, 10_000])
def test_several_tasks_are_learned_in_one_step(monkeypatch, eagerly, part):
    # As many parts as rows, or one: the loss and the gradient are the same.
    from minitransformer import BertPretraining

    monkeypatch.setattr(fast_steps, "PART", part)
    keras.utils.set_random_seed(0)
    model = BertPretraining(make_bert())
    rng = np.random.default_rng(1)
    ids, words = rng.integers(5, 23, (4, 7)), rng.integers(5, 23, (4, 3))
    follows = rng.integers(0, 2, (4, 1))
    weights = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 0, 1]], "f4")
    places = np.array([[1, 2, 5]] * 4)
    share = np.full((4, 1), weights.sum() / 4, "f4")
    batch = ((ids, 0 * ids, places), (words, follows), (weights, share))
    expected = 0.0
    for logits, target, weight in zip(model(*batch[0]), batch[1], batch[2], strict=True):
        total, count = masked_cross_entropy(logits, target, weight)
        expected += float(total / count)
    _, rows = fit(
        model, steps=1, batches=lambda first: tf.data.Dataset.from_tensors(batch).repeat()
    )
    assert rows[0].loss == pytest.approx(expected, rel=1e-5)
    assert rows[0].grad_norm > 0


def test_positions_are_no_vocabulary_and_floats_no_ids():
    # 23 tokens and 50 positions: id 30 is wrong.
    model = small_gpt(max_len=50)
    checks.check_ids(model, np.full((2, 7), 22))
    with pytest.raises(ValueError, match=r"ids from 30 to 30.*from 0 to 22"):
        checks.check_ids(model, np.full((2, 7), 30))
    checks.check_ids(model, (np.full((2, 7), 22), np.full((2, 7), 30)))  # as BERT's positions
    checks.check_ids(model, np.full((2, 7), 30.5))
