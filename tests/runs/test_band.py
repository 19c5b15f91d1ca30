import json

import pytest

from minitransformer.learning.training import Row
from minitransformer.runs import band as module
from minitransformer.runs.band import BANDS, Band, find_band, read_bands, verdict, windows
from scripts.evidence.bands import RECIPES, make_band, missing, usual

SETTINGS = {"steps": 500, "seed": 0, "d_model": 24, "text": None, "text_sha256": "a", "xla": True}


def row(step, loss=2.0, valid=None, rate=0.5):
    return Row(step, loss, valid, rate, 0.5, 0.5, step / 10)


def rows(seed=0, steps=500):
    """A curve from 4.3 to 2, a little different for each seed."""
    return [
        row(s, 2 + 2.3 * 50 / (40 + s) + 0.01 * seed, 2.1 + 0.01 * seed if s % 250 == 0 else None)
        for s in range(10, steps + 1, 10)
    ]


def small_band(**changes):
    runs = {seed: (SETTINGS | {"seed": seed}, rows(seed)) for seed in range(5)}
    found = make_band(runs, title="a recipe on a text", uniform=4.5, sources={})
    return Band(**found)._replace(**changes)


def valid(loss, step=500):
    return [(250, 2.1), (step, loss)]


def test_windows_are_the_first_row_and_means_of_a_25th_of_the_run():
    numbers = windows([row(step, loss=step) for step in range(10, 501, 10)], 500)
    assert numbers[:3] == [(10, 10), (20, 15), (40, 35)]
    assert len(numbers) == 26
    assert windows([row(10, loss=None)], 500) == []
    # Calls of one step have windows that end at the same steps.
    finer = windows([row(step, loss=step) for step in range(1, 501)], 500)
    assert [step for step, _ in finer] == [1, *(step for step, _ in numbers[1:])]


def test_a_band_has_the_median_and_the_ends_of_all_seeds():
    band = small_band()
    assert band.validation == [[250, 2.12, 2.1, 2.14], [500, 2.12, 2.1, 2.14]]
    step, median, low, high = band.training[-1]
    assert (step, round(median - low, 6), round(high - low, 6)) == (500, 0.02, 0.04)
    assert {"seed", "text", "xla", "text_sha256"}.isdisjoint(band.settings)
    with pytest.raises(ValueError, match="five seeds, and there are 4"):
        make_band(dict.fromkeys(range(4)), title="", uniform=1.0, sources={})


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (2.11, "as usual for this recipe (2.1 to 2.14, 5 seeds)"),
        (2.19, "as usual"),  # 1.5 times the width of the band
        (2.05, "as usual"),
        (2.21, "higher than every seed"),
        (2.03, "lower than every seed"),
    ],
)
def test_the_verdict_compares_the_last_validation_with_all_seeds(loss, words):
    line = verdict(SETTINGS, valid(loss), [small_band()])
    assert line.startswith(f"validation {loss}: ")
    assert words in line


def test_a_run_is_compared_at_the_last_step_that_both_measured():
    line = verdict(SETTINGS, [(250, 2.12), (300, 9.0)], [small_band()])
    assert "2.12 at step 250: as usual" in line


def test_a_band_is_found_by_its_settings_and_its_text():
    here, there = small_band(), small_band(text_sha256="b", sources={"text": "there"})
    bands = [here, there]
    assert find_band(SETTINGS | {"seed": 9, "xla": False}, bands) is here
    assert find_band(SETTINGS | {"text": "a copy of it", "text_sha256": "b"}, bands) is there
    for other in ({"steps": 400}, {"d_model": 32}, {"rotary": True}, {"dropout_rate": 0.1}):
        assert find_band(SETTINGS | other, bands) is None
    # A flag that is newer than the band, and off.
    assert find_band(SETTINGS | {"rotary": False, "window": 0, "file": None}, bands) is here


def test_another_text_from_the_same_source_is_named():
    newer = SETTINGS | {"text_sha256": "that of another Python"}
    assert "this text is not that of the band, a recipe on a text (2.1" in verdict(
        newer, valid(2.6), [small_band()]
    )
    assert verdict(newer | {"text": "my own"}, valid(2.6), [small_band()]) == ""


def test_data_made_from_the_seed_need_no_checksum():
    runs = {
        seed: (SETTINGS | {"pairs": None, "text_sha256": str(seed)}, rows(seed))
        for seed in range(5)
    }
    band = Band(**make_band(runs, title="dates", uniform=4.5, sources={}))
    assert band.text_sha256 is None
    seventh = SETTINGS | {"pairs": None, "text_sha256": "9"}
    assert find_band(seventh, [band]) is band
    assert "as usual" in verdict(seventh, valid(2.1), [band])
    assert find_band(SETTINGS | {"pairs": "mine.tsv", "text_sha256": "9"}, [band]) is None


def test_a_missing_band_is_worth_a_line_for_a_recipe_only():
    own = SETTINGS | {"d_model": 32}
    assert verdict(own, valid(2.0), [small_band()]) == ""
    assert "no band for this recipe" in verdict(own, valid(2.0), [], is_recipe=True)


def test_a_file_of_the_package_is_small_and_a_damaged_one_is_named(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(small_band()._asdict()))
    (again,) = read_bands(tmp_path)
    assert find_band(SETTINGS, [again]) is again
    (tmp_path / "b.json").write_text('{"title": "x"}')
    with pytest.raises(ValueError, match=r"b\.json has no 'settings'"):
        read_bands(tmp_path)
    assert module.read_bands() == read_bands(BANDS)
    for path in BANDS.glob("*.json"):
        assert path.stem in RECIPES
        assert path.stat().st_size < 20_000
        made = json.loads(path.read_text("utf-8"))
        assert len(made["seeds"]) >= 5
        assert {"command", "machine", "date", "tensorflow"} <= set(made)
        assert made["validation"][-1][0] == made["settings"]["steps"]
        assert usual(path.stem).items() <= made["settings"].items(), "measure it again"


def test_a_setting_that_the_script_has_got_since_has_its_default():
    made = {"settings": {"steps": 9, "learning_rate": 1.0}}
    new = missing(made, "gpt-nanogpt-docs")
    assert new["d_model"] == 128
    assert (new["longest"], new["rotary"]) == (1, False)
    assert {"steps", "learning_rate", "seed", "text", "strategy"}.isdisjoint(new)
