"""Figures: curves and heatmaps as SVG, without a plotting library.

Their colors follow light and dark mode, in a page and in a separate file.
"""

import html
import importlib
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

# Control characters except tab and newline; codes without a character.
CONTROL = re.compile("[\0-\b\v-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# `currentColor` is the color of a page's text; `:root` is a file's own.
STYLE = """<style>
svg.mt{color-scheme:light dark;font:12px system-ui,sans-serif}
svg.mt:root{color:#222;background:#fff}
@media(prefers-color-scheme:dark){
svg.mt:root{color:#ddd;background:#1b1b1f}}
.mt text{fill:currentColor}.mt .axis{stroke:currentColor;fill:none}
.mt .grid{stroke:currentColor;opacity:.15}
.mt .cell{fill:#4c6ef5}.mt .minus{fill:#e8590c}
.mt .frame{fill:none;stroke:currentColor;opacity:.3}
.mt .line0,.mt .line1,.mt .line2,.mt .line3{fill:none;stroke-width:2}
.mt .line0{stroke:#4c6ef5}.mt .line1{stroke:#e8590c}
.mt .line2{stroke:#2f9e44}.mt .line3{stroke:#be4bdb}
.mt .dot0,.mt .box0{fill:#4c6ef5}.mt .dot1,.mt .box1{fill:#e8590c}
.mt .dot2,.mt .box2{fill:#2f9e44}.mt .dot3,.mt .box3{fill:#be4bdb}
.mt .box{fill-opacity:.2;stroke:currentColor;stroke-opacity:.5}
.mt .arrow{stroke:currentColor;fill:none;stroke-width:1.3}
.mt .head{fill:currentColor}
</style>"""


class Svg(str):
    """The text of an SVG; a notebook shows it as a picture."""

    def _repr_svg_(self) -> str:
        return str(self)


def plain(text: object) -> str:
    r"""Write control characters as escapes: terminals would obey them.

    Examples:
        >>> print(plain("\033[2J wiped"))
        \x1b[2J wiped
    """
    return CONTROL.sub(
        lambda found: found[0].encode("unicode_escape").decode(), str(text)
    )


def escape(text: object) -> str:
    """Write a text in a form that an SVG can hold, whatever it is."""
    return html.escape(plain(text))


def text_width(text: object) -> int:
    """Estimate pixels: 8 per letter, 13 in wide scripts such as Korean."""
    return sum(8 if letter < "\u0900" else 13 for letter in plain(text))


def svg(
    width: float, height: float, label: str, parts: Sequence[str]
) -> Svg:
    """Put parts of a drawing into an accessible SVG."""
    return Svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" class="mt" role="img" '
        f'aria-label="{escape(label)}" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" '
        f'style="max-width:100%;height:auto">\n<title>{escape(label)}'
        f"</title>\n{STYLE}\n" + "\n".join(parts) + "\n</svg>\n"
    )


def drawable(point: tuple[float, float]) -> bool:
    """Tell whether both numbers are finite and not close to overflow."""
    return all(abs(float(number)) < 1e300 for number in point)


