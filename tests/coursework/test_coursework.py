"""The command: list, start, check, hint, solution, grade."""

import ast
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import pytest
from conftest import ROOT

from minitransformer.coursework import checking
from minitransformer.coursework.__main__ import main
from minitransformer.coursework.checking import check_here
from minitransformer.coursework.exercise import COURSE, find_task, read_course
from minitransformer.coursework.folder import solution
from minitransformer.coursework.forbidden import UNREAD, forbidden_names, used_names
from minitransformer.coursework.grading import harmless, read_table
from minitransformer.coursework.variants import right_functions, wrong_functions, wrong_tree

TASKS = read_course()
CHECKED = [task for task in TASKS if not task.exercise.rubric]


def run(capsys, *arguments):
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as end:
        code = end.code
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def solve(folder, task, text=None):
    """Write the answer, or a text, in the place of a stub."""
    path = folder / f"{task.module}.py"
    path.write_text(solution(task, TASKS, text), encoding="utf-8")


@pytest.fixture
def started(tmp_path):
    folder = tmp_path / "work"
    assert main(["start", str(folder)]) == 0
    return folder


def test_help_and_list_load_no_tensorflow_and_are_quick(tmp_path):
    code = (
        "import sys\n"
        "from minitransformer.coursework.__main__ import main\n"
        "for line in (['list'], ['start', sys.argv[1]], ['hint', '2']):\n"
        "    assert main(line) == 0\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "\x1b[" not in result.stdout  # plain where there is no terminal


def test_the_list_has_every_exercise_in_order(capsys):
    code, out, _ = run(capsys, "list")
    assert code == 0
    places = [out.index(task.exercise.title) for task in TASKS]
    assert places == sorted(places)
    assert f"{sum(task.points for task in TASKS):g} points" in out


def test_start_writes_a_project_and_touches_nothing_that_is_there(capsys, tmp_path):
    folder = tmp_path / "a" / "b"
    code, out, _ = run(capsys, "start", folder, "--only", "3")
    assert code == 0
    third = find_task(TASKS, "03")
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "adapters.py",
        "pyproject.toml",
        ".gitignore",
        f"{third.module}.py",
    }
    (folder / f"{third.module}.py").write_text("mine = 1\n")
    code, out, _ = run(capsys, "start", folder)
    assert code == 0
    assert "not changed: README.md" in out
    assert (folder / f"{third.module}.py").read_text() == "mine = 1\n"
    for task in TASKS:
        assert (folder / f"{task.module}.py").is_file()
        assert (folder / f"{task.module}.md").is_file() == bool(task.exercise.rubric)


def test_stubs_give_no_points_and_say_so(capsys, started, tmp_path):
    report = tmp_path / "results.json"
    code, out, _ = run(capsys, "check", started, "--json", report)
    assert code == 1
    assert f"0 of {sum(task.points for task in TASKS):g} points" in out
    tests = json.loads(report.read_text("utf-8"))["tests"]
    assert len(tests) == len(CHECKED)  # the open ones are not among them
    for test, task in zip(tests, CHECKED, strict=True):
        assert test.keys() == {"name", "score", "max_score", "output"}
        assert test["score"] == 0
        assert test["max_score"] == task.points
        assert "is not written yet" in test["output"]


def test_answers_give_all_points_in_less_than_90_seconds(capsys, started, tmp_path):
    for task in CHECKED:
        solve(started, task)
    junit, report = tmp_path / "junit.xml", tmp_path / "results.json"
    before = time.monotonic()
    code, out, _ = run(capsys, "check", started, "--junit", junit, "--json", report)
    assert time.monotonic() - before < 90
    total = sum(task.points for task in CHECKED)
    assert f"{total:g} of {total:g} points" in out
    assert code == 0
    suite = ET.fromstring(junit.read_text("utf-8"))
    assert suite.get("failures") == "0"
    assert int(suite.get("tests")) == len(CHECKED) == len(suite)
    tests = json.loads(report.read_text("utf-8"))["tests"]
    assert sum(test["score"] for test in tests) == total


def test_a_mistake_is_named_in_every_report(capsys, started, tmp_path):
    task = find_task(TASKS, "02")
    mistake = task.exercise.mistakes[1]
    solve(started, task, ast.unparse(wrong_tree(task, mistake)))
    junit, report = tmp_path / "junit.xml", tmp_path / "results.json"
    code, out, _ = run(capsys, "check", started, "--only", "2", "--junit", junit, "--json", report)
    assert code == 1
    (test,) = json.loads(report.read_text("utf-8"))["tests"]
    failure = ET.fromstring(junit.read_text("utf-8"))[0][0]
    for words in (out, test["output"], failure.get("message")):
        assert mistake.name in words
    for words in (out, test["output"], failure.text):
        assert mistake.why in words
        assert mistake.page in words


@pytest.mark.slow
def test_what_an_exercise_builds_on_is_pointed_to(capsys, started):
    second, fourth = find_task(TASKS, "02"), find_task(TASKS, "04")
    assert fourth.builds_on == [second.name]
    _, out, _ = run(capsys, "check", started)
    assert "Correct that first" not in out  # stubs
    solve(started, fourth)
    text = second.answer_path.read_text("utf-8")
    solve(started, second, text.replace("return weights @", "return 3 *"))
    _, out, _ = run(capsys, "check", started)
    assert "function from exercise 02" in out
    _, out, _ = run(capsys, "check", started, "--only", "4")
    assert "Correct that first" not in out  # 02 was not looked at


def test_a_course_without_what_is_built_on(capsys, tmp_path):
    course = tmp_path / "course.toml"
    course.write_text("[[exercise]]\nnumber='1'\nname='multi_head'\npoints=2\nminutes=9\n")
    folder = tmp_path / "work"
    run(capsys, "start", folder, "--course", course)
    [task] = read_course(course)
    (folder / f"{task.module}.py").write_text(solution(task, [task]), encoding="utf-8")
    assert run(capsys, "check", folder, "--course", course)[0] == 0


def test_code_may_lie_anywhere_and_have_other_names(capsys, started):
    task = find_task(TASKS, "01")
    (started / "lib").mkdir()
    text = task.answer_path.read_text("utf-8")
    (started / "lib" / "core.py").write_text(
        text.replace("one_query_attention", "look"), encoding="utf-8"
    )
    adapters = started / "adapters.py"
    adapters.write_text(
        adapters.read_text("utf-8").replace("e01_one_query:one_query_attention", "lib.core:look"),
        encoding="utf-8",
    )
    assert run(capsys, "check", started, "--only", "1")[0] == 0


def test_what_is_to_be_written_may_not_be_borrowed(tmp_path):
    (tmp_path / "a.py").write_text("import keras\nlayer = keras.layers.MultiHeadAttention(1, 2)\n")
    (tmp_path / "b.py").write_text("from keras.layers import Attention\n")
    (tmp_path / "c.py").write_text("import minitransformer.attention as a\n")
    (tmp_path / "d.py").write_text("'MultiHeadAttention'\nbroken(\n")
    (tmp_path / "try.py").write_text("from minitransformer.coursework.checking import check_here\n")
    (tmp_path / "deep.py").write_text("-" * 200_000 + "1\n")
    (tmp_path / "long.py").write_text("a" + ".b" * 900 + "\n")
    for name, mark in ((".hidden", "x"), ("env", "pyvenv.cfg")):
        (tmp_path / name / "lib").mkdir(parents=True)
        (tmp_path / name / mark).touch()
        (tmp_path / name / "lib" / "e.py").write_text("import minitransformer\n")
    if os.name == "posix":  # what would be read for ever
        (tmp_path / "loop").symlink_to(tmp_path)
        (tmp_path / "zero.py").symlink_to("/dev/zero")
        os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "f.py").write_text("class Attention:\n    pass\n")
    (tmp_path / "g.py").write_text("import own.f\nfrom own.f import Attention\nown.f.Attention()\n")
    pipes = [f"{name}: {UNREAD}" for name in ("pipe.py", "zero.py")] * (os.name == "posix")
    assert forbidden_names(used_names(tmp_path), ("MultiHeadAttention", "Attention")) == [
        *pipes,  # not followed, and not passed over
        "a.py, line 2: keras.layers.MultiHeadAttention",
        "b.py, line 1: keras.layers.Attention",
        "c.py, line 1: minitransformer.attention",
    ]


