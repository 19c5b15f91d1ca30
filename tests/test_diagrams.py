import re
import xml.etree.ElementTree as ET

import pytest

from minitransformer import diagram_svg

BOXES = {"below": (0, 0, "a < b", 0), "above": (0, 2, "norm", 1), "side": (1.5, 2, "+", 2)}
SPACE = "{http://www.w3.org/2000/svg}"


def draw(*arrows, **options):
    drawn = ET.fromstring(diagram_svg(BOXES, arrows, label="a & b", **options))
    boxes = {
        name: {key: float(rect.get(key)) for key in ("x", "y", "width", "height")}
        for name, rect in zip(BOXES, drawn.iter(f"{SPACE}rect"), strict=True)
    }
    paths = [p.get("d") for p in drawn.iter(f"{SPACE}path") if p.get("class") == "arrow"]
    return (drawn, boxes, [[float(n) for n in re.findall(r"[-\d.]+", path)] for path in paths])


def test_labels_are_escaped_and_read_aloud():
    drawn, *_ = draw()
    assert drawn.get("role") == "img"
    assert drawn.get("aria-label") == "a & b"
    assert "a < b" in [text.text for text in drawn.iter(f"{SPACE}text")]


def test_rows_grow_upwards_and_columns_to_the_right():
    _, boxes, _ = draw()
    assert boxes["above"]["y"] < boxes["below"]["y"]
    assert boxes["side"]["x"] > boxes["above"]["x"]


@pytest.mark.parametrize("box_width", [40, 112])
def test_arrows_begin_and_end_at_the_borders(box_width):
    _, boxes, [up, across, around] = draw(
        ("below", "above"), ("above", "side"), ("below", "above", 0.8), box_width=box_width
    )
    below, above, side = boxes.values()
    assert up[1] == below["y"]
    assert up[-1] == above["y"] + above["height"]
    assert across[0] == above["x"] + above["width"]
    assert across[-2] == side["x"]
    assert above["width"] == box_width
    assert around[0] == below["x"] + below["width"]
    assert around[-2] == above["x"] + above["width"]
    assert around[2] > around[0]


@pytest.mark.parametrize(
    ("column", "row", "leaves"),
    [
        (0, 2, "top"),
        (0, -2, "bottom"),
        (3, 0, "right"),
        (-3, 0, "left"),
        (2, 3, "top"),
        (-1, -4, "bottom"),
    ],
)
def test_arrows_go_in_all_directions(column, row, leaves):
    drawn = ET.fromstring(
        diagram_svg(
            {"a": (0, 0, "a", 0), "b": (column, row, "b", 1)}, [("a", "b")], label="x", box_width=50
        )
    )
    borders = []
    for rect in drawn.iter(f"{SPACE}rect"):
        x, y, width, height = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
        borders.append(
            {
                "top": (x + width / 2, y),
                "bottom": (x + width / 2, y + height),
                "left": (x, y + height / 2),
                "right": (x + width, y + height / 2),
            }
        )
    path = next(p.get("d") for p in drawn.iter(f"{SPACE}path") if p.get("class") == "arrow")
    ends = [float(n) for n in re.findall(r"[-\d.]+", path)]
    facing = {"top": "bottom", "bottom": "top", "left": "right", "right": "left"}
    assert tuple(ends[:2]) == borders[0][leaves]
    assert tuple(ends[-2:]) == borders[1][facing[leaves]]
    tip, *corners = next(drawn.iter(f"{SPACE}polygon")).get("points").split()
    assert tuple(map(float, tip.split(","))) == tuple(ends[-2:])
    # The head lies on the last part of the way, before its end.
    before = [sum(float(c.split(",")[i]) for c in corners) / 2 for i in (0, 1)]
    way = [ends[-2] - ends[-4], ends[-1] - ends[-3]]
    last = [ends[-2] - before[0], ends[-1] - before[1]]
    assert sum(a * b for a, b in zip(way, last, strict=True)) > 0


def test_everything_lies_inside_the_picture():
    drawn, boxes, arrows = draw(("below", "above", 2.5))
    _, _, width, height = map(float, drawn.get("viewBox").split())
    for box in boxes.values():
        assert 0 <= box["x"] <= width - box["width"]
        assert 0 <= box["y"] <= height - box["height"]
    assert max(arrows[0][::2]) <= width


def test_a_point_and_plain_text_have_no_frame():
    drawn = ET.fromstring(
        diagram_svg({"a": (0, 0, "", None), "b": (0, 1, "x", None)}, [("a", "b")], label="x")
    )
    assert not list(drawn.iter(f"{SPACE}rect"))


def test_an_arrow_to_nowhere_is_refused():
    with pytest.raises(ValueError, match="'elsewhere'"):
        draw(("below", "elsewhere"))
