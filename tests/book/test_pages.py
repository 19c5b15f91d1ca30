"""Pages, and the modules they are about: nothing missing, nothing stale."""

import importlib
import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import markdown
import nbformat
import numpy as np
import pytest
from conftest import ROOT, run_notebook
from pages import PAGES

import minitransformer
from minitransformer.runs.flags import defaults_of
from scripts.book import cells, coursework_pages, minutes, names, notebooks, source

DOCS = ROOT / "docs"
PACKAGE = ROOT / "minitransformer"
NUMBER = re.compile(r"[-−]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")


def name(page):
    return page.relative_to(DOCS).as_posix()


def page_of(module):
    """Name the page of a module: a package's is that of its __init__."""
    path = module.relative_to(PACKAGE).with_suffix("")
    if path.name == "__init__":
        path = path.parent
    return DOCS / "modules" / (f"{path}.md" if path.name else "minitransformer.md")


# Of the coursework, three modules have a page; a script writes the exercises'.
COURSEWORK = PACKAGE / "coursework"
SHOWN = {COURSEWORK / f"{n}.py" for n in ("exercise", "judge", "sandbox")}
MODULES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if (COURSEWORK not in path.parents or path in SHOWN) and source.code_lines(path)
]


def sources(page):
    """List a page's source fences: the file, and the lines shown."""
    for fence in notebooks.FENCE.finditer(page.read_text("utf-8")):
        if fence["kind"] == "source":
            yield source.extract(fence["code"])


@pytest.mark.parametrize("module", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_every_line_of_a_module_stands_on_its_page(module):
    page = page_of(module)
    assert page.is_file(), f"step 2 of CONTRIBUTING: write {page.relative_to(ROOT)}"
    missing = source.code_lines(module)
    for path, shown in sources(page):
        if path == module:
            for number, _ in shown:
                missing.pop(number, None)
    assert not missing, f"{name(page)} does not show {missing}"


def test_a_gpt_on_one_page_is_short_and_in_the_order_of_the_call():
    page = DOCS / "guides" / "one_page.md"
    assert sum(len(lines) for _, lines in sources(page)) <= 170
    fences = re.findall(r"^```source\n(\S+)", page.read_text("utf-8"), re.M)
    # The step itself calls what stands above it.
    shown = [name for name in fences if ".plain_step." not in name]
    called = []

    def note(frame, event, _):
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(PACKAGE):
            parts = path.relative_to(PACKAGE).with_suffix("").parts
            called.append(".".join([*parts, frame.f_code.co_qualname]))

    config = minitransformer.GPTConfig(
        vocab_size=11, max_len=7, d_model=6, num_heads=2, num_layers=1
    )
    model = minitransformer.GPT(config)
    sys.setprofile(note)
    try:
        batch = minitransformer.next_token(np.array([[1, 2, 3, 4, 5]]))
        logits = model(batch[0])
        minitransformer.masked_cross_entropy(logits, *batch[1:])
        minitransformer.choose(logits[:, -1], seed=(0, 0), temperature=1, top_k=None, top_p=None)
    finally:
        sys.setprofile(None)
    in_order = [name for name in dict.fromkeys(called) if name in shown]
    assert in_order == list(dict.fromkeys(shown))


def test_every_page_of_a_module_has_its_module():
    pages = {page_of(module) for module in MODULES}
    assert set((DOCS / "modules").rglob("*.md")) == pages


def test_the_evidence_knows_every_mistake():
    rows = coursework_pages.pages()["mistakes.md"].splitlines()
    unknown = [row for row in rows if "| ? |" in row]
    assert not unknown, "run `python scripts/evidence/coursework.py`"


def test_a_page_of_a_gone_exercise_is_deleted(tmp_path, monkeypatch):
    (tmp_path / "gone.md").touch()
    (tmp_path / "students.md").touch()
    monkeypatch.setattr(coursework_pages, "FOLDER", tmp_path)
    coursework_pages.write()
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"students.md", *coursework_pages.pages()}


def test_pages_and_tables_have_the_minutes_that_are_counted():
    stale = [name(page) for page, text in minutes.counted() if text != page.read_text("utf-8")]
    assert not stale, "run `python -m scripts.book.minutes`"


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8").split("\nnav:")[1]
    listed = re.findall(r"\S+\.md", navigation)
    assert sorted(listed) == sorted(map(name, PAGES))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_stored_outputs_are_those_of_the_cells(page):
    keys = [key for key, *_ in cells.cells(page.read_text("utf-8"))]
    assert keys == list(cells.load(cells.store_of(page))), (
        f"run `python -m scripts.book.cells {page.relative_to(ROOT)}`"
    )


def test_no_output_is_stored_for_a_page_that_is_gone():
    stored = set(cells.STORE.rglob("*.json"))
    assert stored <= {cells.store_of(page) for page in PAGES}


