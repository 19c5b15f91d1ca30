"""Write what follows from the list of public names, `minitransformer._MODULES`.

    python -m scripts.book.names

It makes `minitransformer/__init__.pyi`, which tells type checkers and editors
where a lazy name comes from, and `docs/api.md`, the reference page. The stub is
committed, since the package needs it; the page is not, since only the site
does.
"""

import ast
import re
from pathlib import Path

from minitransformer import _MODULES
from scripts.book.source import ROOT, find

STUB = ROOT / "minitransformer" / "__init__.pyi"
REFERENCE = ROOT / "docs" / "api.md"
HEAD = """---
search:
  exclude: true
---
# Reference

<!-- Made by `python -m scripts.book.names`: change the docstrings. -->

Every public name with its docstring, in reading order. `from minitransformer
import NAME` works for each, whatever its module. Shapes are written with the
names of [the notation](notation.md). You give a layer its *parameters* when you
make it, and its *call arguments* when you call it.
"""
# mkdocstrings has to be told which docstrings return several named values.
SEVERAL = (
    "      docstring_options: {returns_multiple_items: true, "
    "warn_unknown_params: false, warn_missing_types: false}"
)


def stub() -> str:
    """Import each name as itself, which is how a stub re-exports it."""
    parts = [
        '"""Public names. Made by `python -m scripts.book.names`."""\n\n'
        "__version__: str\n"
        "_MODULES: dict[str, list[str]]\n"
        "_MODULE_OF: dict[str, str]\n\n"
    ]
    for module, names in _MODULES.items():
        rows = "".join(f"    {name} as {name},\n" for name in names)
        parts.append(f"from minitransformer.{module} import (\n{rows})\n")
    return "".join(parts)


def page_of(path: Path) -> str:
    """Link to the page of a module, by the page's own title."""
    module = path.relative_to(ROOT / "minitransformer").with_suffix("")
    module = module.parent if module.name == "__init__" else module
    page = f"modules/{module.as_posix()}.md"
    text = (ROOT / "docs" / page).read_text("utf-8")
    title = re.search(r"^# (.+)", text, re.M)
    assert title, f"{page} has no title"
    return f"[{title[1]}]({page})"


def returns_several(node: ast.AST | None) -> bool:
    """Tell whether a docstring names each of several returned values."""
    if not isinstance(node, ast.FunctionDef | ast.ClassDef):
        return False
    text = ast.get_docstring(node) or ""
    section = re.search(r"^Returns:\n((?: {4}.*\n?)+)", text, re.M)
    lines = re.findall(r"^ {4}\S.*", section[1], re.M) if section else []
    return len(lines) > 1 and all(re.match(r" {4}\w+(, \w+)*: ", line) for line in lines)


def entry(module: str, node: ast.AST | None, name: str) -> list[str]:
    """List the lines that show one public name.

    A method that returns several values stands after its class, when the
    class itself returns one: their docstrings need other options.
    """
    several = returns_several(node)
    methods = [
        method.name
        for method in getattr(node, "body", [])
        if returns_several(method) and not several
    ]
    lines = ["", f"::: minitransformer.{module}.{name}"]
    if several:
        lines += ["    options:", SEVERAL]
    if methods:
        hidden = ["_", "build$", "call$", "get_config$"]
        hidden += [f"{method}$" for method in methods]
        filters = ", ".join(f'"!^{pattern}"' for pattern in hidden)
        lines += ["    options:", f"      filters: [{filters}]"]
    for method in methods:
        lines += ["", f"::: minitransformer.{module}.{name}.{method}"]
        lines += ["    options:", "      heading_level: 4", SEVERAL]
    return lines


def reference() -> str:
    """Make the page of all public names, module by module."""
    lines = [HEAD]
    for module, names in _MODULES.items():
        path, *_ = find(module)
        tree = ast.parse(path.read_text("utf-8"))
        nodes = {getattr(node, "name", None): node for node in tree.body}
        lines += [f"## {module}", ""]
        lines += [f"How it works, line by line: {page_of(path)}."]
        for name in names:
            lines += entry(module, nodes.get(name), name)
        lines.append("")
    return "\n".join(lines)


def write_reference() -> None:
    """Write the page, which the site needs."""
    REFERENCE.write_text(reference(), "utf-8", newline="\n")


if __name__ == "__main__":
    STUB.write_text(stub(), "utf-8", newline="\n")
    write_reference()