def test_the_folders_own_name_hides_nothing(tmp_path):
    folder = tmp_path / "keras"
    folder.mkdir()
    (folder / "a.py").write_text("from keras.layers import Attention\n")
    assert forbidden_names(used_names(folder), ("Attention",)) == [
        "a.py, line 1: keras.layers.Attention"
    ]


def test_hints_come_one_by_one(capsys):
    hints = find_task(TASKS, "02").exercise.hints
    code, out, _ = run(capsys, "hint", "02")
    assert code == 0
    assert hints[0] in out
    assert hints[1] not in out
    assert "more: add --more)" in out
    _, out, _ = run(capsys, "hint", "2", "--more")
    assert hints[1] in out


def test_solutions_need_the_lecturers_key(capsys, monkeypatch):
    monkeypatch.delenv("MT_SOLUTIONS_KEY", raising=False)
    code, out, err = run(capsys, "solution", "02")
    assert code == 2
    assert not out
    assert "MT_SOLUTIONS_KEY" in err
    monkeypatch.setenv("MT_SOLUTIONS_KEY", "any")
    for task in TASKS:
        code, out, err = run(capsys, "solution", task.number)
        assert code == 0
        assert out == solution(task, TASKS)
        assert err.count("The book's own") == len(task.exercise.like)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "nowhere"], "has no adapters.py"),
        (["hint", "77"], "There is no exercise 77"),
        (["check", ".", "--only", "77"], "There is no exercise 77"),
        (["check", ".", "--only", "17"], "open"),
        (["list", "--course", "nowhere.toml"], "cannot be read"),
        (["grade", "nowhere", "--csv", "x.csv"], "is not a folder"),
        (["grade"], "required"),
        (["fly"], "invalid choice"),
        ([], "required"),
        (["check", ".", "--seed", "-1"], "give 0 to"),
    ],
)
def test_wrong_usage_is_one_sentence_and_code_2(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("exercise = 3", "no [[exercise]]"),
        ("x", "cannot be read"),
        ("", "no [[exercise]]"),
        ("[[exercise]]\nnumber='1'", "expected number"),
        ("[[exercise]]\nnumber='1'\nname='x'\npoints=1\nminutes=1", "name = 'x'; expected one of"),
        ("[[exercise]]\nnumber='1'\nname='masks'\npoints=-1\nminutes=1", "from 0 on"),
        (
            "[[exercise]]\nnumber=1\nname='masks'\npoints=1\nminutes=1",
            "number = 1; expected digits",
        ),
        (2 * "[[exercise]]\nnumber='1'\nname='masks'\npoints=1\nminutes=1\n", "the number 01"),
        (
            "".join(
                f"[[exercise]]\nnumber='{n}'\nname='masks'\npoints=1\nminutes=1\n"
                for n in ("1", "01")
            ),
            "the number 01",
        ),
        ("[[exercise]]\nnumber='../x'\nname='masks'\npoints=1\nminutes=1", "expected digits"),
        ("[[exercise]]\nnumber='1'\nname='masks'\npoints=1\nminutes=-1", "minutes = -1; expected"),
        ("[[exercise]]\nnumber='1'\nname='rotary'\npoints=1\nminutes=1", "is open"),
        ("exercise = ['a']", "no [[exercise]]"),
        ("exercise = []", "no [[exercise]]"),
        ("[[exercise]]\nnumber='1'\nname='masks'\npoints=nan\nminutes=1", "from 0 on"),
        (
            "[[exercise]]\nnumber='1'\nname='masks'\npoints=1\nminutes=true",
            "minutes = True; expected",
        ),
    ],
)
def test_a_course_file_that_will_not_do_is_refused(tmp_path, text, words):
    path = tmp_path / "course.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(words)):
        read_course(path)


