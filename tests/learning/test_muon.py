import keras
import numpy as np
import pytest
import tensorflow as tf

from minitransformer import (
    GPT,
    Bert,
    BertConfig,
    BertPretraining,
    GPTConfig,
    NGramGPT,
    NGramGPTConfig,
    make_muon_optimizer,
    plain_step,
)
from minitransformer.learning.fast_steps import compile_steps
from minitransformer.learning.muon import orthogonalize


@pytest.mark.parametrize("shape", [(5, 9), (9, 5)])
def test_directions_stay_and_sizes_become_equal(normal, shape):
    u, _, vt = np.linalg.svd(normal(*shape), full_matrices=False)
    matrix = ((u * [3.0, 1.0, 0.5, 0.2, 0.1]) @ vt).astype("float32")
    sizes = np.einsum("ji,jk,ik->i", u, orthogonalize(matrix), vt)
    assert ((sizes > 0.68) & (sizes < 1.21)).all()
    np.testing.assert_allclose((u * sizes) @ vt, orthogonalize(matrix), atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 9), (9, 5)])
def test_a_step_is_the_equations(normal, shape):
    weight = keras.Variable(normal(*shape))
    model = keras.Model()
    model.weight = weight
    optimizer = make_muon_optimizer(model, learning_rate=0.1, weight_decay=0.3)
    expected, momentum = weight.numpy(), 0.0
    for _ in range(3):
        gradient = normal(*shape)
        momentum = 0.95 * momentum + gradient
        update = 0.2 * 9**0.5 * orthogonalize(gradient + 0.95 * momentum).numpy()
        expected = expected - 0.1 * (update + 0.3 * expected)
        optimizer.apply([gradient], [weight])
    np.testing.assert_allclose(weight, expected, atol=1e-5)


def test_only_matrices_of_blocks_learn_by_muon(tiny_gpt):
    optimizer = make_muon_optimizer(tiny_gpt, learning_rate=0.1)
    adam = {
        variable.path
        for variable, velocity in zip(
            tiny_gpt.trainable_variables, optimizer.adam_velocities, strict=True
        )
        if velocity is not None
    }
    vectors = {v.path for v in tiny_gpt.trainable_variables if len(v.shape) < 2}
    assert adam - vectors == {"gpt/embedding/table", "gpt/positions/table"}
    assert vectors < adam


def test_a_memory_and_a_pooler_do_not_learn_by_muon():
    sizes = {"vocab_size": 23, "max_len": 11, "d_model": 16, "num_heads": 2, "num_layers": 1}
    memory = NGramGPT(NGramGPTConfig(**sizes, longest=3, rows=50))
    pooler = BertPretraining(Bert(BertConfig(**sizes)))
    for model, name in (
        (memory, "memory_2"),
        (memory, "memory_3"),
        (pooler, "pooler_dense/kernel"),
    ):
        optimizer = make_muon_optimizer(model, learning_rate=0.1)
        [index] = [i for i, v in enumerate(model.trainable_variables) if v.path.endswith(name)]
        assert optimizer.adam_velocities[index] is not None


def test_tables_and_matrices_decay_alike(tiny_gpt):
    optimizer = make_muon_optimizer(tiny_gpt, learning_rate=0.1, weight_decay=0.3)
    variables = tiny_gpt.trainable_variables
    before = [v.numpy() for v in variables]
    optimizer.apply([tf.zeros(v.shape) for v in variables], variables)
    for old, variable in zip(before, variables, strict=True):
        kept = 0.97 if old.ndim > 1 else 1.0  # vectors do not decay
        np.testing.assert_allclose(variable, kept * old, rtol=1e-5)
        variable.assign(old)


def test_compiled_steps_are_plain_steps(rng):
    sizes = {"vocab_size": 23, "max_len": 11, "d_model": 12, "num_heads": 3, "num_layers": 1}
    ids = rng.integers(0, 23, (4, 2, 12)).astype("int32")
    stack = ids[..., :-1], ids[..., 1:], np.ones((4, 2, 11), "float32")
    results = []
    for compiled in (False, True):
        keras.utils.set_random_seed(3)
        model = GPT(GPTConfig(**sizes))
        optimizer = make_muon_optimizer(model, learning_rate=0.01)
        if compiled:
            steps = compile_steps(model, optimizer, seed=0, use_xla=False)
            steps(tf.nest.map_structure(tf.constant, stack), tf.constant(0), tf.constant(4))
        else:
            for i in range(4):
                plain_step(model, optimizer, [tuple(part[i] for part in stack)])
        results.append([v.numpy() for v in model.trainable_variables])
    for plain, fast in zip(*results, strict=True):
        np.testing.assert_allclose(plain, fast, atol=1e-4)


def test_a_rate_that_makes_no_sense_is_refused(tiny_gpt):
    with pytest.raises(ValueError, match="learning_rate"):
        make_muon_optimizer(tiny_gpt, learning_rate=-1.0)
    with pytest.raises(ValueError, match="beta_2"):
        make_muon_optimizer(tiny_gpt, learning_rate=0.1, beta_2=1.0)
