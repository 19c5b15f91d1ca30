"""The `source` fence: a symbol's own lines, cut from its file by name.

    ```source
    attention.attention_weights
    from: scores = tf.where
    to: weights = tf.nn.softmax
    ```

shows lines of `minitransformer/attention.py`; `from:` and `to:` are parts of
the first and the last line, and either may be left out.
"""

import ast
import html
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def docstring_lines(tree):
    """Number the lines of all docstrings of a module."""
    lines = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and is_text(body[0]):
            lines |= set(range(body[0].lineno, body[0].end_lineno + 1))
    return lines


def is_text(node):
    return isinstance(node, ast.Expr) and isinstance(
        getattr(node.value, "value", None), str
    )


def code_lines(path):
    """Number and list a module's lines that are not blank or docstring."""
    text = path.read_text(encoding="utf-8")
    hidden = docstring_lines(ast.parse(text))
    return {
        number: line
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and number not in hidden
    }


def names(node):
    """List the names that a statement gives to something."""
    if isinstance(node, ast.Assign):
        found = [n for target in node.targets for n in ast.walk(target)]
        return [n.id for n in found if isinstance(n, ast.Name)]
    return [getattr(node, "name", None)]


def find(dotted):
    """Find the file and the lines of `module.Class.method`.

    A class's first member brings the line of the class with it, and each
    symbol the comments above it.
    """
    parts = dotted.split(".")
    for base in (ROOT / "minitransformer", ROOT):
        for cut in range(len(parts), 0, -1):
            stem = base.joinpath(*parts[:cut])
            for path in (stem.with_suffix(".py"), stem / "__init__.py"):
                if path.is_file():
                    return path, *lines_of(path, parts[cut:])
    raise LookupError(f"no module holds {dotted}")


def lines_of(path, symbols):
    """Number the first and the last line of a symbol in a file."""
    text = path.read_text(encoding="utf-8")
    node, lines, first = ast.parse(text), text.splitlines(), None
    for name in symbols:
        members = [n for n in node.body if not is_text(n)]
        found = [n for n in members if name in names(n)]
        if not found:
            raise LookupError(f"{path.name} has no {'.'.join(symbols)}")
        brings = first is not None and found[0] is members[0]
        node = found[0]
        decorators = getattr(node, "decorator_list", [])
        start = min([node.lineno, *(d.lineno for d in decorators)])
        while lines[start - 2].lstrip().startswith("#"):
            start -= 1
        first = first if brings else start
    return first or 1, node.end_lineno if symbols else len(lines)


def extract(fence):
    """Cut out what a fence asks for: the path, and its numbered lines."""
    dotted, *limits = [line.strip() for line in fence.strip().split("\n")]
    path, first, last = find(dotted)
    shown = [
        (number, line)
        for number, line in code_lines(path).items()
        if first <= number <= last
    ]
    for limit in limits:
        kind, _, part = limit.partition(": ")
        at = [i for i, (_, line) in enumerate(shown) if part in line]
        if len(at) != 1 or kind not in ("from", "to"):
            raise LookupError(f"{dotted}: {len(at)} lines hold {part!r}")
        shown = shown[at[0] :] if kind == "from" else shown[: at[0] + 1]
    return path, shown


def formatter(source, language, css_class, options, md, **_):
    """Show the lines with their numbers, for SuperFences."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer
    from pymdownx.superfences import SuperFencesException

    try:
        path, shown = extract(source)
    except Exception as error:  # SuperFences swallows any other kind
        raise SuperFencesException(f"{source.strip()}: {error}") from error
    code = textwrap.dedent("\n".join(line for _, line in shown))
    colored = highlight(
        code, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)
    )
    rows = []
    for (number, _), line in zip(shown, colored.splitlines(), strict=True):
        gap = rows and number > before + 1
        rows.append(
            f'<span class="line{" gap" * bool(gap)}" data-number="{number}">'
            f"{line}\n</span>"
        )
        before = number
    name = html.escape(path.relative_to(ROOT).as_posix())
    return (
        f'<div class="source"><p class="file">{name}</p><div class="language-'
        f'python highlight"><pre tabindex="0"><code>{"".join(rows)}</code>'
        "</pre></div></div>"
    )
