"""Mathematics as MathML, and prose in rows beside the code it explains."""

import html
import re
from xml.etree.ElementTree import Element, SubElement

from latex2mathml.converter import convert
from markdown import Extension
from markdown.inlinepatterns import InlineProcessor
from markdown.treeprocessors import Treeprocessor


def to_mathml(tex, display="inline"):
    """Write LaTeX as MathML, in which ∞ is a number, not an operator.

    The search skips the MathML and reads the hidden words behind it.
    """
    infinity = "&#x0221E;"
    math = convert(tex, display=display).replace(f"<mo>{infinity}</mo>", f"<mi>{infinity}</mi>")
    math = math.replace("<math ", "<math data-search-exclude ", 1)
    return f"{math}<span hidden>{html.escape(to_words(tex))}</span>"


def to_words(tex):
    """Write LaTeX in one line, as somebody would type it into a search.

    >>> to_words(r"\\frac{Q K^\\top}{\\sqrt{d}}")
    '(Q K^top)/(sqrt(d))'
    """
    group = r"\{([^{}]*)\}"
    for _ in range(6):  # from the innermost braces outwards
        tex = re.sub(rf"\\frac\s*{group}\s*{group}", r"(\1)/(\2)", tex)
        tex = re.sub(rf"\\sqrt\s*{group}", r"sqrt(\1)", tex)
        tex = re.sub(rf"\\(?:mathrm|text|underbrace|hat|bar|tilde)\s*{group}", r"\1", tex)
        tex = re.sub(rf"([_^])\s*{group}", r"\1\2", tex)
    tex = re.sub(r"\\(?:left|right|begin|end|q?quad)(?![a-z])|\\[,;:!\\]", " ", tex)
    return " ".join(re.sub(r"[\\{}&]", "", tex).split())


def split_at_top(tex, pattern):
    """Split LaTeX where a pattern matches outside of all brackets."""
    parts, depth, at = [], 0, 0
    tokens = rf"(?P<split>{pattern})|\\left\b|\\begin\b|\\right\b|\\end\b|[{{}}()\[\]]"
    for match in re.finditer(tokens, tex):
        token = match[0]
        if match["split"] and not depth:
            parts.append(tex[at : match.start()])
            at = match.end() if token.strip().startswith(r"\qquad") else match.start()
        elif token in (r"\left", r"\begin", "{", "(", "["):
            depth += 1
        elif token in (r"\right", r"\end", "}", ")", "]"):
            depth -= 1
    return [part.strip() for part in [*parts, tex[at:]] if part.strip()]


class InlineMath(InlineProcessor):
    """Turn $x$ into MathML; a long sum may be broken before its signs.

    Brackets and full stops directly beside it stay on its line.
    """

    def handleMatch(self, match, data):  # noqa: N802
        before, tex, after = match.groups()
        tex = tex.replace("\n", " ")
        parts = split_at_top(tex, r"(?<=\s)(?:=|\+|\\approx)(?=\s)") if len(tex) > 24 else [tex]
        # The empty braces make a sign between two terms of a sign in front.
        written = [to_mathml(("{}" if i else "") + part) for i, part in enumerate(parts)]
        written[0] = before + written[0]
        written[-1] += after
        text = "<wbr>".join(f'<span class="formula">{part}</span>' for part in written)
        return self.md.htmlStash.store(text), *match.span()


def formatter(source, *_, **__):
    r"""Show a `math` fence: equations side by side, or one below the other.

    They are separated by `\qquad`, and stand side by side where there is room.
    """
    parts = split_at_top(source.strip(), r"(?:\\qquad\s*)+")
    equations = "".join(to_mathml(part, "block") for part in parts)
    return f'<div class="math" tabindex="0">{equations}</div>'


class Rows(Treeprocessor):
    """Set each source fence and each cell beside the prose before it."""

    def run(self, root):
        prose: list[Element] = []
        row: Element | None = None
        for element in list(root):
            match = re.fullmatch("\x02wzxhzdk:(\\d+)\x03", element.text or "")
            stash = self.md.htmlStash.rawHtmlBlocks
            raw = stash[int(match[1])] if match else ""
            if raw.startswith(('<section class="source"', '<section class="cell"')):
                if prose or row is None:  # else this code belongs to the last row
                    row = Element("div", {"class": "row"})
                    root.insert(list(root).index((prose or [element])[0]), row)
                    words = SubElement(row, "div", {"class": "prose"})
                    words.extend(prose)
                    SubElement(row, "div", {"class": "code"})
                for moved in [*prose, element]:
                    root.remove(moved)
                row[1].append(element)
                prose = []
            elif element.tag in ("p", "ul", "ol") and (
                not raw or raw.startswith('<div class="math"')
            ):
                prose.append(element)
            else:  # a heading, a table or a widget ends the row
                prose, row = [], None


class Book(Extension):
    def extendMarkdown(self, md):  # noqa: N802
        inline = InlineMath(r"(\(?)(?<![\\$\w])\$([^$]+)\$(?!\w)([.,;:!?)]*)", md)
        md.inlinePatterns.register(inline, "mathml", 185)
        md.treeprocessors.register(Rows(md), "rows", 1)


def makeExtension(**options):  # noqa: N802
    return Book(**options)
