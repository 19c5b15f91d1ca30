"""What the project promises as a whole."""

import ast
import json
import re
import subprocess
import sys
import tomllib

import pytest
from conftest import ROOT

import minitransformer
from scripts.book import names, sizes, source

PACKAGE = ROOT / "minitransformer"
# The reading order: the ladder, then attention before it, and the models.
ORDER = [*minitransformer._MODULES]
ORDER = ORDER[: ORDER.index("tokenizers")]
LADDER = [name for name in ORDER if "." not in name]
# What a room may import besides itself; models never import each other.
MAY_IMPORT = {
    "models": {*LADDER, "runs.saving", "runs.sizes", "runs.pretrained", "runs.llama_files"},
    "tokenizers": {"tokenizers", "runs.saving"},
    "data": {"data", "masks", "runs.saving"},
    "learning": {"learning", "runs.saving", "runs.signals"},
    "writing": {"writing", "data.buckets", "figures", "runs.compilation"},
    "inside": {"inside", *LADDER},
    "runs": {"runs", "learning", "figures"},
    "check_run": {"runs", "learning.training", "tokenizers", "data.copies", "figures"},
    "figures": set(),
    "diagrams": {"figures"},
    "viewer": {"figures"},
    "coursework": {"coursework", "runs.saving", "runs.flags"},
}


def modules():
    return [p for p in sorted(PACKAGE.rglob("*.py")) if p.name != "__init__.py"]


def modules_outside_coursework():
    return [p for p in modules() if "coursework" not in p.parts]


