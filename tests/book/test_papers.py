"""The page of papers has each paper by several people that a page or a docstring cites."""

import re

from conftest import ROOT

CITED = re.compile(
    r"([A-Z][\w'-]+)(?: et al\.|(?:, [A-Z][\w'-]+)* & [A-Z][\w'-]+),? \(?((?:19|20)\d\d)"
)


def test_every_cited_paper_is_on_the_page_of_papers():
    lines = (ROOT / "docs" / "papers.md").read_text("utf-8").splitlines()
    entries = [line for line in lines if line.startswith(("### ", "| "))]
    missing, found = [], 0
    for folder, pattern in (("docs", "*.md"), ("minitransformer", "*.py")):
        for path in (ROOT / folder).rglob(pattern):
            if path.name == "papers.md":
                continue
            text = re.sub(r"\s+#? *", " ", path.read_text("utf-8"))
            for name, year in CITED.findall(text):
                found += 1
                pattern = re.compile(rf"\b{name}\b.*\b{year}\b")
                if not any(map(pattern.search, entries)):
                    missing.append(f"{path.name}: {name} {year}")
    assert not missing
    assert found > 100
