"""The form that every module's page has."""

import re

import pytest
from conftest import ROOT

from minitransformer.coursework.exercise import read_course

DOCS = ROOT / "docs"
PAGES = sorted((DOCS / "modules").rglob("*.md"))
# What the live GPT gives is on the page itself.
PAGES += sorted({*(DOCS / "guides").glob("*.md")} - {DOCS / "guides" / "live.md"})
START = re.compile(
    r'</p>\n\n<div class="start" markdown>\n\n'
    r"- \*\*You will be able to\*\* .+?\n"
    r"- \*\*You need\*\* .+?\n"
    r"- \*\*Minutes:\*\* \d+\n\n</div>\n",
    re.S,
)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(DOCS).as_posix())
def test_a_page_says_what_it_gives_and_ends_in_short(page):
    text = page.read_text("utf-8")
    assert START.search(text), "after the lede: able to, need, minutes"
    assert text.count('<div class="start"') == 1
    short = text.partition("\n## In short\n")[2].partition("\n## ")[0]
    assert 2 <= len(re.findall(r"[.!?](?=\s|$)", short)) <= 6, "two to five sentences"


@pytest.mark.parametrize("task", read_course(), ids=lambda task: task.exercise.title)
def test_a_page_sends_its_reader_to_the_exercise_that_checks_it(task):
    name = task.exercise.page.partition("#")[0]
    check = (DOCS / name).read_text("utf-8").partition("\n## Check yourself\n")[2]
    up = "../" * name.count("/")
    assert f"({up}coursework/{task.name}.md)" in check


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda p: p.stem)
def test_an_equation_on_a_line_of_its_own_is_a_math_fence(page):
    assert "$$" not in page.read_text("utf-8")  # the site would show it as it is typed