def test_a_course_of_ones_own(capsys, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[[exercise]]\nnumber='1'\nname='masks'\npoints=2.5\nminutes=9\n")
    _, out, _ = run(capsys, "list", "--course", path)
    assert "2.5 points" in out
    folder = tmp_path / "work"
    run(capsys, "start", folder, "--course", path)
    assert (folder / "e1_masks.py").is_file()
    code, out, _ = run(capsys, "check", folder, "--course", path)
    assert code == 1
    assert "0/2.5" in out
    assert "| 2.5 | 9 |" in (folder / "README.md").read_text("utf-8")


def test_grading_makes_a_table_that_goes_on_where_it_stopped(capsys, tmp_path):
    course = tmp_path / "course.toml"
    course.write_text(
        "".join(
            f"[[exercise]]\nnumber='0{i}'\nname='{name}'\npoints={i}\nminutes=1\n"
            for i, name in enumerate(["one_query", "attention"], 1)
        )
    )
    tasks = read_course(course)
    class_ = tmp_path / "class"
    wrong = tasks[1].exercise.mistakes[1]
    for student in ("=ada", "ben", "empty"):
        folder = class_ / student
        if student == "empty":
            folder.mkdir()
            continue
        main(["start", str(folder), "--course", str(course)])
        for task in tasks:
            solve(folder, task)
        if student == "ben":
            text = ast.unparse(wrong_tree(tasks[1], wrong))
            solve(folder, tasks[1], text)
    table, page = tmp_path / "grades.csv", tmp_path / "mistakes.md"
    arguments = [
        "grade",
        class_,
        "--csv",
        table,
        "--mistakes",
        page,
        "--course",
        course,
        "--seed",
        "77",
    ]
    assert run(capsys, *arguments)[0] == 0
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["submission"] for row in rows] == ["'=ada", "ben", "empty"]
    assert [row["points"] for row in rows] == ["3", "1", "0"]
    assert rows[1]["02 says"] == wrong.name
    assert f"| {wrong.name} | 1 |" in page.read_text("utf-8")

    for name in ("=ada", "ben"):  # what is in the table is not done again
        shutil.rmtree(class_ / name)
        (class_ / name).mkdir()
    (class_ / "eve").mkdir()
    assert run(capsys, *arguments)[0] == 0
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["submission"] for row in rows] == ["'=ada", "ben", "empty", "eve"]
    assert [row["points"] for row in rows] == ["3", "1", "0", "0"]

    whole = table.read_text("utf-8")
    table.write_text(whole + "half,1\n", encoding="utf-8")
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert "row 5 has 2 cells, expected" in err

    table.write_text("other,columns\n")
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert "not a table of this course" in err
    assert table.read_text() == "other,columns\n"


