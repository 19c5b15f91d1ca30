"""Strangers' code: whatever it does, the verdict is one line."""

import io
import os
import py_compile
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from minitransformer.coursework import child, sandbox as sandboxes
from minitransformer.coursework.checking import SEED, check_exercise, check_folder
from minitransformer.coursework.exercise import Call, find_task, read_course
from minitransformer.coursework.judge import Ended, judge
from minitransformer.coursework.sandbox import Sandbox

TASK = find_task(read_course(), "01")
RIGHT = """
import numpy as np

def one_query_attention(query, keys, values):
    scores = keys @ query / np.sqrt(len(query))
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    return weights @ values, weights
"""
DEF = "def one_query_attention(query, keys, values):\n    "
FORGE = f"{RIGHT}\nimport sys\nmain = sys.modules['__main__']\n"
FORGE += "main.answer = lambda *_: main.dump("  # close the bracket


@pytest.fixture
def submission(tmp_path):
    def write(code):
        (tmp_path / "adapters.py").write_text(
            'WHERE = {"one_query_attention": "mine:one_query_attention"}\n'
        )
        (tmp_path / "mine.py").write_text(code)
        return tmp_path

    return write


def test_right_code_gets_its_points(submission):
    verdict = check_exercise(submission(RIGHT), TASK)
    assert verdict.right, verdict


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("import sys\n" + DEF + "sys.exit(0)", "ended Python (exit code 0)"),
        ("import os\n" + DEF + "os._exit(3)", "ended Python (exit code 3)"),
        ("import ctypes\n" + DEF + "ctypes.string_at(0)", "Python crashed"),
        ("import numpy\n" + DEF + "return numpy.ones(10**12), 1", "GB of memory"),
        ("import numpy\n" + DEF + "return numpy.zeros(10**8), 1", "larger than 64 MB"),
        (DEF + "while True: print('x' * 1000)", "1 MB: stopped"),
        (DEF + "return one_query_attention(query, keys, values)", "RecursionError"),
        (DEF + "return object(), 1", "TypeError"),
        (DEF + "x = []; x.append(x); return x, x", "RecursionError"),
        (DEF + "return input(), 1", "EOFError"),
        (DEF + "raise KeyboardInterrupt", "Python crashed"),
        ("def one_query_attention(", "SyntaxError"),
        ("x = 1", "AttributeError"),
        ("import gone", "ModuleNotFoundError"),
        (
            "import os\n" + DEF + "for i in range(3, 20):\n"
            "        try: os.write(i, bytes(200))\n"
            "        except OSError: pass\n    return 1, 2",
            "cannot be read",
        ),
        (
            FORGE + "{'value': True, 'seconds': 0.1, 'mutated': False})\n" + DEF + "return 1, 2",
            "two answers",  # the first answer is its own
        ),
        (
            "import numpy as np\nnp.allclose = np.isclose = lambda *a, **k: True\n"
            + DEF
            + "return np.zeros(values.shape[1]), np.ones(len(keys))",
            "sum to one",
        ),
        ("import numpy as np\nnp.asarray = lambda *a, **k: 3\n" + DEF + "return 1, 2", ""),
        ("import json\njson.dumps = None\n" + DEF + "return 1, 2", ""),
        (
            FORGE + "{'error': 'A\\nB\\ud800', 'text': '', 'place': ''})",
            "A B in one_query_attention",
        ),
        (FORGE + "{'error': 3, 'text': '', 'place': ''})", "cannot be read"),
        (FORGE + "{'value': 1, 'seconds': '1', 'mutated': False})", "cannot be read"),
        (FORGE + "{'value': 1})", "cannot be read"),
        (FORGE + "[1])", "cannot be read"),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="limits of the system")
def test_whatever_the_code_does_ends_in_a_line(submission, code, line):
    verdict = check_exercise(submission(code), TASK)
    assert not verdict.right
    assert line in verdict.headline
    assert "\n" not in verdict.headline


def test_an_endless_loop_is_stopped_and_the_others_still_run(submission, monkeypatch):
    folder = submission(RIGHT)
    (folder / "loop.py").write_text(
        "def scaled_dot_product_attention(**_):\n    while True: pass\n"
    )
    adapters = folder / "adapters.py"
    adapters.write_text(
        adapters.read_text().replace(
            "{", '{"scaled_dot_product_attention": "loop:scaled_dot_product_attention", '
        )
    )
    monkeypatch.setattr(sandboxes, "SECONDS", 3.0)
    tasks = [find_task(read_course(), number) for number in ("02", "01")]
    started = time.monotonic()
    (_, loop), (_, right) = check_folder(folder, tasks)
    assert time.monotonic() - started < 15
    assert "no answer after 3 s" in loop.headline
    assert right.right


