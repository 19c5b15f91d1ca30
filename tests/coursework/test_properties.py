"""A property finds its own kind of mistake, and no other."""

import numpy as np
import pytest

from minitransformer.coursework.exercise import Mistake, read_course
from minitransformer.coursework.variants import wrong_functions

PROPERTIES = [
    pytest.param(task, rule, id=f"{task.name}-{rule.name}")
    for task in read_course()
    for rule in task.exercise.properties
]
# Where no known mistake breaks a property: an edit that does.
UNKNOWN = {
    "the order of the keys does not matter": (
        "scores - scores.max()",
        "scores - scores.max() + np.arange(len(scores))",
    ),
    "each token is normalized and fed forward on its own": (
        'x @ weights["w1"]',
        'x[:, ::-1] @ weights["w1"]',
    ),
    "only differences of logits matter": ("-chosen[..., 0]", "logits.mean() - chosen[..., 0]"),
    "the sequences of a batch are independent of each other": (
        "table[token_ids]",
        "(table[token_ids] - table[token_ids].mean(axis=0))",
    ),
    "equal embeddings have equal logits": ("x @ table.T", "x @ table.T + np.arange(len(table))"),
    "more merges continue fewer merges": ("return merges", "return merges[::-1]"),
}


def counter_example(task, rule, mistake):
    """Give what a property says of a mistake, or None."""
    functions = wrong_functions(task, mistake)

    def ask(function, **args):
        return functions[function](**args)

    with np.errstate(all="ignore"):
        try:
            return next(rule.broken(ask, np.random.default_rng(1)), None)
        except Exception:
            return None


@pytest.mark.parametrize(("task", "rule"), PROPERTIES)
def test_a_property_is_broken_by_a_mistake_and_not_by_all(task, rule):
    mistakes = list(task.exercise.mistakes)
    if rule.name in UNKNOWN:
        mistakes.append(Mistake("odd", [UNKNOWN[rule.name]], "", ""))
    found = [counter_example(task, rule, mistake) for mistake in mistakes]
    assert any(found)
    assert None in found
