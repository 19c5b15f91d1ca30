"""Plant each classic bug in a copy of the package: the tests must see it."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import ROOT
from mutants import MUTANTS


def copy(folder):
    """Copy what the tests need, and return it."""
    shutil.copytree(
        ROOT / "minitransformer", folder / "minitransformer",
        ignore=shutil.ignore_patterns("__pycache__"),
    )  # fmt: skip
    for name in ("tests", "scripts"):
        shutil.copytree(
            ROOT / name, folder / name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )  # fmt: skip
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run_tests(folder, names):
    """Run test files against the copy; return the exit code and output."""
    code = (
        "import sys, pathlib, minitransformer as m\n"
        "here = pathlib.Path.cwd().resolve()\n"
        "assert here in pathlib.Path(m.__file__).resolve().parents\n"
        "import pytest\n"
        "sys.exit(pytest.main(sys.argv[1:]))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "-x", "-q", "-p", "no:cacheprovider",
         "-m", "slow" if names == ["test_strategy.py"] else "not slow",
         *(f"tests/{name}" for name in names)],
        cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )  # fmt: skip
    return result.returncode, result.stdout + result.stderr


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m[0])
def test_a_mutant_changes_one_place(mutant):
    _, file, right, wrong, tests = mutant
    text = (ROOT / "minitransformer" / file).read_text(encoding="utf-8")
    assert right in text
    changed = text.replace(right, wrong)
    assert changed != text
    compile(changed, file, "exec")
    assert (ROOT / "tests" / tests).is_file()


@pytest.mark.slow
def test_every_mutant_turns_its_tests_red(tmp_path):
    def survives(numbered):
        number, (name, file, right, wrong, tests) = numbered
        folder = copy(tmp_path / f"{number}")
        path = folder / "minitransformer" / file
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(right, wrong), encoding="utf-8")
        code, output = run_tests(folder, [tests])
        shutil.rmtree(folder)
        # 1 = tests failed. Anything else is a mistake in the mutant.
        if code == 1:
            return None
        return f"{name}: exit code {code}\n{output[-600:]}"

    with ThreadPoolExecutor(2) as pool:
        survivors = list(
            filter(None, pool.map(survives, enumerate(MUTANTS)))
        )
    assert not survivors, "\n\n".join(survivors)
