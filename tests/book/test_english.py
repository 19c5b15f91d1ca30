"""The worst habits of our English, wherever a person reads."""

import ast
import io
import re
import tokenize
import tomllib

import pages  # noqa: F401  (it writes those that git ignores)
import pytest
from conftest import ROOT

HABITS = tomllib.loads((ROOT / "tests/book/english.toml").read_text("utf-8"))
FENCE = re.compile(r"^( *)(```|~~~).*?^\1\2\s*$", re.M | re.S)
CODE = re.compile(r"`[^`\n]+`|\$[^$\n]+\$|\]\([^)]*\)|<[^>]+>")
FILES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "minitransformer").rglob("*.toml"),
    *(ROOT / "minitransformer").rglob("*.py"),
    *(ROOT / "scripts").rglob("*.py"),
]
FILES = [path for path in FILES if path.name != "mistakes.md"]  # made from the TOML


def prose(path):
    """Return what a person reads in a file: no code, but its words."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        comments = [
            token.string
            for token in tokenize.generate_tokens(io.StringIO(text).readline)
            if token.type == tokenize.COMMENT
        ]
        strings = [
            node.value
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        text = "\n\n".join([" ".join(comments), *strings])
    text = CODE.sub(" ` ", FENCE.sub("\n", text))
    return re.sub(r"[ \t]*\n[ \t#]*", " ", text)


def habits(text):
    """List what a text should say in other words."""
    return [
        f"“{text[max(0, found.start() - 40) : found.end() + 20]}”: {better}"
        for pattern, better in HABITS.items()
        for found in re.finditer(pattern, text)
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_has_none_of_the_worst_habits(path):
    found = habits(prose(path))
    assert not found, "\n".join(found)


def test_each_habit_is_found_where_it_is():
    assert habits("The filling is what is read is good, too.")
    assert habits("One product a head.")
    assert habits("What is read is the mean.")
    assert not habits("What is read? It is the mean. He fills it.")
