"""Hundreds of wrong command lines: each ends in time, in one sentence that helps."""

import contextlib
import json
import os
import shutil
import socket

import pytest
from conftest import exit_code, load_script
from limits import limits, needs_alarm

pytestmark = [pytest.mark.slow, needs_alarm]
TRAINING = ["train_gpt", "train_bert", "train_translation", "finetune_bert"]
FILES = {"train_gpt": "text", "train_bert": "text", "train_translation": "pairs"}
FILES["finetune_bert"] = "task"
SMALL = {"steps": 2, "batch_size": 2, "evaluate_every": 10, "max_len": 16, "xla": False}
BAD = {
    int: ["0", "-1", "1.5", "nan", "many", "", "1e3", "³"],
    float: ["-1", "nan", "inf", "-inf", "half", ""],
}
# What is beyond any memory, or any tokenizer.
HUGE = ["d_model", "num_layers", "max_len", "batch_size", "beam_size", "buckets"]


def check_refused(main, argv, capfd, says=""):
    """Check that a command ends with 2 and a short sentence."""
    capfd.readouterr()
    with limits():
        code = exit_code(main, argv)
    error = capfd.readouterr().err.strip()
    assert code == 2, f"exit code {code}: {error}"
    assert "Traceback" not in error
    sentence = error.splitlines()[-1]
    assert "error: " in sentence, error
    assert says in sentence.replace("-", "_") or says in HUGE, sentence
    assert len(sentence) <= 320, f"{len(sentence)} characters: {sentence}"
    assert sentence.isprintable(), repr(sentence)


def make_wrong_files(folder):
    """Make files that nothing can be read from; return their paths by name."""
    contents = {
        "empty": b"",
        "blank": b" \n\n \t\n",
        "zeros": b"\0" * 5000,
        "text with a zero": b"one line of text\n" * 50 + b"\0" + b"and more\n" * 50,
        "utf-16 without a mark": ("a line of text\n" * 80).encode("utf-16-le"),
        "cp1252": "naïve café\n".encode("cp1252") * 80,
        "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20,
        "a name with \x1b[31m": b"\xff\xfe\xfd" * 99,
    }
    paths = {name: folder / name for name in contents}
    for name, data in contents.items():
        paths[name].write_bytes(data)
    for name in ("missing", "folder", "pipe", "link to itself", "link to nothing", "socket"):
        paths[name] = folder / name
    paths["folder"].mkdir()
    os.mkfifo(paths["pipe"])
    paths["link to itself"].symlink_to("link to itself")
    paths["link to nothing"].symlink_to("nothing")
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(folder):
        server.bind("socket")
    paths["/dev/zero"] = "/dev/zero"
    paths["a name that is not UTF-8"] = folder / os.fsdecode(b"caf\xe9")
    return paths