@pytest.mark.skipif(os.name != "posix", reason="a full pipe")
def test_a_full_pipe_that_nobody_reads_does_not_hold_the_check(submission, monkeypatch):
    monkeypatch.setattr(sandboxes, "SECONDS", 1.0)
    folder = submission("import time\n" + DEF + "time.sleep(60)")
    started = time.monotonic()
    with Sandbox(folder) as sandbox:
        call = Call(
            "one_query_attention",
            {"query": np.zeros(8), "keys": np.zeros((50_000, 8)), "values": np.zeros((50_000, 8))},
        )
        for _ in range(2):
            with pytest.raises(Ended, match="Does it wait for something"):
                sandbox.ask(call)
    assert time.monotonic() - started < 10


ANSWERS = str(Path(child.__file__).parent / "answers" / "one_query.py")


@pytest.mark.parametrize(
    "code",
    [
        f"exec(open({ANSWERS!r}).read())",
        f"import os\nos.symlink({ANSWERS!r}, 'a.txt')\nopen('a.txt')",
        "import sys\ndel sys.meta_path[0]\nimport minitransformer.coursework.answers.one_query",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-V'])",
        "import os\nos.fork()",
        "import os\nos.system('true')",
        "import os\nos.kill(os.getppid(), 0)",
        "import os\nopen(f'/proc/{os.getppid()}/cmdline')",
        "open('../results.json', 'w')",
        "import os\nos.remove('../mine.py')",
        "exec('x = 1')",
        "from importlib.machinery import SourceFileLoader as S\nS('a', 'notes.txt').load_module()",
        "import sys\nsys.path.append('.hidden')\nimport inside",
        "import env.inside",
        "import compiled",
    ],
)
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="written for Linux")
def test_what_a_submission_may_not_do_is_refused(submission, code):
    folder = submission(code + "\n" + RIGHT)
    (folder / "notes.txt").write_text("x = 1\n")
    for name in (".hidden", "env"):
        (folder / name).mkdir()
        (folder / name / "inside.py").write_text("x = 1\n")
    (folder / "env" / "pyvenv.cfg").touch()
    py_compile.compile(str(folder / "notes.txt"), str(folder / "compiled.pyc"))
    verdict = check_exercise(folder, TASK, used=[])
    assert "PermissionError" in verdict.headline


def test_a_submission_may_write_into_its_folder_and_its_home(submission):
    code = "import tempfile\nopen('log.txt', 'w').close()\ntempfile.mkstemp()\ntempfile.TemporaryFile().close()\n"
    assert check_exercise(submission(code + RIGHT), TASK).right


def test_only_processor_time_counts(submission, monkeypatch):
    monkeypatch.setattr(sandboxes, "SECONDS", 1.0)
    code = RIGHT.replace("    scores", "    time.sleep(0.3)\n    scores", 1)
    assert check_exercise(submission("import time\n" + code), TASK).right


def test_a_python_that_cannot_begin_says_why(submission, monkeypatch):
    monkeypatch.setattr(sandboxes.sys, "path", [])
    monkeypatch.setattr(sandboxes.sys, "executable", sys._base_executable)
    verdict = check_exercise(submission(RIGHT), TASK)
    assert not verdict.right
    assert "exit code 1" not in verdict.headline or "Error" in verdict.headline


def test_randomness_and_what_stays_are_named(submission):
    code = "import random\n" + RIGHT.replace("@ values", "@ values + random.random()")
    verdict = check_exercise(submission(code), TASK)
    assert "two answers to the same question" in verdict.headline
    code = "seen = []\n" + RIGHT.replace(
        "    return", "    seen.append(1)\n    weights = weights * len(seen)\n    return"
    )
    verdict = check_exercise(submission(code), TASK)
    assert "two answers to the same question" in verdict.headline


def test_a_file_with_the_name_of_a_module_or_a_notebook_is_named(submission):
    folder = submission(RIGHT)
    (folder / "adapters.py").write_text('WHERE = {"one_query_attention": "numbers:f"}\n')
    (folder / "numbers.py").write_text("def f(): pass\n")
    (folder / "work.ipynb").write_text("{}")
    note = check_exercise(folder, TASK).note
    assert "numbers.py is never imported" in note
    assert "work.ipynb is a notebook" in note


def test_lists_travel_as_arrays_and_stay_lists():
    value = {"a": [[1, 2], [3, 4]], "b": [1.5], "c": [True], "d": [(1, 2)], "e": [[1], [2, 3]]}
    assert child.load(child.dump(value)) == value
    rows = [[0.5] * 1000 for _ in range(1000)]
    started = time.perf_counter()
    assert child.load(child.dump(rows)) == rows
    assert time.perf_counter() - started < 1


def test_the_package_may_not_be_imported(submission):
    code = "import importlib\nimportlib.import_module('minitransformer.attention')\n"
    verdict = check_exercise(submission(code + RIGHT), TASK, used=[])
    assert "ImportError" in verdict.headline
    assert "not allowed" in verdict.text
    verdict = check_exercise(submission("from minitransformer import attention\n" + RIGHT), TASK)
    assert verdict.headline == "uses a ready-made function of a library"
    assert "mine.py, line 1" in verdict.text