def limits(numbers: Sequence[float]) -> tuple[float, float]:
    """Find the smallest and the largest number; separate equal ones."""
    low, high = float(min(numbers)), float(max(numbers))
    if high - low <= max(1e-8 * abs(low), 1e-200):
        high = low + (abs(low) if abs(low) > 1e-200 else 1)
    return low, high


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Choose round numbers between two values."""
    step = 10.0 ** len(str(int((high - low) / count)))
    while (high - low) / step < count:
        step /= 2 if str(f"{step:e}")[0] in "24" else 2.5
    first = -(-low // step)
    return [
        (first + i) * step
        for i in range(50)
        if (first + i) * step <= high + 1e-9 * step
    ]


def curve_svg(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x_label: str,
    y_label: str,
    label: str,
) -> Svg:
    """Draw curves in one coordinate system.

    Args:
        curves: A dictionary from a name to a list of (x, y); at most four.
            Points that are not finite leave a gap; the legend counts them.
        x_label, y_label: What the axes show.
        label: A description of the figure for readers who cannot see it.

    Returns:
        An `Svg`: a string that a notebook shows as a picture.

    Raises:
        ValueError: if there is no finite point.
    """
    every = [point for curve in curves.values() for point in curve]
    points = list(filter(drawable, every))
    if not points:
        raise ValueError("There is no point to draw, or none is finite.")
    (x0, x1), (y0, y1) = map(limits, zip(*points, strict=True))
    width, height, left, right, top, bottom = 460, 300, 60, 20, 20, 50
    legend: list[tuple[str, float, int]] = []
    across, down = left + 6.0, 14
    for name, curve in curves.items():
        if lost := len(curve) - sum(map(drawable, curve)):
            name = f"{name} ({lost:,} not finite)"
        space = 28 + 0.85 * text_width(name)
        if legend and across + space > width:
            across, down = left + 6.0, down + 18
        legend.append((name, across, down))
        across += space
    top += down
    height += down

    def place(x, y):
        across = (x - x0) / (x1 - x0) * (width - left - right)
        up = (y - y0) / (y1 - y0) * (height - top - bottom)
        return left + across, height - bottom - up

    parts = []
    for y in ticks(y0, y1):
        _, at = place(x0, y)
        parts.append(
            f'<path class="grid" d="M{left} {at:.1f}H{width - right}"/>'
            f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">'
            f"{y:.10g}</text>"
        )
    for x in ticks(x0, x1, 4):
        at, _ = place(x, y0)
        parts.append(
            f'<text x="{at:.1f}" y="{height - bottom + 18}" '
            f'text-anchor="middle">{x:.10g}</text>'
        )
    for i, (curve, (name, x, y)) in enumerate(
        zip(curves.values(), legend, strict=True)
    ):
        i %= 4
        placed = [place(*point) for point in filter(drawable, curve)]
        for whole, part in itertools.groupby(curve, drawable):
            if whole:
                path = " ".join(
                    "{:.1f},{:.1f}".format(*place(*p)) for p in part
                )
                parts.append(f'<polyline class="line{i}" points="{path}"/>')
        if len(curve) < 40:
            parts += [
                f'<circle class="dot{i}" cx="{a:.1f}" cy="{b:.1f}" r="3"/>'
                for a, b in placed
            ]
        parts.append(
            f'<circle class="dot{i}" cx="{x}" cy="{y}" r="5"/>'
            f'<text x="{x + 10}" y="{y + 4}">{escape(name)}</text>'
        )
    parts.append(
        f'<path class="axis" d="M{left} {top}V{height - bottom}'
        f'H{width - right}"/>'
        f'<text x="{(left + width) / 2:.0f}" y="{height - 8}" '
        f'text-anchor="middle">{escape(x_label)}</text>'
        f'<text transform="translate(14 {height / 2:.0f}) rotate(-90)" '
        f'text-anchor="middle">{escape(y_label)}</text>'
    )
    return svg(width, height, label, parts)


def heatmap_svg(
    weights: Any,
    rows: Sequence,
    columns: Sequence,
    *,
    label: str,
    cell: int = 22,
    digits: int | None = None,
) -> Svg:
    """Draw a matrix of weights; larger weights have stronger colors.

    Args:
        weights: Numbers from −1 to 1, `(query, key)`. Negative numbers
            have another color.
        rows: A label for each query.
        columns: A label for each key.
        label: A description of the figure for readers who cannot see it.
        cell: Size of a cell in pixels.
        digits: Number of decimals to write into each cell, or None.

    Returns:
        An `Svg`; pointing at a cell shows its weight.
    """
    left = 12 + max(map(text_width, rows), default=0)
    top = 12 + max(map(text_width, columns), default=0)
    width = left + cell * len(columns) + 8
    height = top + cell * len(rows) + 8
    parts = []
    for j, name in enumerate(columns):
        x = left + cell * (j + 0.5)
        parts.append(
            f'<text transform="translate({x + 4:g} {top - 6:g}) '
            f'rotate(-90)">{escape(name)}</text>'
        )
    for i, row in enumerate(rows):
        y = top + cell * i
        parts.append(
            f'<text x="{left - 6:g}" y="{y + cell / 2 + 4:g}" '
            f'text-anchor="end">{escape(row)}</text>'
        )
        for j, column in enumerate(columns):
            weight = float(weights[i][j])
            title = f"{row} → {column}: {weight:.3f}"
            shade = abs(weight) if math.isfinite(weight) else 0
            kind = "cell minus" if weight < 0 else "cell"
            parts.append(
                f'<rect class="{kind}" x="{left + cell * j:g}" y="{y:g}" '
                f'width="{cell - 1:g}" height="{cell - 1:g}" '
                f'fill-opacity="{shade:.3f}"><title>{escape(title)}'
                "</title></rect>"
            )
            if digits is not None:
                parts.append(
                    f'<text x="{left + cell * (j + 0.5):g}" '
                    f'y="{y + cell / 2 + 4:g}" text-anchor="middle" '
                    f'pointer-events="none">{weight:.{digits}f}</text>'
                )
    parts.append(
        f'<rect class="frame" x="{left - 1}" y="{top - 1}" '
        f'width="{cell * len(columns) + 1}" '
        f'height="{cell * len(rows) + 1}"/>'
    )
    return svg(width, height, label, parts)


def __getattr__(name: str) -> Any:
    if name == "view":  # this figure has a script, and its own file
        return importlib.import_module("minitransformer.viewer").view
    raise AttributeError(f"{__name__} has no attribute {name!r}")
