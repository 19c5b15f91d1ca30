"""The table of the family: its files and symbols exist."""

import re

from conftest import ROOT

from scripts.book import source

PAGE = ROOT / "docs" / "guides" / "family.md"
LINK = re.compile(r"\[`([\w.]+)`\]\(([\w./]+\.md)\)")


def rows():
    """List the rows of the two tables as lists of cells."""
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def test_every_part_of_the_family_is_where_the_table_says():
    found = LINK.findall(PAGE.read_text("utf-8"))
    assert len(found) >= 25
    for dotted, target in found:
        page = (PAGE.parent / target).resolve()
        assert page.is_file(), target
        module = page.relative_to(ROOT / "docs" / "modules").with_suffix("")
        file, *symbols = dotted.split(".")
        assert file == module.name, f"{dotted} on {target}"
        source.find(".".join([*module.parts, *symbols]))  # or a LookupError


def test_every_row_of_the_family_says_where_its_part_is():
    widths = {8: 0, 5: 0}
    for row in rows():
        assert len(row) in widths, row
        widths[len(row)] += 1
        assert all(row), f"{row[0]} has an empty cell"
        if len(row) == 5 and row[0] != "part" and not row[0].startswith("---"):
            assert row[-1] == "–" or re.search(r"\]\(\S+\.md\)", row[-1]), row[0]
    assert min(widths.values()) > 12