def imports(path):
    """List the modules of ours that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module and node.module.startswith("minitransformer"):
                yield node.module.split(".")[1:] or ["minitransformer"]
        elif isinstance(node, ast.Import):
            for name in node.names:
                assert not name.name.startswith("minitransformer"), path


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_follow_the_reading_order(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room in LADDER:
        allowed = set(LADDER[: LADDER.index(room)])
    elif path.stem == "bert_heads":  # a model's second file
        allowed = MAY_IMPORT[room] | {"models.bert"}
    else:
        allowed = MAY_IMPORT[room]
    allowed = allowed | {"runs.given"}  # all check what users give by one rule
    for target in imports(path):
        assert {target[0], ".".join(target[:2])} & allowed, target


def readme_tree():
    """List the files of the package that the README's tree names.

    A folder with a line but no files below it stands for all of its files.
    """
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.split("```text\nminitransformer/\n")[1]
    block, room = block.split("\nscripts/")[0], ""
    for line in filter(None, block.splitlines()):
        name, _ = line.split(maxsplit=1)  # fails without a description
        indent = len(line) - len(line.lstrip())
        room = room if indent > 2 else name if name.endswith("/") else ""
        yield name if indent == 2 else room + name


def test_the_readmes_tree_names_every_file():
    files = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py" or source.code_lines(path)
    }
    named = [*readme_tree()]
    folders = tuple(name for name in named if name.count("/") > 1)
    below = {file for file in files if file.startswith(folders)}
    assert sorted(set(files - below)) == sorted(name for name in named if not name.endswith("/"))


def test_the_modules_have_one_order_everywhere():
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8").split("\nnav:")[1]
    path = (ROOT / "docs" / "learn.md").read_text("utf-8")
    # A chapter, or a page that is none; the short routes are in their own order.
    rows = "\n".join(re.findall(r"^\| (?:\d+ · )?\[.*\| \d+ \|$", path, re.M))
    orders = [
        [file.removesuffix(".py") for file in readme_tree()],
        re.findall(r"modules/([\w/]+)\.md", navigation),
        re.findall(r"\(modules/([\w/]+)\.md\)", rows),
    ]
    modules = {
        path.relative_to(PACKAGE).with_suffix("").as_posix()
        for path in modules_outside_coursework()
    }
    readme, in_navigation, in_path = (
        [name for name in names if name in modules] for names in orders
    )
    assert set(readme) == modules
    assert in_navigation == readme
    assert in_path == readme
    assert [name.replace("/", ".") for name in readme][: len(ORDER)] == ORDER
    for number, name in enumerate(ORDER):
        file = PACKAGE / f"{name.replace('.', '/')}.py"
        used = {".".join(target) for target in imports(file)} & {*ORDER}
        assert used <= {*ORDER[:number]}, f"{name} imports what comes later"


def test_chapters_have_one_number_everywhere():
    chapters = [(str(n), name.replace(".", "/")) for n, name in enumerate(ORDER, 1)]
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8").split("\nnav:")[1]
    assert re.findall(r'"(\d+) · [^"]+": modules/([\w/]+)\.md', navigation) == chapters
    path = (ROOT / "docs" / "learn.md").read_text("utf-8")
    assert re.findall(r"^\| (\d+) · \[[^]]+\]\(modules/([\w/]+)\.md", path, re.M) == chapters


def test_five_tabs_lead_from_the_start_through_the_book_to_the_reference():
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8").split("\nnav:")[1]
    tabs = re.findall(r"^  - (\w+):", navigation, re.M)
    assert tabs == ["Start", "Book", "Guides", "Exercises", "Reference"]
    first, last, following = (
        navigation.index(page)
        for page in (f"modules/{ORDER[0]}.md", "modules/models/bert_heads.md", "guides/")
    )
    assert navigation.index("learn.md") < first < last < following
    assert "\n          - guides/" not in navigation  # all below Guides


def test_the_files_from_token_ids_to_a_talking_gpt_are_few():
    short = sizes.files_on_the_way(sizes.SHORT)
    assert {"attention", "plain_step", "sampling"} <= {p.stem for p in short}
    assert len(short) <= 20
    assert sizes.code(short) <= 2000
    programs = sizes.files_on_the_way(sizes.PROGRAMS)
    assert {"training", "run", *(p.stem for p in short)} <= {path.stem for path in programs}
    assert not {path.stem for path in programs} & {*sizes.OTHER}
    assert {*sizes.OTHER} <= {path.stem for path in modules()}


def test_importing_the_package_loads_no_tensorflow():
    code = (
        "import sys, minitransformer\n"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)\n"
        "from minitransformer import CharTokenizer\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there_and_has_a_docstring():
    for name in minitransformer.__all__:
        assert getattr(minitransformer, name).__doc__, name
    assert set(minitransformer.__all__) <= set(dir(minitransformer))
    with pytest.raises(AttributeError, match="nonsense"):
        minitransformer.nonsense  # noqa: B018


def test_no_public_name_is_also_a_module():
    # Importing the module would put it in the name's place.
    taken = {path.stem for path in PACKAGE.iterdir()}
    assert not taken & set(minitransformer.__all__)


def test_the_type_stub_is_as_the_list_of_names_makes_it():
    assert names.STUB.read_text("utf-8") == names.stub(), "run `python -m scripts.book.names`"


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in modules()
        # An exercise brings mistakes of its own: test_exercises.py.
        if path.parent.name not in ("answers", "exercises")
        and path.stem != "compilation"  # it works or it does not
    ],
    ids=lambda p: p.stem,
)
def test_a_mistake_is_planted_in_every_module(path):
    planted = (ROOT / "tests" / "mutants.py").read_text("utf-8")
    assert f'"{path.relative_to(PACKAGE).as_posix()}"' in planted


def test_versions_agree():
    version = minitransformer.__version__
    for name in ("CITATION.cff", "CHANGELOG.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert re.search(rf"\b{re.escape(version)}\b", text), name


def test_lines_of_the_package_fit_beside_prose():
    for path in PACKAGE.rglob("*.py"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert len(line) <= 76, f"{path.name}:{number}"


def test_ruff_finds_nothing():
    for command in (["check"], ["format", "--check"]):
        result = subprocess.run(
            [sys.executable, "-m", "ruff", *command, str(ROOT)], capture_output=True, text=True
        )
        assert result.returncode == 0, result.stdout


def test_the_gate_runs_the_readmes_own_commands():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for name in ("train", "test", "docs"):
        command = re.search(rf"<!-- command: {name} -->\n```bash\n(.+)\n```", readme)
        assert command, f"README has no command {name}"
        assert "venv" in command[1]
        assert f"readme_command {name}" in gate


def test_the_recipes_figures_in_the_readme_are_the_measured_ones():
    path = ROOT / "docs" / "evidence" / "nanogpt-recipe.json"
    result = json.loads(path.read_text())
    losses = result["valid_loss"].values()
    assert len(losses) == 3
    assert result["mean"] == pytest.approx(sum(losses) / 3)
    assert result["mean"] <= 1.90
    assert max(losses) <= 1.92
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for number in [*losses, result["mean"]]:
        assert f"{number:.4f}" in readme
    assert "scripts/evidence/nanogpt_recipe.py" in readme


def test_the_translators_are_as_good_as_promised():
    evidence = ROOT / "docs" / "evidence"
    runs = json.loads((evidence / "dates.json").read_text())["runs"]
    for name in ("LSTM with attention", "Transformer"):
        assert len(runs[name]) == 3
        for run in runs[name].values():
            assert run["exact_match"] >= 0.99, name
    text = (evidence / "tatoeba.json").read_text(encoding="utf-8")
    models = json.loads(text)["models"]
    assert set(models) == set(runs)
    for name, model in models.items():
        greedy, *beams = model["valid_bleu"].values()
        assert max(beams) >= greedy, name


def test_pretraining_is_worth_what_is_promised():
    evidence = ROOT / "docs" / "evidence"
    results = json.loads((evidence / "sst2.json").read_text())["results"]
    accuracy = {way: [run["accuracy"] for run in runs.values()] for way, runs in results.items()}
    assert all(len(found) == 3 for found in accuracy.values())
    assert min(accuracy["fine-tuned"]) > max(accuracy["from scratch"]) + 0.05
    bert = json.loads((evidence / "bert.json").read_text())["results"]
    assert bert["words"] > 4 * bert["most_frequent_word"]
    assert bert["sentences"] > bert["same_answer"] + 0.05
    assert bert["seconds"] < 600


def test_extras_hold_what_is_promised():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert {"docs", "test", "tensorboard"} <= set(extras)
    assert "minitransformer[docs,bleu]" in extras["test"]
