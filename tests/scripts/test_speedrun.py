"""The speedrun's t-test, and the settings that its rows change."""

import math

import pytest
from conftest import load_script

from scripts.evidence.speedrun import LADDER, TRACKS, TRIALS, p_value
from scripts.evidence.tricks import TRICKS


@pytest.mark.parametrize(("count", "t"), [(3, 6.965), (5, 3.747), (11, 2.764)])
def test_p_is_one_percent_at_the_tabled_value_of_t(count, t):
    """From any table of Student's t: one side, p = 0.01."""
    numbers = [float(i) for i in range(count)]
    middle = sum(numbers) / count
    spread = math.sqrt(sum((x - middle) ** 2 for x in numbers) / (count - 1) / count)
    moved = [x - middle + t * spread for x in numbers]
    assert p_value(moved) == pytest.approx(0.01, rel=1e-3)
    assert p_value([-x for x in moved]) == pytest.approx(0.99, rel=1e-3)
    assert p_value([x + 7 for x in moved], mean=7) == pytest.approx(0.01, rel=1e-3)


def test_equal_numbers_leave_no_doubt():
    assert p_value([0.1, 0.1, 0.1]) == 0
    assert p_value([0.0, 0.0, 0.0]) == 1


def test_rows_change_settings_that_train_gpt_has():
    defaults = load_script("train_gpt").DEFAULTS
    for rows in (LADDER, TRIALS, TRACKS):
        for change in rows.values():
            assert change.keys() - {"target", "tricks"} <= defaults.keys()
            assert TRICKS.keys() >= {*change.get("tricks", [])}
