import pytest

from minitransformer.runs.runs import (
    fresh_run,
    newest_run,
    open_run,
    read_settings,
)

DEFAULTS = {"steps": 10, "seed": 0, "text": None}


def claim(folder, given=None, resume=False, overwrite=False):
    return open_run(
        folder, given or {}, DEFAULTS, resume=resume, overwrite=overwrite
    )


def test_fresh_runs_are_numbered_and_never_shared(tmp_path):
    names = [fresh_run(tmp_path / "runs", "gpt").name for _ in range(3)]
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
        with pytest.raises(ValueError, match="no run"):
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