CASES = ["no adapters.py", "empty", "notebook", "not written", "raises", "course", "number"]


@pytest.mark.parametrize("case", CASES)
def test_a_platform_gets_its_json_in_every_case(capsys, tmp_path, monkeypatch, case):
    folder, report, xml = tmp_path / "work", tmp_path / "results.json", tmp_path / "r.xml"
    folder.mkdir()
    arguments = ["check", folder, "--only", "77" if case == "number" else "1"]
    if case == "notebook":
        (folder / "e01_one_query.ipynb").write_text("{}")
    if case in ("not written", "raises"):
        main(["start", str(folder)])
    if case == "raises":
        monkeypatch.setattr(checking, "judge", lambda *_: 1 / 0)
    if case == "no adapters.py":
        (folder / "e01_one_query.py").write_text("x = 1\n")
    if case == "course":
        (tmp_path / "broken.toml").write_text("[[exercise]]\nnumber = 1\n")
        arguments += ["--course", tmp_path / "broken.toml"]
    code, _, err = run(capsys, *arguments, "--json", report, "--junit", xml)
    assert code == (1 if case in ("not written", "raises") else 2), err
    (test,) = json.loads(report.read_text("utf-8"))["tests"]
    assert test["score"] == 0
    assert test["output"]
    assert ET.fromstring(xml.read_text("utf-8")).get("failures") == "1"
    if code == 2:
        assert test["output"] in err


def test_junit_says_of_which_type_a_failure_is(capsys, started, tmp_path):
    junit = tmp_path / "junit.xml"
    run(capsys, "check", started, "--only", "1", "--junit", junit)
    assert ET.fromstring(junit.read_text("utf-8"))[0][0].get("type")


def test_a_class_is_found_deeper_and_without_what_an_archive_adds(capsys, tmp_path):
    deep = tmp_path / "class" / "ada" / "my work"
    main(["start", str(deep)])
    solve(deep, TASKS[0])
    (deep / "._e01_one_query.py").write_bytes(b"\0\x05")
    (tmp_path / "class" / "__MACOSX" / "ada").mkdir(parents=True)
    (tmp_path / "class" / "ada" / "__MACOSX").mkdir()
    (tmp_path / "class" / "ada" / "__MACOSX" / "adapters.py").touch()
    course, table = tmp_path / "c.toml", tmp_path / "g.csv"
    text = "[[exercise]]\r\nnumber='01'\r\nname='one_query'\r\npoints=4\r\nminutes=1\r\n"
    course.write_bytes(b"\xef\xbb\xbf" + text.encode())
    code, out, _ = run(capsys, "grade", tmp_path / "class", "--csv", table, "--course", course)
    assert code == 0
    assert "ada: 4 points" in out
    assert "--seed" in out  # drawn, since none was given
    assert "MACOSX" not in table.read_text("utf-8")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_table_that_a_spreadsheet_saved_is_taken(tmp_path, encoding, mark):
    path, tasks = tmp_path / "g.csv", TASKS[:1]
    rows = [["submission", "points", "1", "01 says"], ["zoë", "4", "4", f"a{mark} b"], ["", ""]]
    text = "\r\n".join(mark.join(f'"{cell}"' for cell in row) for row in rows)
    path.write_bytes(text.encode(encoding))
    assert read_table(path, tasks) == [
        {"submission": "zoë", "points": "4", "01": "4", "01 says": f"a{mark} b"}
    ]


