"""The check of a run as a user meets it."""

import hashlib
import json
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from conftest import exit_code, refuse

from minitransformer.check_run import main
from minitransformer.learning.training import Row
from minitransformer.runs import band as bands
from scripts.evidence.bands import make_band

LETTERS = "abcdefghijklmnopqrstuvwxyz .,:;!?()[]{}+-*/=<>0123456789"
SETTINGS = {"steps": 500, "seed": 0, "d_model": 24, "learning_rate": 1e-3}


def rows(seed=0, steps=500, rate=1e-3):
    found = []
    for s in range(10, steps + 1, 10):
        loss = 2 + 2.1 * 50 / (40 + s) + 0.01 * seed
        rate_now = rate * (1 - s / 1000)
        found.append(Row(s, loss, loss if s % 100 == 0 else None, rate_now, 0.5, 9.0, s / 10))
    return found


def words_of(number):
    """A text without repetitions, of words made from numbers."""
    return " ".join(hashlib.sha256(str(i).encode()).hexdigest()[:9] for i in range(number))


@pytest.fixture
def run(tmp_path):
    """The folder of a sound run, on a text of its own."""
    text = words_of(900)
    (tmp_path / "text.txt").write_text(text, "utf-8")
    return write_run(tmp_path / "run", text, rows())


def write_run(folder, text, its_rows, **settings):
    folder.mkdir()
    path = folder.parent / "text.txt"
    path.write_text(text, "utf-8")
    checksum = hashlib.sha256(text.encode()).hexdigest()
    settings = SETTINGS | {"text": str(path), "text_sha256": checksum} | settings
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "characters.json").write_text(json.dumps(list(LETTERS)))
    lines = [",".join(Row._fields)]
    lines += [",".join("" if n is None else str(n) for n in row) for row in its_rows]
    (folder / "log.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(autouse=True)
def band(tmp_path, monkeypatch):
    """The only band there is: that of the sound run."""
    settings = SETTINGS | {"text_sha256": hashlib.sha256(words_of(900).encode()).hexdigest()}
    runs = {seed: (settings, rows(seed)) for seed in range(5)}
    found = make_band(runs, title="a recipe on a text", uniform=4.1, sources={})
    folder = tmp_path / "bands"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(found))
    monkeypatch.setattr(bands, "BANDS", folder)
    return folder / "a.json"


def test_a_sound_run_is_as_usual_and_drawn_over_its_band(run, capfd):
    assert exit_code(main, [str(run)]) == 0
    told = capfd.readouterr().out
    assert "validation 2.194: as usual for this recipe (2.194 to 2.234, 5 seeds)" in told
    assert "nothing odd was found" in told
    (line,) = [line for line in told.splitlines() if line.startswith("     500")]
    assert "2.194 to 2.234" in line
    drawn = ET.fromstring((run / "check.svg").read_text("utf-8"))
    names = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"training", "validation", "training, seeds", "validation, seeds"} <= {*names}


def test_an_odd_run_is_explained_with_code_1(run, capfd):
    log = run / "log.csv"
    *lines, last = log.read_text().splitlines()
    last = last.replace("2.1944444444444446", "1.5")
    log.write_text("\n".join([*lines, last]) + "\n")
    assert exit_code(main, [str(run)]) == 1
    told = capfd.readouterr().out
    assert "validation 1.5: lower than every seed" in told
    assert "Usually the validation text is also in the training text" in told
    assert "word for word" not in told  # the texts were compared


def test_copies_in_the_text_are_found(tmp_path, capfd, band):
    band.unlink()
    once = words_of(900)
    folder = write_run(tmp_path / "run", f"{once}\n{once}", rows())
    assert exit_code(main, [str(folder)]) == 2
    told = capfd.readouterr()
    assert "100% is also in the training text, word for word" in told.out
    assert "no band" in told.err


