"""The `source` fence: a symbol's own lines, cut from its file by name.

    ```source
    attention.attention_weights
    from: scores = tf.where
    to: weights = tf.nn.softmax
    ```

shows lines of `minitransformer/attention.py`. `from:` and `to:` are parts of the
first and the last line; either can be left out.
"""

import ast
import functools
import textwrap

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from pymdownx.superfences import SuperFencesException

from scripts.book.address import ROOT, repository


@functools.cache
def parse(text):
    """Parse a module's text, once in a build."""
    return ast.parse(text)


def is_text(node):
    """Tell whether a statement is a docstring."""
    value = getattr(node, "value", None)
    return isinstance(node, ast.Expr) and isinstance(getattr(value, "value", None), str)


def code_lines(path):
    """Map line numbers to lines, without blank lines and docstrings."""
    return dict(lines_without_docstrings(path.read_text(encoding="utf-8")))


@functools.cache
def lines_without_docstrings(text):
    hidden = set()
    for node in ast.walk(parse(text)):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and is_text(body[0]):
            hidden |= {*range(body[0].lineno, body[0].end_lineno + 1)}
    return {
        number: line
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and number not in hidden
    }


def names(node):
    """List the names that a statement defines."""
    found = ast.walk(node) if isinstance(node, ast.Assign) else []
    return [getattr(node, "name", None)] + [name.id for name in found if isinstance(name, ast.Name)]


def find(dotted):
    """Find the file and the lines of `module.Class.method`."""
    parts = dotted.split(".")
    for base in (ROOT / "minitransformer", ROOT):
        for cut in range(len(parts), 0, -1):
            stem = base.joinpath(*parts[:cut])
            for path in (stem.with_suffix(".py"), stem / "__init__.py"):
                if path.is_file():
                    return path, *lines_of(path, parts[cut:])
    raise LookupError(f"no module holds {dotted}")


def lines_of(path, symbols):
    """Find the numbers of a symbol's first and last line in a file.

    The first member of a class includes the line of the class, and every
    symbol includes the comments directly above it.
    """
    text = path.read_text(encoding="utf-8")
    node, lines, first = parse(text), text.splitlines(), None
    for name in symbols:
        members = [n for n in node.body if not is_text(n)]
        node = next((n for n in members if name in names(n)), None)
        if node is None:
            raise LookupError(f"{path.name} has no {'.'.join(symbols)}")
        if first is None or node is not members[0]:
            above = [d.lineno for d in getattr(node, "decorator_list", [])]
            first = min([node.lineno, *above])
            while lines[first - 2].lstrip().startswith("#"):
                first -= 1
    return first or 1, node.end_lineno if symbols else len(lines)


def extract(fence):
    """Find what a fence asks for: a path, and its numbered lines."""
    dotted, *limits = [line.strip() for line in fence.strip().split("\n")]
    path, first, last = find(dotted)
    shown = [(n, s) for n, s in code_lines(path).items() if first <= n <= last]
    for limit in limits:
        kind, _, part = limit.partition(": ")
        at = [i for i, (_, line) in enumerate(shown) if part in line]
        if len(at) != 1 or kind not in ("from", "to"):
            raise LookupError(f"{dotted}: {len(at)} lines hold {part!r}")
        end = at[0] + 1
        while end < len(shown) and not shown[end][1].strip(" )]},"):
            end += 1  # the closing brackets belong to the line
        shown = shown[at[0] :] if kind == "from" else shown[:end]
    return path, shown


def fence(show):
    """Make a fence from a function; an error in it stops the build."""

    def formatter(source, language, css_class, options, md, **_):
        try:
            return show(source, options, md)
        except Exception as error:  # SuperFences hides all other errors
            raise SuperFencesException(f"{error}, in\n{source}") from error

    return formatter


@fence
def formatter(source, options, md):
    """Show the lines with their numbers."""
    path, shown = extract(source)
    code = textwrap.dedent("\n".join(line for _, line in shown))
    lexer, plain = PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)
    colored = highlight(code, lexer, plain).splitlines()
    rows, before = [], shown[0][0] - 1
    lines = path.read_text("utf-8").splitlines()
    for (number, _), line in zip(shown, colored, strict=True):
        skipped = lines[before : number - 1]
        gap = " gap" * bool(skipped) + " cut" * any(map(str.strip, skipped))
        rows.append(f'<span class="line{gap}" data-number="{number}">{line}</span>\n')
        before = number
    file = path.relative_to(ROOT).as_posix()
    anchor = f"#L{shown[0][0]}-L{shown[-1][0]}"
    return (
        '<section class="source" data-search-exclude><p class="file">'
        f'<a href="{repository()}/blob/main/{file}{anchor}">{file}</a></p><div class='
        '"language-python highlight"><pre tabindex="0"><code>'
        f"{''.join(rows)}</code></pre></div></section>"
    )
