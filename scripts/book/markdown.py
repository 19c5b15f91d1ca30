"""Mathematics as MathML, and prose in rows beside the code it explains."""

import re
from xml.etree.ElementTree import Element, SubElement

from latex2mathml.converter import convert
from markdown import Extension
from markdown.inlinepatterns import InlineProcessor
from markdown.treeprocessors import Treeprocessor


def to_mathml(tex, display="inline"):
    """Write LaTeX as MathML, in which ∞ is a number, not an operator."""
    infinity = "&#x0221E;"
    return convert(tex, display=display).replace(f"<mo>{infinity}</mo>", f"<mi>{infinity}</mi>")


class InlineMath(InlineProcessor):
    """Turn $x$ into MathML."""

    def handleMatch(self, match, data):  # noqa: N802
        return self.md.htmlStash.store(to_mathml(match[1])), *match.span()


def formatter(source, *_, **__):
    """Show a `math` fence: an equation on a line of its own."""
    equation = to_mathml(source.strip(), "block")
    return f'<div class="math" tabindex="0">{equation}</div>'


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
        inline = InlineMath(r"(?<![\\$\w])\$([^$\n]+)\$(?!\w)", md)
        md.inlinePatterns.register(inline, "mathml", 185)
        md.treeprocessors.register(Rows(md), "rows", 1)


def makeExtension(**options):  # noqa: N802
    return Book(**options)
