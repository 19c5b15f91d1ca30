"""Notebooks run anywhere: in an empty folder, with nothing but the wheel."""

import os
import re
import subprocess
import sys
import zipfile

import nbformat
import pytest
from conftest import ROOT, run_notebook
from pages import PAGES

from scripts.book import address, cells, notebooks

TEN = [
    "index",
    "modules/positions",
    "modules/masks",
    "modules/tokenizers/merges",
    "modules/learning/schedules",
    "guides/train",
    "guides/growth",
    "guides/translators",
    "coursework/multi_head",
    "coursework/students",
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel and unpack it, as pip would."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [file] = folder.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder / "packages")
    return folder / "packages"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of nbclient and its event loop
@pytest.mark.parametrize("page", TEN)
def test_a_notebook_runs_in_an_empty_folder(page, wheel, tmp_path):
    notebook = notebooks.convert(cells.DOCS / f"{page}.md")
    where = nbformat.v4.new_code_cell("import minitransformer; print(minitransformer.__file__)")
    notebook.cells.append(where)
    path = {"metadata": {"path": str(tmp_path)}}
    env = os.environ | {"PYTHONPATH": str(wheel), "TF_CPP_MIN_LOG_LEVEL": "3"}
    run_notebook(notebook, env, timeout=110, resources=path)
    assert notebook.cells[-1].outputs[0].text.startswith(str(wheel))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_notebook_opens_with_python_and_what_it_needs(page):
    notebook = notebooks.convert(page)
    assert notebook.metadata.kernelspec.name == "python3"
    first, *others = notebook.cells
    assert f"git+{address.repository()}" in first.source
    code = "\n".join(c.source for c in others if c.cell_type == "code")
    for name in re.findall(r'\("(docs/[^"]+)', code):  # a file, or a folder of some
        assert re.search(rf'"{name}(/[^"]+)?":|Path\("{name}"\)\nif not', code), name


def test_the_addresses_come_from_one_place(monkeypatch):
    monkeypatch.setenv("REPO_URL", "https://github.com/somebody/book/")
    assert address.repository() == "https://github.com/somebody/book"
    monkeypatch.delenv("REPO_URL")
    assert address.repository().startswith("https://github.com/")
    assert address.site().startswith("https://")