def test_the_footer_names_the_versions_that_the_outputs_came_from():
    made_with = {
        tuple((key, result["made_with"][key]) for key in ("TensorFlow", "Keras"))
        for page in PAGES
        for result in cells.load(cells.store_of(page)).values()
    }
    assert len(made_with) == 1, "run all pages with the same versions"
    footer = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert " and ".join(f"{k} {v}" for k, v in made_with.pop()) in footer


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_tests_that_a_page_names_exist(page):
    tests = "".join(p.read_text("utf-8") for p in (ROOT / "tests").rglob("test_*.py"))
    for test in re.findall(r"`(test_\w+)`", page.read_text("utf-8")):
        assert f"def {test}(" in tests, test


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_is_a_valid_notebook_with_the_same_outputs(page):
    notebook = notebooks.convert(page)
    nbformat.validate(notebook)
    stored = cells.load(cells.store_of(page)).values()
    outputs = [c.outputs for c in notebook.cells if c.cell_type == "code"]
    assert [len(o) for o in outputs if o] == [len(r["outputs"]) for r in stored if r["outputs"]]
    for cell in notebook.cells:
        assert "```source" not in cell.source
        assert "data-widget" not in cell.source


def test_the_reference_has_every_public_name():
    text = names.reference()
    for public, module in minitransformer._MODULE_OF.items():
        assert f"::: minitransformer.{module}.{public}\n" in text


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("train", ["train_gpt"]),
        ("translate", ["train_translation"]),
        ("bert", ["train_bert", "finetune_bert"]),
    ],
)
def test_the_guide_lists_every_flag_of_the_script(page, names):
    expected = []  # one that two scripts have stands there twice
    for name in names:
        script = importlib.import_module(f"scripts.{name}")
        flags = {title: rows for title, rows in script.FLAGS.items() if title}
        settings = [*defaults_of(flags), "out", "resume", "overwrite"]
        expected += [f"--{s.replace('_', '-')}" for s in settings]
    guide = (DOCS / "guides" / f"{page}.md").read_text("utf-8")
    rows = re.findall(r"^\| `(--[a-z-]+)` \|", guide, re.M)
    assert sorted(rows) == sorted(expected)


def same(old, new, recorded):
    """Compare outputs: words exactly, numbers as closely as printed.

    Of recorded ones, the words alone.
    """
    if [kind for kind, _ in old] != [kind for kind, _ in new]:
        return False
    for (kind, before), (_, now) in zip(old, new, strict=True):
        if recorded and kind != "text":
            continue
        if kind == "html":  # arrays in base 64, whose last digits may differ
            before, now = (re.sub(r"[\w+/]{60,}=*", "", s) for s in (before, now))
        words = ["".join(NUMBER.sub("#", s).split()) for s in (before, now)]
        if words[0] != words[1]:
            return False
        if recorded:
            continue
        for a, b in zip(NUMBER.findall(before), NUMBER.findall(now), strict=True):
            x, y = (float(s.replace(",", "").replace("−", "-")) for s in (a, b))
            digits = len(a.partition("e")[0].partition(".")[2])
            rounding = 1.01 * 10.0**-digits if digits else 0
            if abs(x - y) > rounding + 2e-3 * abs(x):
                return False
    return True


def test_outputs_are_compared_by_words_and_rounded_numbers():
    def alike(old, new, recorded=False):
        return same([["text", old]], [["text", new]], recorded)

    assert alike("loss 0.123", "loss 0.124")
    assert not alike("loss 0.123", "loss 0.126")
    assert not alike("loss 0.123", "lost 0.123")
    assert not alike("3 rows", "4 rows")
    assert alike("[ 1.  2.]", "[1. 2.]")
    assert alike("loss 0.1", "loss 3.1", recorded=True)
    assert not alike("loss 0.1", "0.1", recorded=True)
    assert not same([["text", "1"]], [["svg", "1"]], True)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_stored_outputs_are_those_of_running_again(page):
    stored = cells.load(cells.store_of(page))
    for key, result in cells.run_page(page).items() if stored else ():
        old = stored[key]["outputs"]
        assert same(old, result["outputs"], "recorded" in result), (
            f"stored {old}\nnow {result['outputs']}"
        )


