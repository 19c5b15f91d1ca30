import hashlib
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

import minitransformer as mt
from minitransformer import Run
from minitransformer.learning.training import Row
from minitransformer.runs import folders
from minitransformer.runs.band import Band
from minitransformer.runs.commands import refuse, say, tell
from minitransformer.runs.flags import check_settings, share
from minitransformer.runs.folders import fresh_folder, newest_run, read_settings
from minitransformer.runs.sizes import least_bytes, weigh
from scripts.evidence.bands import make_band

DEFAULTS = {"steps": 10, "seed": 0, "text": None, "batch_size": 4}


def claim(folder, given=None, resume=False, overwrite=False, data="a text"):
    """Make a run and claim its folder; return its settings."""
    flags = {"out": str(folder), "resume": resume, "overwrite": overwrite}
    run = Run({**flags, **(given or {})}, DEFAULTS, moved=["text"])
    run.claim("gpt", data)
    return run.settings


def test_fresh_runs_are_numbered_and_never_shared(tmp_path):
    names = [fresh_folder(tmp_path / "runs", "gpt").name for _ in range(3)]
    assert names == ["gpt-001", "gpt-002", "gpt-003"]


def test_a_run_is_not_touched_unasked(tmp_path):
    claim(tmp_path / "run", {"seed": 1})
    with pytest.raises(ValueError, match="--resume"):
        claim(tmp_path / "run", {"seed": 2})
    assert read_settings(tmp_path / "run")["seed"] == 1


def test_overwriting_deletes_what_a_run_wrote_and_nothing_else(tmp_path):
    folder = tmp_path / "run"
    claim(folder)
    (folder / "log.csv").write_text("x")
    (folder / "my-notes.txt").write_text("mine")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "step-00000010.safetensors").write_text("x")
    claim(folder, {"seed": 3}, overwrite=True)
    left = sorted(p.name for p in folder.rglob("*") if p.is_file())
    assert left == [".lock", "my-notes.txt", "settings.json"]
    assert read_settings(folder)["seed"] == 3


def test_a_folder_of_the_users_is_refused_with_every_flag(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    for flags in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(ValueError, match="is not a run"):
            claim(tmp_path, **flags)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_a_kill_left_does_not_stop_a_new_start(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / ".writing-1-settings.json").write_text("{")
    assert claim(tmp_path, {"seed": 4}, resume=True)["seed"] == 4


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        claim(tmp_path / "file")


def test_resuming_keeps_the_settings_and_refuses_others(tmp_path):
    folder = tmp_path / "run"
    claim(folder, {"steps": 99})
    assert claim(folder, resume=True)["steps"] == 99
    assert claim(folder, {"steps": 99}, resume=True)["steps"] == 99
    with pytest.raises(ValueError, match="started with --steps 99, not 5"):
        claim(folder, {"steps": 5}, resume=True)
    with pytest.raises(ValueError, match="not both"):
        claim(folder, resume=True, overwrite=True)


def test_resuming_what_never_began_starts_it(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        assert claim(tmp_path / name, {"seed": 4}, resume=True)["seed"] == 4


def test_the_newest_run_is_found(tmp_path):
    kinds = ["characters.json", "sentencepiece.model"]
    with pytest.raises(ValueError, match="no finished run"):
        newest_run(tmp_path, kinds)
    for name in ("gpt-001", "gpt-002", "lstm-001"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "gpt-001" / "characters.json").write_text("[]")
    (tmp_path / "lstm-001" / "target.model").write_bytes(b"")
    assert newest_run(tmp_path, kinds).name == "gpt-001"
    assert newest_run(tmp_path, ["target.model"]).name == "lstm-001"


def test_settings_are_merged_once_flags_before_saved_ones_before_defaults(tmp_path):
    claim(tmp_path, {"steps": 99, "text": "here.txt"})
    settings = claim(tmp_path, {"text": "there.txt"}, resume=True)
    assert settings["steps"] == 99
    assert settings["text"] == "there.txt"  # may have moved
    assert settings["seed"] == 0
    assert read_settings(tmp_path) == settings


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["verdict     validation 2.01: as usual for this recipe (2 to 2.04, 5 seeds)"]),
        ({"seed": 3}, ["verdict     validation 2.01: as usual"]),
        ({"batch_size": 8}, []),  # settings of the user's own
        ({"text": "my.txt"}, []),
    ],
)
def test_a_run_says_whether_its_loss_is_usual(tmp_path, monkeypatch, capsys, given, expected):
    checksum = hashlib.sha256(b"the text of the band").hexdigest()
    runs = {
        seed: (DEFAULTS | {"text_sha256": checksum}, [Row(10, 3.0, 2 + seed / 100, *[0.5] * 4)])
        for seed in range(5)
    }
    found = make_band(runs, title="a recipe", uniform=4.0, sources={})
    monkeypatch.setattr("minitransformer.runs.run.read_bands", lambda: [Band(**found)])
    flags = {"out": str(tmp_path), "resume": False, "overwrite": False, **given}
    run = Run(flags, DEFAULTS, moved=["text"])
    run.claim("gpt", "my text" if "text" in given else "the text of the band")
    run.log = SimpleNamespace(curve=lambda name: [(10, {"valid_loss": 2.01}[name])])
    capsys.readouterr()
    run.compare()
    told = capsys.readouterr().out.splitlines()
    assert len(told) == len(expected)
    assert all(line.startswith(start) for line, start in zip(told, expected, strict=True))


