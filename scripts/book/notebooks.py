"""Each page as a notebook, with the outputs that the page shows."""

import base64
import hashlib
import re
import textwrap
import zlib

import nbformat
from nbformat import v4

from scripts.book.address import ROOT, repository, site
from scripts.book.cells import DOCS, load, next_key, pages, store_of
from scripts.book.coursework_pages import FOLDER as COURSEWORK
from scripts.book.source import extract

NOTEBOOKS = DOCS / "notebooks"
FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<code>.*?)^```$", re.M | re.S)
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
READ = re.compile(r'"(docs/(?:evidence|assets)/[^"]+)"')  # what cells read
INSTALL = """\
# Install the package where it is missing, as in Colab. It needs Python 3.11 or
# later, and brings TensorFlow 2.20 or later.
import importlib.util

if importlib.util.find_spec("minitransformer") is None:
    %pip install --quiet "minitransformer @ git+{repository}"
"""
SMALL = """\
# This notebook reads files of the repository. Write those that are not here.
import base64
import zlib
from pathlib import Path

for name, data in {{
{rows}}}.items():
    if not Path(name).exists():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(zlib.decompress(base64.b85decode(data)))
"""
LARGE = """\
# This notebook reads a trained model. Fetch it if it is not here.
import hashlib
import urllib.request
from pathlib import Path

path = Path("{name}")
if not path.exists():
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    try:
        urllib.request.urlretrieve("{site}/{end}", part)
        if hashlib.sha256(part.read_bytes()).hexdigest() != "{checksum}":
            raise OSError("it is another file than this notebook needs")
        part.replace(path)
    except OSError as error:
        print("The model was not fetched, so cells that read it will fail:", error)
"""


def data_cells(code):
    """Make the cells that bring the repository's files which code reads."""
    found = [ROOT / name for name in dict.fromkeys(READ.findall(code))]
    files = [p for path in found for p in (sorted(path.iterdir()) if path.is_dir() else [path])]
    rows = []
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        if path.stat().st_size < 100_000:
            data = base64.b85encode(zlib.compress(path.read_bytes(), 9)).decode()
            rows.append(f'    "{name}":\n        "{data}",\n')
        else:
            end = name.removeprefix("docs/")
            checksum = hashlib.sha256(path.read_bytes()).hexdigest()
            cell = LARGE.format(name=name, site=site(), end=end, checksum=checksum)
            yield v4.new_code_cell(cell)
    if rows:
        yield v4.new_code_cell(SMALL.format(rows="".join(rows)))


def prose(text):
    """Turn the site's Markdown into a notebook's."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S)
    text = re.sub(r"^(</?(div|script)[^>]*>)+\n?", "", text, flags=re.M)
    text = re.sub(r"</?p[^>]*>", "", text)
    text = re.sub(r"^::: (\S+)$", r"`help(\1)`", text, flags=re.M)
    text = re.sub(
        r'^(?:!!!|\?\?\?\+?) \w+ "([^"]*)"\n((?:(?:    .*)?\n)+)',
        lambda m: (
            textwrap.indent(f"**{m[1]}**\n\n" + textwrap.dedent(m[2]).strip(), "> ", lambda _: True)
            + "\n"
        ),
        text,
        flags=re.M,
    )
    text = re.sub(r"\]\(([\w./-]+)\.md", r"](\1.ipynb", text)
    return re.sub(r"[ \t]*\{[.#:][^}\n]*\}", "", text).strip()


def output(kind, data):
    """Make a cell's output."""
    if kind == "text":
        return v4.new_output("stream", name="stdout", text=data)
    mime = {"svg": "image/svg+xml", "html": "text/html"}[kind]
    return v4.new_output("display_data", data={mime: data, "text/plain": "a figure"})


def convert(page):
    """Make the notebook of a page."""
    text, stored = page.read_text("utf-8") + "\n", load(store_of(page))
    text = re.sub(
        r'^--8<-- "(.*)"$', lambda m: (DOCS / m[1]).read_text("utf-8").rstrip(), text, flags=re.M
    )
    code = "".join(f["code"] for f in FENCE.finditer(text) if f["kind"].startswith("python run"))
    install = v4.new_code_cell(INSTALL.format(repository=repository()))
    parts, at, key = [install, *data_cells(code)], 0, ""
    for fence in FENCE.finditer(text):
        parts.append(v4.new_markdown_cell(prose(text[at : fence.start()])))
        at, code = fence.end(), fence["code"]
        if fence["kind"].startswith("python run"):
            key = next_key(key, code)
            if key not in stored:
                raise SystemExit(f"{page}: run `python -m scripts.book.cells` first.")
            outputs = [output(*pair) for pair in stored[key]["outputs"]]
            parts.append(v4.new_code_cell(code.rstrip(), outputs=outputs))
            continue
        if fence["kind"] == "python" and page.parent == COURSEWORK:
            parts.append(v4.new_code_cell(code.rstrip()))  # to be filled in
            continue
        if fence["kind"] == "source":
            lines = [line for _, line in extract(code)[1]]
            shown = f"```python\n{textwrap.dedent(chr(10).join(lines))}\n```"
        elif fence["kind"] == "math":
            shown = f"$$\n{code}$$"
        else:
            shown = fence[0]
        parts.append(v4.new_markdown_cell(shown))
    parts.append(v4.new_markdown_cell(prose(text[at:])))
    notebook = v4.new_notebook(cells=[p for p in parts if p.source], metadata=METADATA)
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i}"  # the same in every build
    nbformat.validate(notebook)
    return notebook


def write():
    """Write the notebooks of all pages into docs/notebooks."""
    for page in pages():
        path = (NOTEBOOKS / page.relative_to(DOCS)).with_suffix(".ipynb")
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(convert(page), path)