@pytest.fixture(scope="module")
def right_files(tmp_path_factory):
    """A file that each script can train on."""
    folder = tmp_path_factory.mktemp("right")
    texts = {
        "train_gpt": "a line of text, and some more of it\n" * 60,
        "train_bert": "The first sentence. A second one.\n\nAnother text. It ends.\n\n" * 60,
        "train_translation": "".join(f"red {n}\tder {n}\n" for n in range(90)),
        "finetune_bert": "".join(f"sentence {n}\t{'ab'[n % 2]}\n" for n in range(90)),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return {name: str(folder / name) for name in texts}


@pytest.fixture(scope="module")
def wrong_files(tmp_path_factory):
    return make_wrong_files(tmp_path_factory.mktemp("wrong"))


def flag(name, value):
    return f"--{name.replace('_', '-')}={value}"


def settings_of(script):
    """List the settings of a script and what kind each is."""
    return {
        name: row[0] for rows in load_script(script).FLAGS.values() for name, row in rows.items()
    }


def small(script):
    """Flags that make a training short, if it should begin after all."""
    flags = []
    for name, value in SMALL.items():
        if name in settings_of(script):
            no = "" if value else "no-"
            is_switch = isinstance(value, bool)
            flags.append(f"--{no}{name}" if is_switch else flag(name, value))
    return flags


def wrong_numbers():
    """Pair each number among the flags with values that it cannot have."""
    for script in TRAINING:
        for name, default in settings_of(script).items():
            if type(default) not in BAD:
                continue
            values = list(BAD[type(default)])
            if name == "seed":
                values[0] = str(2**31)
            if name in HUGE:
                values.append("1000000000")
            if type(default) is float and name != "learning_rate":
                values.append("2")  # a share
            for value in values:
                yield script, name, value


@pytest.mark.parametrize(("script", "name", "value"), list(wrong_numbers()))
def test_a_wrong_number(script, name, value, right_files, tmp_path, capfd):
    out = tmp_path / "run"
    argv = [flag(FILES[script], right_files[script]), flag("out", out), *small(script)]
    check_refused(load_script(script).main, [*argv, flag(name, value)], capfd, name)
    assert not out.exists()


WRONG_FILES = [
    *("empty", "blank", "zeros", "text with a zero", "utf-16 without a mark", "cp1252"),
    *("a picture", "a name with \x1b[31m", "missing", "folder", "pipe", "link to itself"),
    *("link to nothing", "socket", "/dev/zero", "a name that is not UTF-8"),
]


@pytest.mark.parametrize("file", WRONG_FILES)
@pytest.mark.parametrize("script", TRAINING)
def test_a_wrong_file(script, file, wrong_files, tmp_path, capfd):
    out = tmp_path / "run"
    argv = [flag(FILES[script], wrong_files[file]), flag("out", out), *small(script)]
    check_refused(load_script(script).main, argv, capfd)
    assert not out.exists()


@pytest.mark.parametrize("file", ["cp1252", "pipe", "missing", "zeros"])
@pytest.mark.parametrize("script", TRAINING)
def test_a_wrong_file_costs_no_old_run(script, file, wrong_files, tmp_path, capfd):
    old = {"settings.json": "{}", "weights.safetensors": "weights", "log.csv": "step,loss\n"}
    for name, text in old.items():
        (tmp_path / name).write_text(text)
    argv = [flag(FILES[script], wrong_files[file]), flag("out", tmp_path), "--overwrite"]
    check_refused(load_script(script).main, [*argv, *small(script)], capfd)
    assert {name: (tmp_path / name).read_text() for name in old} == old


@pytest.mark.parametrize("script", TRAINING)
@pytest.mark.parametrize("out", ["a file", "not a run", "below a file", "a\0zero", ""])
def test_a_wrong_folder(script, out, right_files, tmp_path, capfd):
    (tmp_path / "a file").write_text("mine")
    (tmp_path / "not a run").mkdir()
    (tmp_path / "not a run" / "thesis.txt").write_text("mine")
    path = {"below a file": "a file/run"}.get(out, out)
    path = str(tmp_path / path) if path else ""
    argv = [flag(FILES[script], right_files[script]), f"--out={path}", *small(script)]
    check_refused(load_script(script).main, argv, capfd)
    assert (tmp_path / "a file").read_text() == "mine"
    assert (tmp_path / "not a run" / "thesis.txt").read_text() == "mine"


@pytest.fixture(scope="module")
def runs(right_files, tmp_path_factory):
    """A finished run of a GPT and of a translator."""
    folder = tmp_path_factory.mktemp("runs")
    for script, more in {
        "train_gpt": ["--d-model=12", "--num-heads=3", "--num-layers=1"],
        "train_translation": ["--model=lstm", "--vocab-size=320", "--beam-size=1"],
    }.items():
        argv = [flag(FILES[script], right_files[script]), flag("out", folder / script)]
        assert exit_code(load_script(script).main, [*argv, *small(script), *more]) == 0
    return folder


SETTINGS = [
    *("", "[]", "null", "7", '"text"', "{", "[" * 100_000, "{}x", "\0", '{"steps": 1, "seed"'),
    *('{"steps": "many"}', '{"steps": null}', '{"steps": 30.5}', '{"steps": -1}', '{"steps": []}'),
    *('{"d_model": 0}', '{"d_model": "x"}', '{"max_len": {}}', '{"seed": -5}', '{"text": 7}'),
    *('{"learning_rate": "fast"}', '{"batch_size": 0}', '{"dropout_rate": 7}', '{"recipe": "?"}'),
    *('{"tokenizer": "?"}', '{"num_heads": 5}', '{"num_layers": true}', '{"accumulate": 0}'),
    *('{"d_model": 1000000000}', '{"evaluate_every": 0}', '{"xla": "yes"}', '{"strategy": "?"}'),
]


@pytest.mark.parametrize("text", SETTINGS, ids=lambda text: ascii(text[:30]))
def test_wrong_settings_of_a_run_that_is_resumed(text, runs, tmp_path, capfd):
    settings = (runs / "train_gpt" / "settings.json").read_text()
    with contextlib.suppress(ValueError, RecursionError):
        changed = json.loads(text)
        if isinstance(changed, dict):
            text = json.dumps(json.loads(settings) | changed)
    (tmp_path / "settings.json").write_text(text)
    argv = ["--resume", flag("out", tmp_path)]
    check_refused(load_script("train_gpt").main, argv, capfd)


@pytest.mark.parametrize(
    "argv",
    [
        *(["--prompt="], ["--prompt=\0"], [], ["--prompt=αβγ"], ["--prompt=a", "--run="]),
        *(["--prompt=a", "--run=/missing"], ["--prompt=a", "--run=/dev/zero"]),
        *(["--prompt=a", f"--max-new-tokens={n}"] for n in ("-1", "x", "1.5", "", "nan")),
        *(["--prompt=a", f"--temperature={n}"] for n in ("-1", "nan", "inf", "hot", "")),
        *(["--prompt=a", f"--top-k={n}"] for n in ("0", "-1", "1.5", "x")),
        *(["--prompt=a", f"--top-p={n}"] for n in ("0", "-1", "1.5", "nan", "x")),
        *(["--prompt=a", f"--seed={n}"] for n in ("-1", str(2**31), "1.5", "x")),
        ["--prompt=a", "--max-new-tokens=100000000000"],
    ],
    ids=str,
)
def test_a_wrong_request_for_text(argv, runs, capfd):
    if not any(word.startswith("--run") for word in argv):
        argv = [*argv, flag("run", runs / "train_gpt")]
    check_refused(load_script("generate").main, argv, capfd)


@pytest.mark.parametrize(
    "argv",
    [
        *(["--beam-size=0", "red"], ["--beam-size=-1", "red"], ["--beam-size=1000000000", "red"]),
        *(["--beam-size=x", "red"], [], ["--run=/missing", "red"], ["--run=/dev/zero", "red"]),
        *(["--picture=/missing/a.svg", "red"], ["--picture=/", "red"], [""], [" "]),
    ],
    ids=str,
)
def test_a_wrong_request_for_a_translation(argv, runs, capfd):
    if not any(word.startswith("--run") for word in argv):
        argv = [*argv, flag("run", runs / "train_translation")]
    check_refused(load_script("translate").main, argv, capfd)


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_len", None), ("max_len", "40"), ("max_len", -3), ("max_len", True), ("model", None)],
)
def test_a_wrong_setting_of_a_translator(name, value, runs, tmp_path, capfd):
    shutil.copytree(runs / "train_translation", tmp_path / "run")
    path = tmp_path / "run" / "settings.json"
    settings = json.loads(path.read_text("utf-8")) | {name: value}
    if value is None:
        del settings[name]
    path.write_text(json.dumps(settings), "utf-8")
    argv = [flag("run", tmp_path / "run"), "red"]
    check_refused(load_script("translate").main, argv, capfd)


