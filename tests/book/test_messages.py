"""The messages that the guides explain are those of the code."""

import ast
import re

import pytest
from conftest import ROOT

GUIDES = [ROOT / "docs/guides" / f"{name}.md" for name in ("train", "translate", "bert")]
CODE = [*(ROOT / "minitransformer").rglob("*.py"), *(ROOT / "scripts").glob("*.py")]
TABLE = re.compile(r"^\| (?:it says|message) \|.*\n\|---.*\n((?:\|.*\n)+)", re.M)
# What a program fills in: a name, a number, a value.
FILLED_IN = re.compile(
    r"…|(?<![\w-])\d[\d,.]*|'[^']*'|\[[^]]*\]|\bxx-YY\b|\S+\.(?:tsv|txt|safetensors)\b"
    r"|--steps|\bnan\b|\(No space.*\)|\bhidden_size\b|\bmodel_type\b|\S+\.json\b"
    # An encoding, a kind of file, what a number must be, another message:
    r"|\bUTF-8(?= \(byte)|\ba folder(?=: give)|(?<=': give )|(?<=cannot be loaded: )"
    r"|(?<=cannot be read: )|(?<=\bits )(?:translation|label)\b|(?<=No pair to )train\b"
    r"|(?<=: found )steps\b|(?<=no published )[\w-]+"
)


def messages(page):
    """List the messages in the first columns of a page's tables."""
    for table in TABLE.finditer(page.read_text("utf-8")):
        for row in table[1].splitlines():
            yield from re.findall(r"`([^`]+)`", row.split("|")[1])


def texts():
    """Join all strings of the code; what is filled in is a “…”."""
    found = []
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [getattr(part, "value", None) for part in node.values]
                found.append("".join(p if isinstance(p, str) else "…" for p in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.Constant) and isinstance(node.value, bytes):
                found.append(node.value.decode("utf-8", "replace"))  # what a signal prints
    return re.sub(r"\s+", " ", "\n".join(found))


SAID = texts()


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_the_messages_of_a_guide_are_those_of_the_code(page):
    count, unknown = 0, []
    for message in messages(page):
        if message.startswith("WARNING:tensorflow"):
            continue
        parts = [part.strip(" :,.;") for part in FILLED_IN.split(message)]
        count += 1
        unknown += [f"{part!r} in {message!r}" for part in parts if part and part not in SAID]
    assert count > 5
    assert not unknown, "\n".join(unknown)