def test_output_is_utf_8_whatever_the_system_has(started):
    for arguments in (["solution", "3"], ["check", str(started), "--only", "1"]):
        result = subprocess.run(
            [sys.executable, "-m", "minitransformer.coursework", *arguments],
            capture_output=True,
            env=os.environ | {"PYTHONIOENCODING": "cp1252", "MT_SOLUTIONS_KEY": "x"},
        )
        assert result.returncode == (arguments[0] == "check"), result.stderr
        text = result.stdout.decode("utf-8")
        if arguments[0] == "solution":
            assert ast.parse(text)


@pytest.mark.parametrize("name", ["typing", "math", "numbers", "numpy", "rich"])
def test_a_folders_files_do_not_run_in_the_check(started, name):
    (started / f"{name}.py").write_text("raise SystemExit(77)\n")
    result = subprocess.run(
        [sys.executable, "-m", "minitransformer.coursework", "check", ".", "--only", "1"],
        cwd=started,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 1, result.stderr
    assert "is not written yet" in result.stdout


def test_no_escape_sequence_reaches_a_terminal(capsys, tmp_path):
    _, out, err = run(capsys, "check", tmp_path / "a\x1b[31m", "--only", "1")
    assert "\x1b" not in out + err
    folder = tmp_path / "b"
    main(["start", str(folder)])
    (folder / "e01_one_query.py").write_text("raise ValueError('\\x1b]0;x\\x07\u202e')\n")
    (folder / "n\x1b.ipynb").touch()
    _, out, err = run(capsys, "check", folder, "--only", "1")
    assert not {"\x1b", "\x07", "\u202e"} & set(out + err)


def test_a_folder_tells_the_rules_and_its_pages_can_be_followed(started):
    text = (started / "README.md").read_text("utf-8")
    for words in ("MultiHeadAttention", "20 seconds", "4 GB", "Notebooks are not run"):
        assert words in text
    for path in started.glob("e*.py"):
        stub = path.read_text("utf-8")
        page = re.search(r"Read first: (docs/\S+)", stub)[1]
        assert (ROOT / page.partition("#")[0]).is_file()
        assert not re.search("fmt:|noqa|type: ignore", stub)


def test_no_words_of_a_student_become_a_formula():
    assert harmless("=1+1") == "'=1+1"
    assert harmless("@x") == "'@x"
    assert harmless("-1+1") == "'-1+1"
    assert harmless("\r=1") == "'\r=1"
    assert harmless("no scaling") == "no scaling"


def test_a_notebook_checks_its_own_functions(capsys):
    right = right_functions(find_task(TASKS, "01"))["one_query_attention"]
    check_here("01", right)
    assert capsys.readouterr().out == "01  right\n"

    def one_query_attention(query, keys, values):
        output, weights = right(query, keys, values)
        query[:] = 0
        return output, weights

    check_here("01", one_query_attention)
    assert "changes its arguments" in capsys.readouterr().out
    with pytest.raises(ValueError, match="needs one_query_attention; found nothing"):
        check_here("01")
    check_here(1, right)
    assert capsys.readouterr().out == "01  right\n"
    for number, function in ((1, 3), (1, print), (1, "one_query_attention")):
        with pytest.raises(ValueError, match="needs one_query_attention; found"):
            check_here(number, function)
    with pytest.raises(ValueError, match="17 is open"):
        check_here("17")


def test_a_notebooks_answers_are_asked_with_copies(capsys):
    task = find_task(TASKS, "01")
    wrong = task.exercise.mistakes[0]
    functions = wrong_functions(task, wrong)

    def one_query_attention(query, keys, values):
        result = functions["one_query_attention"](query, keys, values)
        values[:] = 0
        return result

    check_here("01", one_query_attention)
    assert wrong.name in capsys.readouterr().out


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_it_at_once(started, tmp_path, processes):
    import signal

    begun = started / "begun"
    (started / "e01_one_query.py").write_text(
        "def one_query_attention(**_):\n"
        f"    open({str(begun)!r}, 'w').close()\n"
        "    while True: pass\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "minitransformer.coursework", "check", str(started), "--only", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    processes.append(process)
    while not begun.exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert err == "stopped\n"


def test_the_course_file_is_in_the_package():
    assert COURSE.is_file()