def test_a_run_names_a_band_that_is_missing_and_what_tells_more(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("minitransformer.runs.run.read_bands", list)
    flags = {"out": str(tmp_path), "resume": False, "overwrite": False}
    run = Run(flags, DEFAULTS)
    run.log = SimpleNamespace(curve=lambda name: [(10, 2.0)])
    run.compare()
    assert "no band for this recipe and text yet" in capsys.readouterr().out
    odd = "lower than every seed of this recipe"
    monkeypatch.setattr("minitransformer.runs.run.verdict", lambda *_, is_recipe: odd)
    run.compare()
    assert "minitransformer.check_run" in capsys.readouterr().out


def test_a_resumed_run_goes_on_with_the_same_data_only(tmp_path):
    claim(tmp_path, data="one text")
    claim(tmp_path, data="one text", resume=True)
    with pytest.raises(ValueError, match="has changed"):
        claim(tmp_path, data="another text", resume=True)


def test_nothing_is_written_before_the_folder_is_claimed(tmp_path):
    flags = {"out": str(tmp_path / "run"), "resume": False}
    run = Run({**flags, "overwrite": False}, DEFAULTS)
    assert not run.resumes
    assert not list(tmp_path.iterdir())


def test_settings_of_an_earlier_version_are_read(tmp_path):
    # As written before `Run` was there.
    old = {"steps": 30, "seed": 3, "batch_size": 2, "recipe": "x"}
    (tmp_path / "settings.json").write_text(json.dumps(old))
    settings = claim(tmp_path, resume=True)
    assert settings == {**DEFAULTS, **old, "text_sha256": settings["text_sha256"]}


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "Stopped. Go on with"),
        (KeyboardInterrupt(" at step 40, and saved"), 130, "step 40"),
        (FloatingPointError("the loss is nan"), 1, "the loss is nan"),
        (OSError(28, "No space left on device"), 1, "make room"),
    ],
)
def test_what_stops_a_training_is_said_and_has_an_exit_code(tmp_path, capsys, error, code, message):
    flags = {"out": str(tmp_path), "resume": False, "overwrite": False}
    run = Run(flags, DEFAULTS)
    with pytest.raises(SystemExit) as stop, run.errors():
        raise error
    assert stop.value.code == code
    said = capsys.readouterr().err
    assert message in said
    assert code == 1 or "--resume" in said


def test_a_bug_in_a_training_keeps_its_traceback(tmp_path):
    flags = {"out": str(tmp_path), "resume": False, "overwrite": False}
    with pytest.raises(ValueError, match="shapes"), Run(flags, DEFAULTS).errors():
        raise ValueError("shapes")


def test_an_old_run_stays_until_the_new_one_can_be_written(tmp_path, monkeypatch):
    claim(tmp_path, {"seed": 1})
    (tmp_path / "weights.safetensors").write_text("weeks of work")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders, "write_settings", full)
    with pytest.raises(OSError, match="No space"):
        claim(tmp_path, {"seed": 2}, overwrite=True)
    assert (tmp_path / "weights.safetensors").read_text() == "weeks of work"
    assert read_settings(tmp_path)["seed"] == 1


def test_a_folder_in_use_is_refused_before_the_data_is_read(tmp_path):
    claim(tmp_path)
    flags = {"out": str(tmp_path), "resume": False, "overwrite": False}
    with pytest.raises(ValueError, match="holds a run already"):
        Run(flags, DEFAULTS)