def test_a_running_training_is_compared_so_far(run, capfd):
    log = run / "log.csv"
    log.write_text("".join(line + "\n" for line in log.read_text().splitlines()[:25]))
    assert exit_code(main, [str(run)]) == 0
    assert "at step 200: as usual" in capfd.readouterr().out


def damage(run, band, how):
    """Damage a run in one way that users meet."""
    log = run / "log.csv"
    text = log.read_text()
    lines = text.splitlines()
    if how == "no run":
        (run / "settings.json").unlink()
    elif how == "no folder":
        (run / "settings.json").unlink()
        for path in run.iterdir():
            path.unlink()
        run.rmdir()
    elif how == "no log":
        log.unlink()
    elif how == "no row":
        log.write_text(lines[0] + "\n")
    elif how == "lost rows":
        log.write_text(lines[0] + "\n500,,2.0,,,,0.0\n")
    elif how == "empty":
        log.write_text("")
    elif how == "another program":
        log.write_text("epoch,accuracy\n1,0.5\n")
    elif how == "longer":
        log.write_text(text + "600" + lines[-1][3:] + "\n")
    elif how == "another rate":
        log.write_text(text.replace(",0.00094,", ",0.0005,"))  # step 60
    elif how == "higher rate":
        log.write_text(text.replace(",0.00094,", ",0.0095,"))
    elif how == "half a line":
        log.write_text(text + "510,1.9")
    elif how == "broken line":
        log.write_text("\n".join([*lines[:20], "x", *lines[20:]]) + "\n")
    elif how == "no band":
        band.unlink()
    elif how == "other settings":
        settings = json.loads((run / "settings.json").read_text())
        (run / "settings.json").write_text(json.dumps(settings | {"d_model": 48}))
    elif how == "damaged settings":
        (run / "settings.json").write_text("{")
    elif how == "a rate of words":
        settings = json.loads((run / "settings.json").read_text())
        (run / "settings.json").write_text(json.dumps(settings | {"learning_rate": "fast"}))
    elif how == "no steps":
        (run / "settings.json").write_text("{}")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no run", "is not a run, because it has no settings.json: give the folder"),
        ("no folder", "is not a run"),
        ("no log", "has no log.csv: train for some steps first"),
        ("no row", "has no row with a loss"),
        ("lost rows", "has no row with a loss"),
        ("empty", "it is the log of another program"),
        ("another program", "begins with 'epoch,accuracy', expected 'step,loss"),
        ("longer", "is the log of another recipe: it goes to step 600"),
        ("higher rate", "with rates up to 0.0095"),
        ("another rate", "at step 60 its learning rate"),
        ("half a line", "is half written: only the rows up to step 500 were checked"),
        ("broken line", "log.csv is damaged in line 21"),
        ("no band", "There is no band for these settings and this text. So only the curve"),
        ("other settings", "the closest is a recipe on a text, with other settings: d_model 48, "),
        ("damaged settings", "settings.json is damaged"),
        ("a rate of words", "settings.json is damaged: the learning_rate is 'fast'"),
        ("no steps", "the settings name no steps"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(run, band, capfd, how, message):
    damage(run, band, how)
    refuse(main, [str(run)], capfd, message)


def test_half_a_line_does_not_hide_the_other_rows(run, band, capfd):
    damage(run, band, "half a line")
    assert exit_code(main, [str(run)]) == 2
    told = capfd.readouterr().out
    assert "as usual" in told
    assert "nothing odd was found" in told


def test_flags_that_make_no_sense_exit_with_2(capfd):
    refuse(main, [], capfd, "required: run")
    refuse(main, ["a", "b"], capfd, "unrecognized")


def test_help_needs_no_tensorflow():
    code = (
        "import runpy, sys\n"
        "sys.argv[1:] = ['--help']\n"
        "try:\n"
        "    runpy.run_module('minitransformer.check_run', run_name='__main__')\n"
        "finally:\n"
        "    assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "runs/gpt-001" in result.stdout