def test_only_a_function_and_its_arguments_go_in(submission, monkeypatch):
    sent = []
    write = child.dump

    def dump(value):
        sent.append(value)
        return write(value)

    monkeypatch.setenv("MT_SOLUTIONS_KEY", "secret")
    monkeypatch.setattr(child, "dump", dump)
    folder = submission(
        "import os\nassert 'MT_SOLUTIONS_KEY' not in os.environ\n"
        "import sys\nassert '987654' not in ' '.join(sys.argv)\n" + RIGHT
    )
    with Sandbox(folder) as sandbox:
        assert judge(TASK, sandbox.ask, 987654).right
    assert sent
    for message in sent:
        assert message.keys() == {"function", "args"}
        assert message["args"].keys() == {"query", "keys", "values"}


def test_another_seed_asks_with_other_numbers_and_sizes():
    def shapes(seed):
        calls = TASK.exercise.calls(np.random.default_rng(seed))
        return [call.args["keys"].shape for call in calls]

    assert shapes(1) == shapes(1)
    assert len({str(shapes(seed)) for seed in range(5)}) > 1


def test_a_secret_seed_asks_other_questions(submission):
    # Right by heart: it knows the widths that one seed asks with.
    widths = [len(call.args["query"]) for call in TASK.exercise.calls(np.random.default_rng(SEED))]
    other = next(
        seed
        for seed in range(100)
        for call in TASK.exercise.calls(np.random.default_rng(seed))
        if len(call.args["query"]) not in widths
    )
    folder = submission(
        RIGHT
        + f"""
right = one_query_attention

def one_query_attention(query, keys, values):
    assert len(query) in {widths}
    return right(query, keys, values)
"""
    )
    assert check_exercise(folder, TASK).right
    assert not check_exercise(folder, TASK, other).right


def test_changed_arguments_are_seen_from_outside(submission):
    code = RIGHT.replace("    return", "    query *= 2\n    return")
    verdict = check_exercise(submission(code), TASK)
    assert verdict.headline == "one_query_attention changes its arguments"


def test_the_place_of_an_exception_is_told(submission):
    verdict = check_exercise(submission(DEF + "return keys @ keys"), TASK)
    assert "ValueError" in verdict.headline
    assert verdict.lines == ["mine.py, line 2: return keys @ keys"]


def test_a_message_comes_back_as_it_was():
    value = {
        "a": np.float32([[1, 2]]),
        "b": [1, 2.5, None, True, "é"],
        "c": (np.array(3), []),
        "d": {"e": np.zeros((0, 2))},
    }
    back = child.load(child.dump(value))
    assert back["b"] == value["b"]
    assert isinstance(back["c"], tuple)
    assert back["a"].dtype == np.float32
    np.testing.assert_array_equal(back["a"], value["a"])
    assert back["d"]["e"].shape == (0, 2)
    assert child.load(child.dump((np.bool_(True), np.float32(0.5)))) == (True, 0.5)


def test_numbers_of_any_width_come_back_and_other_things_are_refused():
    import ml_dtypes

    half = np.ones((2, 3), ml_dtypes.bfloat16)
    for array in (half, np.ones((2, 3), np.longdouble)):
        back = child.load(child.dump([array]))
        np.testing.assert_array_equal(back, np.ones((1, 2, 3)))
    backwards = np.arange(6, dtype=">i4").reshape(2, 3).T  # and not in order
    np.testing.assert_array_equal(child.load(child.dump(backwards)), backwards)
    for wrong in (np.array(["a"]), np.array([None]), 1j, object()):
        with pytest.raises(TypeError, match="neither an array"):
            child.dump({"x": wrong})


TWICE = '[{"array": "0"}, {"array": "0"}]'  # a small message, much memory


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"nonsense",
        child.dump(1)[:-20],
        child.dump(np.zeros(9))[:-1],
        save({"0": np.zeros(9)}),
        save({"0": np.zeros(9)}, {"tree": TWICE}),
        save({}, {"tree": '{"array": "0"}'}),
        save({}, {"tree": '{"tuple": 3, "list": 3}'}),
        save({}, {"tree": "[" * 100_000 + "]" * 100_000}),
    ],
)
def test_what_is_no_message_is_refused(damaged):
    with pytest.raises(ValueError, match="not a message"):
        child.load(damaged)


def test_of_a_message_that_is_too_large_nothing_is_read():
    pipe = io.BytesIO()
    child.send(pipe, child.dump([1, 2]))
    pipe.seek(0)
    with pytest.raises(OverflowError):
        child.receive(pipe, 20)
    assert pipe.tell() == child.SIZE.size
    pipe.seek(0)
    assert child.receive(pipe) == [1, 2]
    assert child.receive(pipe) is None  # the end


def test_numpy_exercises_load_no_tensorflow(submission):
    code = (
        "import sys\n"
        "from minitransformer.coursework.checking import check_folder\n"
        "from minitransformer.coursework.exercise import read_course\n"
        "check_folder(sys.argv[1], read_course()[:1])\n"
        "assert 'tensorflow' not in sys.modules\n"
        "assert 'keras' not in sys.modules\n"
    )
    folder = submission(RIGHT + "\nimport sys\nassert 'tensorflow' not in sys.modules\n")
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