@pytest.mark.parametrize("script", ["train_translation", "finetune_bert"])
def test_a_file_to_train_on_is_no_file_to_validate_with(script, right_files, tmp_path, capfd):
    file = right_files[script]
    argv = [flag(FILES[script], file), "--valid", file, "--out", str(tmp_path / "run")]
    check_refused(load_script(script).main, argv, capfd, "is the file to train on")


@pytest.mark.filterwarnings("ignore:.* is damaged")
@pytest.mark.parametrize("damage", ["beyond the last step", "all cut short"])
def test_checkpoints_that_do_not_fit_are_not_trained_over(damage, runs, tmp_path, capfd):
    shutil.copytree(runs / "train_gpt", tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        if damage == "all cut short":
            path.write_bytes(path.read_bytes()[:-1])
        else:
            path.rename(path.with_name("step-00099999.safetensors"))
    argv = ["--resume", "--out", str(tmp_path / "run")]
    check_refused(load_script("train_gpt").main, argv, capfd)


@pytest.mark.parametrize("file", ["weights.safetensors", "config.json", "characters.json"])
@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\0" * 100, b"[]", b"{}", b"{", b"null", b"[" * 100_000, b"\xff" * 64),
        *(b"\xff\xff\xff\xff\xff\xff\xff\x7f" + b"{}", b"\x02\0\0\0\0\0\0\0{}"),
        *("folder", "pipe", "link", "/dev/zero", "sparse"),
    ],
    ids=lambda content: ascii(content[:20]),
)
def test_a_wrong_file_in_a_run(file, content, runs, tmp_path, capfd):
    for path in (runs / "train_gpt").iterdir():
        if path.is_file() and path.name != file:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / file
    make = {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "link": lambda: path.symlink_to(file),
        "/dev/zero": lambda: path.symlink_to("/dev/zero"),
    }
    if content == "sparse":
        with path.open("wb") as sparse:
            sparse.truncate(2**40)
    elif isinstance(content, str):
        make[content]()
    else:
        path.write_bytes(content)
    argv = ["--prompt=a", flag("run", tmp_path), "--no-xla"]
    check_refused(load_script("generate").main, argv, capfd)


@pytest.mark.parametrize(
    "argv",
    [
        *(["0", "scripts/train_gpt.py"], ["-1", "scripts/train_gpt.py"], ["x", "s.py"], []),
        *(["100000", "scripts/train_gpt.py"], ["2", "missing.py"], ["2", "/"], ["2"], ["1.5", "s"]),
    ],
    ids=str,
)
def test_wrong_workers(argv, capfd):
    check_refused(load_script("start_workers").main, argv, capfd)
