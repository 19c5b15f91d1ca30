"""Plant each classic bug in a copy of the package: the tests must see it."""

import shutil
from concurrent.futures import ProcessPoolExecutor, as_completed

import elsewhere
import pytest
from conftest import ROOT
from mutants import MUTANTS


def copy(folder):
    """Copy what the tests need, and return it."""
    shutil.copytree(
        ROOT / "minitransformer",
        folder / "minitransformer",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name in ("tests", "scripts"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m[0])
def test_a_mutant_changes_one_place(mutant):
    _, file, right, wrong, tests = mutant
    text = (ROOT / "minitransformer" / file).read_text(encoding="utf-8")
    assert right in text
    changed = text.replace(right, wrong)
    assert changed != text
    compile(changed, file, "exec")
    path, _, test = tests.partition("::")
    assert f"def {test}(" in (ROOT / "tests" / path).read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_mutant_turns_its_tests_red(tmp_path):
    survivors, running = [], {}
    with ProcessPoolExecutor(2, elsewhere.prepare(), max_tasks_per_child=1) as pool:
        for number, (name, file, right, wrong, tests) in enumerate(MUTANTS):
            folder = copy(tmp_path / f"{number}")
            path = folder / "minitransformer" / file
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(right, wrong), encoding="utf-8")
            arguments = ["-x", "-q", "-n0", "-p", "no:cacheprovider", "-m", ""]
            task = pool.submit(elsewhere.run_tests, folder, [*arguments, f"tests/{tests}"])
            running[task] = name, folder
        for task in as_completed(running):
            code, output = task.result()
            name, folder = running[task]
            shutil.rmtree(folder)
            # 1 = tests failed. Anything else is a mistake in the mutant.
            if code != 1:
                survivors.append(f"{name}: exit code {code}\n{output[-600:]}")
    assert not survivors, "\n\n".join(survivors)
