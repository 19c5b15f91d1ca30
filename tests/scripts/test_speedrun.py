"""The speedrun's t-test, and the settings that its rows change."""

import contextlib
import math
from unittest import mock

import pytest
from conftest import load_script

import minitransformer as mt
from minitransformer import NGramGPT, multi_head
from minitransformer.learning import muon
from minitransformer.models import ngram_gpt
from minitransformer.runs import run
from minitransformer.runs.logs import read_log
from scripts import train_gpt
from scripts.evidence import speedrun
from scripts.evidence.speedrun import LADDER, SHORT, TRACKS, TRIALS, p_value
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


@pytest.mark.slow
def test_every_trick_changes_the_training(eagerly, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("A line of text, and some more of it.\n" * 200)
    small = {"steps": 3, "num_layers": 2, "num_heads": 2, "d_model": 16, "batch_size": 2}
    small |= {"max_len": 64, "longest": 3, "rows": 50, "xla": False, "evaluate_every": 100}
    small |= {"learning_rate": 0.02}  # three steps must show a difference
    modules = mt, ngram_gpt, multi_head, muon, run, train_gpt
    places = [*map(vars, modules), train_gpt.RECIPES]
    of_muon, losses = ["three rounds"], {}
    for name in ["AdamW", "Muon", *TRICKS]:
        settings = small | SHORT | {"steps": 3, "text": str(text)}
        settings |= {"muon": name in ["Muon", *of_muon], "tricks": [name] if name in TRICKS else []}
        with contextlib.ExitStack() as stack:
            for place in places:  # what a trick changes is undone
                stack.enter_context(mock.patch.dict(place))
            stack.enter_context(mock.patch.object(NGramGPT, "initialize", NGramGPT.initialize))
            speedrun.train(settings, tmp_path / "run")
        losses[name] = read_log(tmp_path / "run")[-1].valid_loss
    assert math.isfinite(sum(losses.values()))
    # The first steps of two rows may agree, but not with the base.
    bases = {name: "Muon" if name in of_muon else "AdamW" for name in TRICKS}
    assert [name for name, base in bases.items() if losses[name] == losses[base]] == []
    assert losses["Muon"] != losses["AdamW"]