@pytest.mark.parametrize("flag", ["resume", "overwrite"])
def test_a_second_process_is_refused_while_the_first_lives(tmp_path, flag):
    claim(tmp_path)
    code = (
        "import sys; from minitransformer.runs.folders import lock_folder;"
        "import pathlib; lock_folder(pathlib.Path(sys.argv[1])); print('locked', flush=True);"
        "sys.stdin.read()"
    )
    while folders.held:  # this process lets go
        folders.held.popitem()[1].close()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline().strip() == b"locked"
        with pytest.raises(ValueError, match="Another training is running"):
            claim(tmp_path, **{flag: True})
        other.kill()
    claim(tmp_path, **{flag: True})  # a kill leaves no lock behind


def test_a_name_that_is_not_utf_8_is_kept(tmp_path):
    name = os.fsdecode(b"na\xffme.txt")
    claim(tmp_path, {"text": name})
    assert read_settings(tmp_path)["text"] == name


GROUPS = {
    "first": {"steps": (10, "steps"), "kind": ("a", "a kind", ["a", "b"]), "text": (None, "text")},
    "": {"rate": (0.5, "no flag", share)},
}


@pytest.mark.parametrize(
    "wrong",
    [{"steps": n} for n in ("10", None, 30.5, 0, True, [1], 10**400)]
    + [{"kind": "c"}, {"kind": 1}, {"text": 5}, {"rate": 1}, {"rate": "x"}, {"rate": 1e999}],
)
def test_saved_settings_are_read_as_the_flags_would_be(tmp_path, wrong):
    good = {"steps": 30, "kind": "b", "rate": 0, "text": "a.txt"}
    (tmp_path / "settings.json").write_text(json.dumps(good), "utf-8-sig")
    check_settings(tmp_path, GROUPS)
    (tmp_path / "settings.json").write_text(json.dumps(good | wrong))
    with pytest.raises(ValueError, match="which this version does not take") as caught:
        check_settings(tmp_path, GROUPS)
    assert next(iter(wrong)) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{", b"[" * 10**5, b"\xff{}", b"\0" * 9])
def test_settings_that_cannot_be_read_are_one_sentence(tmp_path, content):
    (tmp_path / "settings.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"settings\.json") as caught:
        check_settings(tmp_path, GROUPS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", ["d_model", "max_len", "batch_size", "beam_size", "num_layers"])
def test_sizes_beyond_memory_are_estimated_and_refused(size):
    sizes = {"d_model": 128, "num_layers": 4, "num_heads": 4, "vocab_size": 1000}
    settings = {"max_len": 64, "batch_size": 12, "accumulate": 1, "beam_size": 4}
    weigh(SimpleNamespace(**sizes), settings)
    huge = {size: 100_000_000}
    sizes |= {k: v for k, v in huge.items() if k in sizes}
    with pytest.raises(ValueError, match="GiB of memory"):
        weigh(SimpleNamespace(**sizes), settings | huge)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("GPT", {}),
        ("GPT", {"rotary": True}),
        ("NGramGPT", {"longest": 3, "rows": 100}),
        ("Llama", {"num_kv_heads": 1}),
        ("Bert", {}),
        ("Transformer", {"d_ff": 32, "pad_id": 0, "bos_id": 1, "eos_id": 2}),
    ],
)
def test_the_estimate_is_a_lower_bound(kind, options):
    sizes = {"vocab_size": 19, "max_len": 20_000, "d_model": 16, "num_heads": 2, "num_layers": 1}
    config = getattr(mt, f"{kind}Config")(**sizes, **options)
    weights = 4 * getattr(mt, kind)(config).count_params()
    table = 4 * 20_000 * 16  # the Transformer's positions are no weights
    objects = 10**5
    estimate = least_bytes(vars(config)) - objects
    assert estimate <= weights + table * (kind == "Transformer")
    assert estimate > 0.6 * weights


def test_control_characters_do_not_reach_the_terminal(capsys):
    say("a\x1b[31mb\x9bc\td")
    tell("run", "\x1b]0;title\x07")
    shown = capsys.readouterr()
    assert not {"\x1b", "\x9b", "\x07"} & {*shown.err, *shown.out}
    assert "[31mb" in shown.err


def test_a_long_refusal_loses_its_middle(capsys):
    with pytest.raises(SystemExit) as stop:
        refuse("x" * 5000 + ": give another.")
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert error.endswith("give another.\n")
    assert len(error) < 300
