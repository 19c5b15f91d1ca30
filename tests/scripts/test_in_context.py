"""The tasks of learning in context, its models, and what its evidence shows."""

import json

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from minitransformer import capture
from scripts.evidence import in_context

SEED = tf.constant([7, 3], tf.int64)
EVIDENCE = ROOT / "docs" / "evidence" / "in_context.json"


def test_a_repeated_letter_that_counts_was_read_before():
    ids, targets, weights = (x.numpy() for x in in_context.repeats(SEED, 6))
    assert (ids[:, 1:] == targets[:, :-1]).all()
    for row, counts, target in zip(ids, weights, targets, strict=True):
        period = int(np.argmax(counts)) + 1  # the first target that counts
        assert in_context.SHORTEST <= period <= in_context.LONGEST
        assert counts[period - 1 :].all()
        assert (target[period - 1 :] == row[: len(row) - period + 1]).all()


def test_each_sequence_has_its_own_rule():
    ids, targets, weights = (x.numpy() for x in in_context.letters(SEED, 6))
    rules = [dict(zip(row[::2], row[1::2], strict=True)) for row in ids]
    for row, target, rule in zip(ids, targets, rules, strict=True):
        assert [rule[letter] for letter in row[::2]] == target[::2].tolist()
        assert max(rule) < in_context.LETTERS <= min(rule.values())
    assert len({json.dumps(sorted((int(a), int(b)) for a, b in r.items())) for r in rules}) == 6
    assert weights[0, :4].tolist() == [1, 0, 1, 0]


def test_a_question_shows_x_without_y():
    vectors, targets, weights = (x.numpy() for x in in_context.regression(SEED, 6))
    assert (vectors[:, ::2, -1] == 0).all()
    assert (vectors[:, 1::2, :-1] == 0).all()
    assert (targets[:, ::2] == vectors[:, 1::2, -1]).all()
    assert (weights[:, 1::2] == 0).all()
    w = [np.linalg.lstsq(v[::2, :-1], t[::2])[0] for v, t in zip(vectors, targets, strict=True)]
    found = np.einsum("bqd,bd->bq", vectors[:, ::2, :-1], w)
    np.testing.assert_allclose(found, targets[:, ::2], atol=1e-4)
    assert np.std(w, axis=0).min() > 0.1


def test_least_squares_errs_only_while_examples_are_few():
    test = in_context.regression(SEED, 256)
    errors = in_context.least_squares(test)
    assert errors[0] == pytest.approx(in_context.DIMENSIONS, rel=0.3)
    assert errors[0] > errors[1] > errors[2] > 0.1
    assert max(errors[3:]) < 1e-3


def test_attention_only_means_that_feed_forward_adds_nothing():
    model = in_context.make_model("two blocks, attention only", "sequences")
    ids, _, _ = in_context.sequences(SEED, 4)
    found = capture(model, ids, ["*.feed_forward.output", "block1", "block1.self.output"])
    assert not np.any(found["block1.feed_forward.output"])
    assert np.any(found["block1.self.output"])


def test_a_head_without_which_nothing_changes_is_none():
    model = in_context.make_model("two blocks, attention only", "sequences")
    test = in_context.letters(SEED, 64)
    whole = in_context.accuracy(model(test[0]), *test[1:])
    assert in_context.without(model, test, []) == whole
    kept = capture(model, test[0], ["logits"])["logits"]
    edit = {"block?.self.heads": lambda x: 0 * x + tf.reduce_mean(x, (0, 2), keepdims=True)}
    cut = capture(model, test[0], ["logits"], edit)["logits"]
    every = [(block, head) for block in range(2) for head in range(4)]
    assert in_context.without(model, test, every) == in_context.accuracy(cut, *test[1:])
    assert np.abs(kept - cut).max() > 0.01


def test_two_blocks_learn_what_one_cannot_and_need_their_induction_heads():
    runs = json.loads(EVIDENCE.read_text("utf-8"))["runs"]
    for task in runs.values():
        assert {name: set(seeds) for name, seeds in task.items()} == {
            name: {"1", "2", "3"} for name in in_context.MODELS
        }
    one, two, _ = runs["sequences"].values()
    for seed in ("1", "2", "3"):
        ends = [made[seed]["curve"][-1] for made in (one, two)]
        for task in ("repeats", "letters"):
            assert ends[0][task]["accuracy"] < 0.7 * ends[1][task]["accuracy"]
            right = two[seed]["without"][task]
            assert right["induction heads"] < 0.5 * right["none"]