@pytest.mark.slow
def test_a_notebook_runs():
    notebook = notebooks.convert(DOCS / "modules" / "attention.md")
    stored = [c.outputs for c in notebook.cells if c.cell_type == "code"]
    run_notebook(notebook, timeout=300)
    made = [c.outputs for c in notebook.cells if c.cell_type == "code"]
    for old, new in zip(stored, made, strict=True):
        texts = [
            ["".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")]
            for outputs in (old, new)
        ]
        assert same([["text", texts[0][0]]], [["text", texts[1][0]]], False)


# The binding itself.


def test_a_source_fence_shows_a_symbol_without_its_docstring():
    path, shown = source.extract("attention.attention_weights\nto: weights = tf.nn.softmax")
    assert path == PACKAGE / "attention.py"
    lines = path.read_text("utf-8").splitlines()
    assert all(lines[number - 1] == line for number, line in shown)
    text = textwrap.dedent("\n".join(line for _, line in shown))
    assert text.startswith("def attention_weights(")
    assert "Args" not in text
    assert text.endswith("weights = tf.nn.softmax(scores)")


def test_the_first_member_of_a_class_brings_the_line_of_the_class():
    _, shown = source.extract("normalization.LayerNorm.__init__")
    assert shown[0][1] == "class LayerNorm(layers.Layer):"
    _, shown = source.extract("normalization.LayerNorm.call")
    assert shown[0][1].strip().startswith("def call(self, x")


@pytest.mark.parametrize(
    "fence",
    [
        "attention.gone",
        "gone.attention",
        "attention.attention_weights\nto: scores",
        "attention.attention_weights\nto: nowhere",
        "attention\nuntil: import",
    ],
)
def test_a_fence_that_fits_nothing_stops_the_build(fence):
    with pytest.raises(LookupError):
        source.extract(fence)


def test_a_key_covers_the_evidence_that_a_cell_reads(tmp_path, monkeypatch):
    file = tmp_path / "docs" / "evidence" / "some.json"
    file.parent.mkdir(parents=True)
    file.write_text("1")
    monkeypatch.setattr(cells, "ROOT", tmp_path)
    text = '```python run\nPath("docs/evidence/some.json")\n```\n'
    before = cells.cells(text)
    file.write_text("2")
    assert cells.cells(text) != before


def test_a_key_covers_the_shipped_models_that_a_cell_loads(tmp_path, monkeypatch):
    file = tmp_path / "minitransformer" / "shipped" / "gpt" / "provenance.json"
    file.parent.mkdir(parents=True)
    monkeypatch.setattr(cells, "ROOT", tmp_path)
    keys = []
    for text in "12":
        file.write_text(text)
        pages = (f"```python run\n{name}\n```\n" for name in ("shipped_folder", "other"))
        keys.append([cells.cells(page) for page in pages])
    assert keys[0][0] != keys[1][0]
    assert keys[0][1] == keys[1][1]


def test_a_key_covers_earlier_cells_and_the_modules_they_import(monkeypatch):
    page = "```python run\n{}\n```\n\n```python run\nprint(1)\n```\n"
    plain = [key for key, *_ in cells.cells(page.format("x = 1"))]
    other = [key for key, *_ in cells.cells(page.format("x = 2"))]
    assert plain[0] != other[0]
    assert plain[1] != other[1]

    text = page.format("from minitransformer import MultiHeadAttention")
    before = cells.cells(text)
    lines = source.code_lines

    def edited(file, change):
        monkeypatch.setattr(
            cells,
            "code_lines",
            lambda path: change(lines(path)) if path.name == file else lines(path),
        )
        return cells.cells(text)

    add = {9999: "changed = True"}
    assert edited("attention.py", lambda old: old | add)[1] != before[1]
    assert edited("blocks.py", lambda old: old | add) == before
    assert edited("attention.py", lambda old: old | {9999: "  # a comment"}) == before


def test_a_cell_gives_what_it_prints_and_its_last_value():
    assert cells.run_cell("print(1)\n2 + 1", {}) == [["text", "1\n"], ["text", "3\n"]]
    from minitransformer.figures import svg

    [[kind, data]] = cells.run_cell("picture", {"picture": svg(1, 1, "x", [])})
    assert kind == "svg"
    assert data.startswith("<svg")
    assert cells.run_cell("x = 1", {}) == []


def test_a_quiz_hides_its_output_until_asked(monkeypatch):
    stored = {cells.next_key("", "2 + 2"): {"outputs": [["text", "4"]]}}
    monkeypatch.setattr(cells, "load", lambda path: stored)
    for options, first in (({"quiz": ""}, "<div"), ({"folded": ""}, "<pre")):
        html = cells.formatter("2 + 2", "python", "cell", options, markdown.Markdown())
        shown, _, hidden = html.partition("<details>")
        assert first in shown
        assert ("4</pre>" in hidden) == ("quiz" in options)


def test_a_missing_output_stops_the_build(tmp_path):
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copytree(PACKAGE, tmp_path / "minitransformer")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(DOCS / "theme", tmp_path / "docs" / "theme")
    (tmp_path / "docs" / "index.md").write_text("# A page\n\n```python run\n1 + 1\n```\n")
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode != 0
    assert "No output is stored for this cell" in result.stdout + result.stderr


def test_outputs_are_stored_as_readable_json():
    for path in cells.STORE.rglob("*.json"):
        for result in json.loads(path.read_text("utf-8")).values():
            assert {"outputs", "made_with"} <= set(result)
