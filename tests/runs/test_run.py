import json

import pytest

from minitransformer import Run
from minitransformer.runs.folders import fresh_folder, newest_run, read_settings

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
    assert left == ["my-notes.txt", "settings.json"]
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
