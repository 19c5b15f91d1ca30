"""One vector of another run, at one site and one position."""

import numpy as np
import pytest
import tensorflow as tf
from test_contract import HEADS, KEY, QUERY, bert, ids, transformer
from test_lens import gpt

import minitransformer as mt

POSITION = 4  # where the two texts differ


def logit(logits):
    return logits[0, -1, 5]


def test_a_patch_acts_where_the_texts_differ_and_not_before():
    model, one = gpt(), ids(KEY)[:1]
    other = one.copy()
    other[0, POSITION] = one[0, POSITION] % 20 + 1
    effects = mt.patch_effects(model, one, other, ["embeddings", "block1"], logit)
    assert effects.shape == (2, KEY)
    here, there = (float(logit(model(x))) for x in (one, other))
    assert abs(here - there) > 0.01
    # The embeddings differ at one position, which makes the whole difference.
    expected = np.full(KEY, here)
    expected[POSITION] = there
    np.testing.assert_allclose(effects[0], expected, rtol=1e-4, atol=1e-5)
    # After the last block, only the last position reaches the last logits.
    expected = np.full(KEY, here)
    expected[-1] = there
    np.testing.assert_allclose(effects[1], expected, rtol=1e-4, atol=1e-5)


def test_models_with_two_inputs_can_be_patched():
    model, target = transformer(), ids(QUERY)
    one, other = (ids(KEY), target), (ids(KEY)[::-1], target)
    effects = mt.patch_effects(model, one, other, ["encoder.block0"], logit)
    assert effects.shape == (1, KEY)
    assert len(set(effects[0])) > 1


def test_a_patched_head_moves_at_all_positions():
    model = gpt()
    one, other = ids(KEY)[:1], ids(KEY)[:1, ::-1]
    site = "block1.self.heads"
    effects = mt.patch_effects(model, one, other, [site], logit)
    assert effects.shape == (1, HEADS)
    here, there = (mt.capture(model, x, [site])[site].numpy() for x in (one, other))
    here[:, 2] = there[:, 2]
    expected = logit(mt.capture(model, one, ["logits"], {site: here})["logits"])
    np.testing.assert_allclose(effects[0, 2], expected, rtol=1e-4, atol=1e-5)


def test_another_output_can_be_measured():
    def length(hidden):
        return tf.norm(hidden[0, POSITION])

    model, one, other = bert(), ids(KEY)[:1], ids(KEY)[:1, ::-1]
    effects = mt.patch_effects(model, one, other, ["block0"], length, output="hidden")
    here, there = (float(length(model(x)[0])) for x in (one, other))
    expected = np.full(KEY, here)
    expected[POSITION] = there
    np.testing.assert_allclose(effects[0], expected, rtol=1e-4, atol=1e-5)


def test_sites_of_the_source_and_of_the_target_are_not_mixed():
    model, inputs = transformer(), (ids(KEY), ids(QUERY))
    with pytest.raises(ValueError, match=r"'decoder.block0': 5\}\. Call patch_effects once"):
        mt.patch_effects(model, inputs, inputs, ["encoder.block0", "decoder.block0"], logit)


def test_texts_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="give texts with equally many tokens"):
        mt.patch_effects(gpt(), ids(KEY), ids(QUERY), ["block0"], logit)
