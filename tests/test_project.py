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

PACKAGE = ROOT / "minitransformer"
NOTHING, LADDER = set(), {"masks", "attention", "normalization",
                          "feed_forward", "positions"}  # fmt: skip
MAY_IMPORT = {
    "masks": NOTHING, "attention": NOTHING, "normalization": NOTHING,
    "feed_forward": NOTHING, "positions": NOTHING, "saving": NOTHING,
    "pretrained": NOTHING,
    "commands": NOTHING, "compilation": NOTHING, "progress": NOTHING, "figures": NOTHING,
    "diagrams": {"figures"},
    "schedules": NOTHING, "losses": NOTHING, "objectives": NOTHING,
    "tokenizers": {"saving", "tokenizers"},
    "corpora": {"saving"}, "checkpoints": {"saving"}, "runs": {"saving"},
    "multi_head": LADDER, "embeddings": LADDER,
    "blocks": LADDER | {"multi_head", "embeddings"},
    "stacks": LADDER | {"multi_head", "embeddings", "blocks"},
    "scoring": {"attention"}, "recurrent": {"scoring"},
    "models": LADDER | {"multi_head", "embeddings", "blocks", "stacks",
                        "saving", "scoring", "recurrent", "pretrained"},
    "pairs": {"corpora"}, "buckets": {"objectives"}, "dates": NOTHING,
    "sentences": {"buckets"}, "labelled": {"corpora"},
    "next_sentence": {"objectives", "sentences"},
    "evaluation": NOTHING, "search": {"compilation"},
    "translating": {"buckets", "figures", "search"},
    "sessions": {"checkpoints", "compilation", "logs", "progress", "runs",
                 "strategies", "training"},
    "datasets": {"objectives"}, "steps": {"losses"},
    "strategies": NOTHING, "training": {"steps", "strategies"}, "sampling": NOTHING, "logs": {"saving"},
    "generation": {"compilation", "sampling"},
    "coursework": {"coursework", "saving", "commands"},
}  # fmt: skip


def modules():
    return [
        p for p in sorted(PACKAGE.rglob("*.py")) if p.name != "__init__.py"
    ]


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


@pytest.mark.parametrize(
    "path", modules(), ids=lambda p: p.relative_to(PACKAGE).as_posix()
)
def test_imports_follow_the_reading_order(path):
    kind = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert kind in MAY_IMPORT, f"say in MAY_IMPORT what {kind} may import"
    for target in imports(path):
        assert target[0] in MAY_IMPORT[kind], f"{path.name}: {target}"


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


def test_the_type_stub_lists_the_same_names():
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text())
    names = {}
    for node in stub.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname] = node.module
                assert alias.name == alias.asname
    expected = {
        name: f"minitransformer.{module}"
        for module, group in minitransformer._MODULES.items()
        for name in group
    }
    assert names == expected


# Modules whose tests stand in a file of another name.
TESTED_IN = {
    "characters": "tokenizers", "sentencepieces": "tokenizers",
    "steps": "training", "sampling": "generation",
    "compilation": "generation", "commands": "scripts",
    "sessions": "scripts", "merges": "bpe", "compare": "judge",
    "variants": "judge", "checking": "sandbox", "child": "sandbox",
    "exercise": "coursework", "forbidden": "coursework",
    "folder": "coursework", "report": "coursework",
    "grading": "coursework", "__main__": "coursework",
}  # fmt: skip
# An exercise brings mistakes, other styles and a page: test_exercises.py.
EXERCISES = PACKAGE / "coursework"
EXERCISES = EXERCISES / "answers", EXERCISES / "exercises"


@pytest.mark.parametrize(
    "path",
    [path for path in modules() if path.parent not in EXERCISES],
    ids=lambda p: p.stem,
)
def test_a_module_brings_tests_a_mutant_and_a_line_of_the_changelog(path):
    name = TESTED_IN.get(path.stem, path.stem)
    test = ROOT / "tests" / f"test_{name}.py"
    assert test.is_file(), f"step 3 of CONTRIBUTING: write {test.name}"
    if path.stem != "compilation":  # it works or it does not
        planted = (ROOT / "tests" / "mutants.py").read_text("utf-8")
        assert f'{path.name}"' in planted, (
            f"step 3 of CONTRIBUTING: plant a mistake in {path.name}"
        )
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f"`{path.stem}`" in changes or f"{path.stem}`" in changes, (
        f"step 4 of CONTRIBUTING: name {path.stem} in CHANGELOG.md"
    )


def test_versions_agree():
    version = minitransformer.__version__
    for name in ("CITATION.cff", "CHANGELOG.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert re.search(rf"\b{re.escape(version)}\b", text), name


def test_lines_of_the_package_fit_beside_prose():
    for path in PACKAGE.rglob("*.py"):
        for number, line in enumerate(
            path.read_text(encoding="utf-8").splitlines(), 1
        ):
            assert len(line) <= 76, f"{path.name}:{number}"


def test_ruff_finds_nothing():
    for command in (["check"], ["format", "--check"]):
        result = subprocess.run(
            [sys.executable, "-m", "ruff", *command, str(ROOT)],
            capture_output=True, text=True,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout


def test_the_gate_runs_the_readmes_own_commands():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for name in ("train", "test", "docs"):
        command = re.search(
            rf"<!-- command: {name} -->\n```bash\n(.+)\n```", readme
        )
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
    accuracy = {
        way: [run["accuracy"] for run in runs.values()]
        for way, runs in results.items()
    }
    assert all(len(found) == 3 for found in accuracy.values())
    assert (
        min(accuracy["fine-tuned"]) > max(accuracy["from scratch"]) + 0.05
    )
    bert = json.loads((evidence / "bert.json").read_text())["results"]
    assert bert["words"] > 4 * bert["most_frequent_word"]
    assert bert["sentences"] > bert["same_answer"] + 0.05
    assert bert["seconds"] < 600


def test_extras_hold_what_is_promised():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())[
        "project"
    ]
    extras = project["optional-dependencies"]
    assert {"docs", "test", "tensorboard"} <= set(extras)
    assert "minitransformer[docs,bleu]" in extras["test"]
