"""Where the repository and the site are: two lines of mkdocs.yml, or the environment."""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def setting(name):
    """Read `name: !ENV [NAME, "value"]` as MkDocs does."""
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    match = re.search(rf'^{name}: !ENV \[(\w+), "(.+)"\]$', text, re.M)
    assert match, f"mkdocs.yml has no line `{name}: !ENV [NAME, …]`"
    return os.environ.get(match[1], match[2]).rstrip("/")


def repository():
    return setting("repo_url")


def site():
    return setting("site_url")
