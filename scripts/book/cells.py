"""The `python run` fence: cells that were run, with what they printed.

    python -m scripts.book.cells [PAGE …]   run the pages that have new cells

Outputs are stored in `docs/outputs`, one file per page. The site's build looks
them up; `tests/book/test_pages.py` runs all cells again and compares. A cell's
key covers the page's cells up to it, the modules that they import, and the
evidence or shipped models that they read. `python run recorded` is for cells that measure time,
train or read the corpus: the page shows their versions, and the test compares
only the words of their output. `python run folded` hides the code behind a
click, for figures; `python run quiz` hides the output, for readers to predict.
To run all cells of a page again, first delete its file in `docs/outputs`.
"""

import argparse
import ast
import contextlib
import functools
import hashlib
import html
import io
import json
import platform
import random
import re
from pathlib import Path

from pymdownx.highlight import Highlight

from minitransformer import _MODULE_OF
from scripts.book.source import ROOT, code_lines, fence, find

DOCS = ROOT / "docs"
STORE = DOCS / "outputs"
FENCE = re.compile(r"^```python run(?P<options>[ a-z]*)\n(?P<code>.*?)^```$", re.M | re.S)


def pages():
    """List all pages of the site; decisions are for developers."""
    found = sorted(DOCS.rglob("*.md"))
    return [path for path in found if path.parent.name != "decisions"]


def modules(code):
    """List our files that code imports, directly or through others."""
    found, todo = set(), [code]
    while todo:
        for path in imported(todo.pop()) - found:
            found.add(path)
            todo.append(path.read_text("utf-8"))
    return sorted(found)


@functools.cache
def imported(code):
    """List our files that code itself imports."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        package, _, base = (getattr(node, "module", "") or "").partition(".")
        if isinstance(node, ast.ImportFrom) and package == "minitransformer":
            for name in node.names:
                path, *_ = find(base or _MODULE_OF.get(name.name, name.name))
                found.add(path)
    return found


def next_key(previous, code):
    """Hash the previous key, a cell's code, and what the code reads."""
    text = [previous, code.strip()]
    for path in modules(code):
        lines = code_lines(path).values()
        text += [s for s in lines if not s.lstrip().startswith("#")]
        template = path.with_suffix(".html")
        text += [template.read_text("utf-8")] if template.is_file() else []
    for name in re.findall(r'"(docs/evidence/[^"]+\.json)"', code):
        text.append((ROOT / name).read_text("utf-8"))
    if "shipped_folder" in code:
        made = (ROOT / "minitransformer" / "shipped").glob("*/provenance.json")
        text += [path.read_text("utf-8") for path in sorted(made)]
    return hashlib.sha256("\n".join(text).encode()).hexdigest()[:16]


def cells(text):
    """List each cell of a page: its key, its code, whether recorded."""
    key, found = "", []
    for match in FENCE.finditer(text):
        key = next_key(key, match["code"])
        found.append((key, match["code"], "recorded" in match["options"]))
    return found


def store_of(page):
    """Name the file of a page's outputs."""
    return STORE / page.relative_to(DOCS).with_suffix(".json")


def load(path):
    """Read a page's stored outputs; empty if there are none."""
    return parse_outputs(path, path.stat().st_mtime_ns) if path.is_file() else {}


@functools.cache
def parse_outputs(path, changed):
    """Parse a file of outputs, again only when it has changed."""
    return json.loads(path.read_text("utf-8"))


def run_cell(code, namespace):
    """Run a cell as a notebook does: list what it printed and its value."""
    body, value, printed = ast.parse(code).body, None, io.StringIO()
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), "<cell>", "exec"), namespace)
        if last:
            last = compile(ast.Expression(last.value), "<cell>", "eval")
            value = eval(last, namespace)
    text = re.sub(r"\x1b\[[0-9;]*m", "", printed.getvalue())  # a terminal's colours
    outputs = [["text", text]] if text else []
    if hasattr(value, "_repr_svg_"):
        outputs.append(["svg", value._repr_svg_()])
    elif hasattr(value, "_repr_html_"):
        outputs.append(["html", value._repr_html_()])
    elif value is not None:
        outputs.append(["text", f"{value!r}\n"])
    return outputs


def run_page(page):
    """Run a page's cells in order; return what is stored for each key."""
    import keras
    import tensorflow as tf

    keras.utils.clear_session()  # numbers in names start at 0 again
    # A new seed each time, so that the test finds a cell without a seed.
    keras.utils.set_random_seed(random.SystemRandom().randrange(2**31))
    versions = platform.python_version(), tf.__version__, keras.__version__
    made_with = dict(zip(("Python", "TensorFlow", "Keras"), versions, strict=True))
    namespace, results = {"__name__": "__page__"}, {}
    for key, code, recorded in cells(page.read_text("utf-8")):
        try:
            outputs = run_cell(code, namespace)
        except Exception as error:
            raise RuntimeError(f"{page}: {error}; in\n{code}") from error
        results[key] = {"outputs": outputs, "made_with": made_with}
        results[key] |= {"recorded": True} if recorded else {}
    return results


def run(page):
    """Run a page if a cell is new; keep the outputs already stored."""
    keys = [key for key, *_ in cells(page.read_text("utf-8"))]
    old, store = load(store_of(page)), store_of(page)
    if keys == list(old):
        return
    new = run_page(page) if set(keys) - set(old) else {}
    kept = {key: old.get(key) or new[key] for key in keys}
    store.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(kept, indent=1, ensure_ascii=False)
    store.write_text(text + "\n", "utf-8")
    print(f"{page.relative_to(ROOT)}: {len(keys)} cells", flush=True)


def show(kind, data):
    """Write an output as HTML, without a button to copy it."""
    if kind in ("svg", "html"):
        return f"<figure>{data}</figure>"
    return f'<pre class="output" tabindex="0">{html.escape(data)}</pre>'


@fence
def formatter(source, options, md):
    """Show a cell and its stored output."""
    key = md.cell_key = next_key(getattr(md, "cell_key", ""), source)
    found = [s[key] for s in map(load, STORE.rglob("*.json")) if key in s]
    if not found:
        raise LookupError("No output is stored for this cell: run `python -m scripts.book.cells`.")
    code = Highlight(md, pygments_lang_class=True).highlight(source, "python")
    parts = [show(*output) for output in found[0]["outputs"]]
    if "quiz" in options:
        parts = ["<details><summary>the output</summary>", *parts, "</details>"]
    if "recorded" in found[0]:
        versions = ", ".join(map(" ".join, found[0]["made_with"].items()))
        parts.append(
            '<p class="recorded">Recorded by <code>python -m '
            f"scripts.book.cells</code>: {versions}. Yours may differ.</p>"
        )
    if "folded" in options:
        parts.append(f"<details><summary>how it was made</summary>{code}</details>")
    else:
        parts.insert(0, code)
    return f'<section class="cell" data-search-exclude>{"".join(parts)}</section>'


def validator(language, inputs, options, attrs, md):
    """Accept only fences that say `run`; others are plain Python."""
    options.update(inputs)
    return "run" in inputs


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pages", nargs="*", type=Path)
    for page in parser.parse_args().pages or pages():
        run(page.resolve())
