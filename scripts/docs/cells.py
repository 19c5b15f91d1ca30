"""The `python run` fence: cells that were run, with what they printed.

    python -m scripts.docs.cells [PAGE …]   run the pages with new cells

Outputs are stored in `docs/outputs`, a file a page, and looked up when the
site is built; `tests/test_pages.py` runs all again and compares. A cell's key
covers the page's cells up to it and the modules that they import. `python run
recorded` is for cells that time, train or read the corpus: their versions are
shown, and only the form of their output is compared. `python run folded`
hides the code behind a click: for figures.
"""

import argparse
import ast
import contextlib
import hashlib
import html
import io
import json
import platform
import random
import re
import sys
from pathlib import Path

from scripts.docs.source import ROOT, code_lines, find

DOCS = ROOT / "docs"
STORE = DOCS / "outputs"
FENCE = re.compile(
    r"^```python run(?P<options>[ a-z]*)\n(?P<code>.*?)^```$", re.M | re.S
)


def pages():
    return [
        path for path in sorted(DOCS.rglob("*.md"))
        if not path.is_relative_to(DOCS / "theme")
    ]  # fmt: skip


def modules(code):
    """List the files of ours that some code imports, and what they import."""
    from minitransformer import _MODULE_OF

    found, todo = set(), [code]
    while todo:
        for node in ast.walk(ast.parse(todo.pop())):
            if not isinstance(node, ast.ImportFrom) or not (
                node.module or ""
            ).startswith("minitransformer"):
                continue
            base = node.module.removeprefix("minitransformer").strip(".")
            for name in node.names:
                path, *_ = find(base or _MODULE_OF[name.name])
                if path not in found:
                    found.add(path)
                    todo.append(path.read_text(encoding="utf-8"))
    return sorted(found)


def next_key(previous, code):
    """Make a cell's key from the one before it and its own code."""
    text = [previous, code.strip()]
    for path in modules(code):
        lines = code_lines(path).values()
        text += [s for s in lines if not s.lstrip().startswith("#")]
    return hashlib.sha256("\n".join(text).encode()).hexdigest()[:16]


def cells(text):
    """List a page's cells: key, code, whether recorded."""
    key, found = "", []
    for match in FENCE.finditer(text):
        key = next_key(key, match["code"])
        found.append((key, match["code"], "recorded" in match["options"]))
    return found


def store_of(page):
    return STORE / page.relative_to(DOCS).with_suffix(".json")


def load(path):
    """Read a page's stored outputs; empty if there are none."""
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def run_cell(code, namespace):
    """Run a cell as a notebook does: list what it printed and its value."""
    tree = ast.parse(code)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), namespace)
        value = eval(compile(last, "<cell>", "eval"), namespace) if last else None
    outputs = [["text", printed.getvalue()]] if printed.getvalue() else []
    if hasattr(value, "_repr_svg_"):
        outputs.append(["svg", value._repr_svg_()])
    elif value is not None:
        outputs.append(["text", repr(value) + "\n"])
    return outputs


def run_page(page):
    """Run a page's cells from the first; list (key, stored form)."""
    import keras
    import tensorflow as tf

    # Other numbers each time: a cell that sets no seed is found by `check`.
    keras.utils.set_random_seed(random.SystemRandom().randrange(2**31))
    made_with = {
        "Python": platform.python_version(),
        "TensorFlow": tf.__version__,
        "Keras": keras.__version__,
    }
    namespace, results = {"__name__": "__page__"}, {}
    for key, code, recorded in cells(page.read_text("utf-8")):
        try:
            outputs = run_cell(code, namespace)
        except Exception as error:
            raise RuntimeError(f"{page}: {error}; in the cell\n{code}") from error
        results[key] = {"outputs": outputs, "made_with": made_with}
        if recorded:
            results[key]["recorded"] = True
    return results


def run(page):
    """Run a page if a cell is new; recorded outputs that fit are kept."""
    old = load(store_of(page))
    keys = [key for key, *_ in cells(page.read_text("utf-8"))]
    if keys == list(old):
        return
    new = run_page(page) if set(keys) - set(old) else old
    kept = {key: old.get(key, new[key]) for key in keys}
    store_of(page).parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(kept, indent=1, ensure_ascii=False) + "\n"
    store_of(page).write_text(text, "utf-8")
    print(f"{page.relative_to(ROOT)}: {len(keys)} cells", flush=True)


def formatter(source, language, css_class, options, md, **_):
    """Show a cell and its stored output, for SuperFences."""
    from pymdownx.highlight import Highlight
    from pymdownx.superfences import SuperFencesException

    try:
        md.cell_key = next_key(getattr(md, "cell_key", ""), source)
        stores = map(load, STORE.rglob("*.json"))
        result = next(s[md.cell_key] for s in stores if md.cell_key in s)
    except Exception as error:  # SuperFences swallows any other kind
        raise SuperFencesException(
            f"No output is stored for this cell: run `python -m "
            f"scripts.docs.cells` ({error!r})\n{source}"
        ) from error
    code = Highlight(md, use_pygments=True, pygments_lang_class=True)
    code, parts = code.highlight(source, "python"), []
    if "folded" in options:
        code = f"<details><summary>how it was made</summary>{code}</details>"
    for kind, data in result["outputs"]:
        parts.append(
            f"<figure>{data}</figure>" if kind == "svg" else
            f'<pre class="output" tabindex="0">{html.escape(data)}</pre>'
        )  # fmt: skip
    if "recorded" in result:
        made_with = ", ".join(f"{k} {v}" for k, v in result["made_with"].items())
        parts.append(
            '<p class="recorded">Recorded by <code>python -m '
            f"scripts.docs.cells</code> with {made_with}; yours will differ.</p>"
        )
    parts.insert(len(parts) if "folded" in options else 0, code)
    return f'<div class="cell">{"".join(parts)}</div>'


def validator(language, inputs, options, attrs, md):
    """Take the fences that say `run`; others are plain Python."""
    options.update(inputs)
    return bool(inputs.pop("run", False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pages", nargs="*", type=Path)
    for page in parser.parse_args().pages or pages():
        run(page.resolve())
