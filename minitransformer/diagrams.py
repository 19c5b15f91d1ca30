"""Diagrams: boxes and arrows as SVG, for block diagrams."""

from collections.abc import Callable, Mapping, Sequence

from minitransformer.figures import Svg, escape, svg, text_width

ROW, HEIGHT, GAP = 52, 32, 18  # pixels


def diagram_svg(
    boxes: Mapping[str, tuple],
    arrows: Sequence[tuple],
    *,
    label: str,
    box_width: int = 112,
) -> Svg:
    """Draw boxes on a grid, and arrows between them.

    Args:
        boxes: A dictionary from a name to (column, row, text, color).
            Columns count to the right and rows upwards, as in the papers'
            figures; both may be fractions. The color is 0 to 3, or None
            for text without a frame. The text "+" makes a small circle,
            and "" an invisible point, where an arrow can begin.
        arrows: A list of (from, to), or of (from, to, column) for an arrow
            that leaves sideways and runs along that column, like a
            residual connection.
        label: A description for readers who cannot see the diagram.
        box_width: Width of a box in pixels; a column is a little wider.

    Returns:
        An `Svg`: a string that a notebook shows as a picture.

    Raises:
        ValueError: if an arrow names a box that does not exist.
    """
    columns = [box[0] for box in boxes.values()]
    columns += [arrow[2] for arrow in arrows if len(arrow) == 3]
    rows = [box[1] for box in boxes.values()]

    def place(column, row):
        return (
            (column - min(columns)) * (box_width + GAP) + box_width / 2 + 8,
            (max(rows) - row) * ROW + HEIGHT / 2 + 8,
        )

    parts = []
    for name, (column, row, text, color) in boxes.items():
        x, y = place(column, row)
        width, height = size(boxes[name], box_width)
        if color is not None:
            corner = height / 2 if text == "+" else 5
            parts.append(
                f'<rect class="box box{color}" x="{x - width / 2:g}" '
                f'y="{y - height / 2:g}" width="{width}" '
                f'height="{height}" rx="{corner:g}"/>'
            )
        parts.append(
            f'<text x="{x:g}" y="{y + 4:g}" text-anchor="middle">'
            f"{escape(text)}</text>"
        )
    for start, end, *along in arrows:
        for name in (start, end):
            if name not in boxes:
                raise ValueError(f"There is no box {name!r} for an arrow.")
        points = route(boxes[start], boxes[end], along, place, box_width)
        path = "L".join(f"{x:g} {y:g}" for x, y in points)
        parts.append(f'<path class="arrow" d="M{path}"/>')
        parts.append(head(*points[-2:]))
    width, height = place(max(columns), min(rows))
    return svg(
        width + box_width / 2 + 8, height + HEIGHT / 2 + 8, label, parts
    )


def size(box: tuple, box_width: int) -> tuple[int, int]:
    """Compute a box's width and height; a "+" is small and round."""
    if box[3] is None:
        return (text_width(box[2]) + 8, 24) if box[2] else (0, 0)
    return (24, 24) if box[2] == "+" else (box_width, HEIGHT)


def route(
    start: tuple,
    end: tuple,
    along: Sequence,
    place: Callable[..., tuple[float, float]],
    box_width: int,
) -> list[tuple[float, float]]:
    """List the corners of an arrow from one box to another."""
    (x0, y0), (x1, y1) = place(*start[:2]), place(*end[:2])
    (w0, h0), (w1, h1) = size(start, box_width), size(end, box_width)
    if along:
        x = place(along[0], 0)[0]
        return [
            (x0 + (w0 if x > x0 else -w0) / 2, y0),
            (x, y0),
            (x, y1),
            (x1 + (w1 if x > x1 else -w1) / 2, y1),
        ]
    if y0 == y1:
        way = 1 if x1 > x0 else -1
        return [(x0 + way * w0 / 2, y0), (x1 - way * w1 / 2, y1)]
    way = 1 if y1 > y0 else -1
    first, last = (x0, y0 + way * h0 / 2), (x1, y1 - way * h1 / 2)
    if x0 == x1:
        return [first, last]
    middle = (first[1] + last[1]) / 2
    return [first, (x0, middle), (x1, middle), last]


def head(before: tuple[float, float], tip: tuple[float, float]) -> str:
    """Draw the head of an arrow: a triangle along its last part."""
    (x0, y0), (x, y) = before, tip
    length = abs(x - x0) + abs(y - y0) or 1  # the last part is straight
    dx, dy = 7 * (x - x0) / length, 7 * (y - y0) / length
    corners = [
        (x, y),
        (x - dx - dy / 2, y - dy - dx / 2),
        (x - dx + dy / 2, y - dy + dx / 2),
    ]
    points = " ".join(f"{a:g},{b:g}" for a, b in corners)
    return f'<polygon class="head" points="{points}"/>'
