"""Each fault is recognised: in curves made by hand, and in trainings.

The trainings with a fault planted in each are slow: `planted.py`.
"""

import functools
import math

import planted
import pytest

from minitransformer.learning.training import Row
from minitransformer.runs.band import Band
from minitransformer.runs.diagnoses import diagnose
from scripts.evidence.bands import make_band

UNIFORM, STEPS = 4.0, 500
SETTINGS = {"steps": STEPS, "text_sha256": "a"}


def fall(step, floor=2.0):
    """A sound curve: from about 4 down to a floor."""
    return floor + (UNIFORM - floor) * math.exp(-step / 60)


def make_rows(loss=fall, valid=lambda step: fall(step) + 0.1, steps=STEPS):
    return [
        Row(step, loss(step), valid(step) if step % 50 == 0 else None, 1e-3, 0.5, 9.0, step / 10)
        for step in range(10, steps + 1, 10)
    ]


@functools.cache
def hand_band():
    runs = {
        seed: (
            SETTINGS,
            make_rows(lambda s, d=seed: fall(s) + d / 100, lambda s, d=seed: fall(s) + d / 100),
        )
        for seed in range(5)
    }
    return Band(**make_band(runs, title="", uniform=UNIFORM, sources={}))


def names(rows, **options):
    return [found.name for found in diagnose(rows, STEPS, uniform=UNIFORM, **options)]


def test_nothing_is_found_in_a_sound_curve():
    for steps in (10, 100, 500):  # a run may still be running
        assert names(make_rows(steps=steps)) == []
        assert names(make_rows(valid=fall, steps=steps), band=hand_band()) == []


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"loss": lambda s: fall(s) + (s == 10)}, "high start"),
        ({"loss": lambda s: fall(s) - 1.5 * (s == 10)}, "low start"),
        ({"loss": lambda s: 4 - s / 2000}, "flat"),
        ({"loss": lambda s: fall(s) + (s == 300)}, "spikes"),
        ({"loss": lambda s: math.nan if s == 300 else fall(s)}, "NaN"),
        ({"valid": lambda s: 3 - s / 400 if s < 250 else 2 + s / 500}, "overfitting"),
        ({"valid": lambda s: 0.3}, "solved"),
    ],
)
def test_a_fault_is_found_without_a_band(changed, name):
    assert names(make_rows(**changed)) == [name]


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"valid": lambda s: fall(s) - 0.1}, "low validation"),
        ({"valid": lambda s: fall(s) + 0.2}, "high validation"),
        ({"loss": lambda s: fall(s, 1.4)}, "low training"),
        ({"loss": lambda s: fall(s, 2.3)}, "high training"),
    ],
)
def test_losses_outside_of_the_band_are_found(changed, name):
    assert names(make_rows(**{"valid": fall, **changed}), band=hand_band()) == [name]


def test_a_gradient_or_a_validation_that_is_not_finite_is_found():
    rows = make_rows()
    for changed in ({"grad_norm": math.inf}, {"valid_loss": math.nan}, {"loss": math.nan}):
        (found,) = diagnose([*rows, rows[-1]._replace(step=510, **changed)], STEPS, uniform=UNIFORM)
        assert found.name == "NaN"
        assert f"At step 510, {next(iter(changed))} is" in found.words


def test_a_loss_near_0_is_right_where_each_input_has_one_answer():
    rows = make_rows(loss=lambda s: fall(s, 0.0), valid=lambda s: fall(s, 0.0))
    assert names(rows) == ["solved"]
    assert names(rows, solvable=True) == []


def test_a_validation_that_rises_with_the_training_loss_is_no_overfitting():
    rises = {"loss": lambda s: 3 - s / 400 if s < 250 else 2 + s / 400}
    assert "overfitting" not in names(make_rows(**rises, valid=rises["loss"]))


@functools.cache
def small_band():
    runs = {
        seed: (SETTINGS | {"steps": planted.STEPS}, planted.train_small(seed)) for seed in range(5)
    }
    band = Band(**make_band(runs, title="", uniform=planted.UNIFORM, sources={}))
    return band, [rows for _, rows in runs.values()]


def found_in(rows, band):
    found = diagnose(rows, planted.STEPS, uniform=planted.UNIFORM, band=band)
    return {finding.name for finding in found}


@pytest.mark.slow
def test_nothing_is_found_in_sound_trainings():
    band, runs = small_band()
    for rows in [*runs, planted.train_small(5)]:
        assert found_in(rows, band) == set()
        assert found_in(rows, None) == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ("high start", "high start"),
        ("trained weights", "low start"),
        ("same targets", "solved"),
        ("flat by its rate", "flat"),
        ("flat by its mask", "flat"),
        ("spikes", "spikes"),
        ("NaN", "NaN"),
        ("overfitting", "overfitting"),
    ],
)
def test_a_planted_fault_is_found_without_a_band(fault, name):
    assert name in found_in(planted.train_small(7, fault), None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ("leak", "low validation"),
        ("same targets", "low training"),
        ("no mask", "low training"),
        ("flat by its mask", "high validation"),
    ],
)
def test_a_planted_fault_is_found_with_a_band(fault, name):
    band, _ = small_band()
    assert name in found_in(planted.train_small(8, fault), band)
