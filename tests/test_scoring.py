import keras
import numpy as np
import pytest

from minitransformer import AdditiveScore, DotScore, GeneralScore, ScaledDotScore, attend

KINDS = {
    "dot": lambda: DotScore(),
    "scaled_dot": lambda: ScaledDotScore(),
    "general": lambda: GeneralScore(units=6),
    "additive": lambda: AdditiveScore(units=7),
}
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]], bool)


def read(score, query, memory, mask=None):
    return attend(score, query, score.keys(memory), memory, mask)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_sum_to_one_and_padding_weighs_nothing(normal, kind):
    score, query, memory = KINDS[kind](), normal(2, 3, 6), normal(2, 5, 6)
    context, weights = read(score, query, memory, MASK)
    assert context.shape == (2, 3, 6)
    assert weights.shape == (2, 3, 5)
    np.testing.assert_allclose(weights.numpy().sum(-1), 1, atol=1e-6)
    assert (weights.numpy()[1, :, 2:] == 0).all()
    memory[1, 2:] = 9
    again, _ = read(score, query, memory, MASK)
    np.testing.assert_allclose(again, context, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_each_query_is_answered_on_its_own(normal, kind):
    score, query, memory = KINDS[kind](), normal(2, 3, 6), normal(2, 5, 6)
    context, _ = read(score, query, memory)
    alone, _ = read(score, query[:, 1:2], memory)
    np.testing.assert_allclose(alone[:, 0], context[:, 1], atol=1e-6)


@pytest.mark.parametrize(("kind", "scale"), [("dot", 1), ("scaled_dot", 6**-0.5)])
def test_same_as_keras_attention(normal, kind, scale):
    query, memory = normal(2, 3, 6), normal(2, 5, 6)
    context, weights = read(KINDS[kind](), query, memory, MASK)
    expected, shares = keras.layers.Attention()(
        [query * np.float32(scale), memory], mask=[None, MASK], return_attention_scores=True
    )
    np.testing.assert_allclose(context, expected, atol=1e-5)
    np.testing.assert_allclose(weights, shares, atol=1e-6)


def test_general_is_a_dot_product_with_projected_keys(normal):
    score, query, memory = (GeneralScore(units=6), normal(2, 3, 6), normal(2, 5, 4))
    scores = score(query, score.keys(memory))
    matrix = score.key_dense.kernel.numpy()  # (4, 6)
    expected = np.einsum("bqu,bkd,du->bqk", query, memory, matrix)
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_same_as_keras_additive_attention(normal):
    query, memory = normal(2, 3, 6), normal(2, 5, 6)
    score = AdditiveScore(units=6)
    read(score, query, memory)
    theirs = keras.layers.AdditiveAttention()
    theirs([query, memory])
    theirs.scale.assign(normal(6))
    # Keras does not project; its scale is our last matrix.
    score.query_dense.kernel.assign(np.eye(6))
    score.key_dense.kernel.assign(np.eye(6))
    score.score_dense.kernel.assign(theirs.scale.numpy()[:, None])
    context, weights = read(score, query, memory, MASK)
    expected, shares = theirs([query, memory], mask=[None, MASK], return_attention_scores=True)
    np.testing.assert_allclose(context, expected, atol=1e-5)
    np.testing.assert_allclose(weights, shares, atol=1e-6)
