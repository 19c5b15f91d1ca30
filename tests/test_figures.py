import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from minitransformer import curve_svg, diagram_svg, heatmap_svg
from minitransformer.figures import plain, ticks

SVG = "{http://www.w3.org/2000/svg}"


def test_a_heatmap_has_a_cell_for_each_weight_and_escapes_labels():
    weights = np.array([[0.25, 0.75, 0.0], [1.0, 0.0, 0.0]])
    root = ET.fromstring(heatmap_svg(weights, ["<a>", "b"], ["c", "&", "안"], label='"x" & y'))
    cells = [r for r in root.iter(f"{SVG}rect") if r.get("class") == "cell"]
    assert [float(c.get("fill-opacity")) for c in cells] == [0.25, 0.75, 0, 1, 0, 0]
    assert cells[1].find(f"{SVG}title").text == "<a> → &: 0.750"
    assert root.get("aria-label") == '"x" & y'


def test_curves_stay_inside_and_are_drawn_to_scale():
    curves = {"a": [(0, 4.0), (50, 2.0), (100, 1.0)], "b": [(100, 1.5)]}
    root = ET.fromstring(curve_svg(curves, x_label="step", y_label="loss", label="losses"))
    line = next(root.iter(f"{SVG}polyline")).get("points").split()
    points = [tuple(map(float, p.split(","))) for p in line]
    assert all(0 <= x <= 460 and 0 <= y <= 360 for x, y in points)
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert y1 - y0 == pytest.approx(2 * (y2 - y1), rel=0.01)


def test_one_point_and_a_flat_curve_can_be_drawn():
    for curve in ([(5, 1.0)], [(5, 1.0), (6, 1.0)]):
        ET.fromstring(curve_svg({"a": curve}, x_label="", y_label="", label=""))
    with pytest.raises(ValueError, match="no point"):
        curve_svg({"a": []}, x_label="", y_label="", label="")


@pytest.mark.parametrize(("low", "high"), [(0, 1), (1.57, 3.3), (0, 2000), (10, 20), (-3, 0.2)])
def test_ticks_are_round_and_a_handful(low, high):
    values = ticks(low, high)
    assert 3 <= len(values) <= 12
    assert low <= min(values)
    assert max(values) <= high + 1e-9
    assert all(len(f"{value:g}") <= 5 for value in values)


def test_a_notebook_shows_a_figure_as_a_picture():
    figure = heatmap_svg([[0.5]], ["a"], ["b"], label="x")
    assert figure._repr_svg_() == figure
    assert isinstance(figure, str)


def test_a_cell_shows_its_number_if_asked_to():
    for digits, shown in ((None, []), (2, ["0.25", "0.75"])):
        root = ET.fromstring(
            heatmap_svg([[0.25, 0.75]], ["a"], ["b", "c"], label="x", digits=digits)
        )
        texts = [t.text for t in root.iter(f"{SVG}text")]
        assert [t for t in texts if t not in "abc"] == shown


def test_four_curves_have_a_line_and_a_name_each():
    curves = {f"curve {n}": [(0, n), (1, n + 1)] for n in range(4)}
    root = ET.fromstring(curve_svg(curves, x_label="x", y_label="y", label="four"))
    lines = [p.get("class") for p in root.iter(f"{SVG}polyline")]
    assert lines == ["line0", "line1", "line2", "line3"]
    names = [t for t in root.iter(f"{SVG}text") if t.text in curves]
    places = [float(t.get("x")) for t in names]
    assert len(places) == 4
    assert places == sorted(places)
    assert places[-1] < 460


def test_long_names_of_the_legend_get_rows_of_their_own():
    curves = {f"{n}: divided by the root of the width": [(0, n), (1, n + 1)] for n in range(4)}
    root = ET.fromstring(curve_svg(curves, x_label="x", y_label="y", label="four"))
    places = {(t.get("x"), t.get("y")) for t in root.iter(f"{SVG}text") if t.text in curves}
    assert len({y for _, y in places}) == len(places) == 4
    width = float(root.get("width"))
    assert all(float(x) + 7 * len("0: divided by the root of the width") < width for x, _ in places)
    axis = next(p.get("d") for p in root.iter(f"{SVG}path") if p.get("class") == "axis")
    assert float(axis[1:].split("V")[0].split()[1]) > max(float(y) for _, y in places)


def test_negative_weights_have_another_color():
    root = ET.fromstring(heatmap_svg([[-0.5, 0.5]], ["a"], ["b", "c"], label="x"))
    cells = [r for r in root.iter(f"{SVG}rect") if r.get("class").startswith("cell")]
    assert [c.get("class") for c in cells] == ["cell minus", "cell"]
    assert [float(c.get("fill-opacity")) for c in cells] == [0.5, 0.5]


def test_names_of_curves_are_escaped():
    root = ET.fromstring(
        curve_svg({"a < b": [(0, 1), (1, 2)]}, x_label="x > 0", y_label="&", label="x")
    )
    texts = [t.text for t in root.iter(f"{SVG}text")]
    assert {"a < b", "x > 0", "&"} <= set(texts)


def test_a_figure_says_what_it_shows_and_shrinks_on_a_phone():
    for figure in (
        heatmap_svg([[0.5]], ["a"], ["b"], label="one weight"),
        curve_svg({"a": [(0, 1)]}, x_label="", y_label="", label="one weight"),
    ):
        root = ET.fromstring(figure)
        assert root.get("role") == "img"
        assert root.get("aria-label") == "one weight"
        assert root.find(f"{SVG}title").text == "one weight"
        assert "max-width:100%" in root.get("style")
        _, _, width, height = root.get("viewBox").split()
        assert (width, height) == (root.get("width"), root.get("height"))


HOSTILE = "\x0c\x1b[31m\x00\x85\ud800\ufffe<&"


def test_a_figure_is_well_formed_whatever_its_names_hold():
    for figure in (
        heatmap_svg([[0.5]], [HOSTILE], [HOSTILE], label=HOSTILE),
        curve_svg({HOSTILE: [(0, 1)]}, x_label=HOSTILE, y_label=HOSTILE, label=HOSTILE),
        diagram_svg({"a": (0, 0, HOSTILE, 1), "b": (0, 1, HOSTILE, None)}, [], label=HOSTILE),
    ):
        texts = [t.text for t in ET.fromstring(figure.encode()).iter() if t.text]
        assert any("\\x0c\\x1b[31m\\x00\\x85\\ud800\\ufffe<&" in text for text in texts)


def test_plain_text_spells_what_a_terminal_would_obey():
    assert plain(HOSTILE) == r"\x0c\x1b[31m\x00\x85\ud800\ufffe<&"
    for text in ("tab\tand\nline", "한국어 ไทย हिन्दी 👨‍👩‍👧 é", "\u200d\u3000"):
        assert plain(text) == text


@pytest.mark.parametrize("name", ["안녕하세요안녕하세요", "日本語日本語", "हिन्दीहिन्दी", "mmmmmmmm"])
def test_wide_scripts_are_not_cut_off(name):
    root = ET.fromstring(heatmap_svg([[0.5]], [name], [name], label="x"))
    [cell] = [r for r in root.iter(f"{SVG}rect") if r.get("class") == "cell"]
    letter = 8 if name.isascii() else 12  # pixels, at 12 pixels to the em
    assert float(cell.get("x")) >= letter * len(name)
    assert float(cell.get("y")) >= letter * len(name)


def test_points_that_are_not_finite_leave_a_gap_and_are_counted():
    curve = [(0, 4.0), (1, 3.0), (2, math.nan), (3, math.inf), (4, 1.0), (math.nan, 2)]
    root = ET.fromstring(curve_svg({"a": curve}, x_label="", y_label="", label=""))
    lines = [p.get("points").split() for p in root.iter(f"{SVG}polyline")]
    assert [len(line) for line in lines] == [2, 1]
    assert "a (3 not finite)" in [t.text for t in root.iter(f"{SVG}text")]
    with pytest.raises(ValueError, match="none is finite"):
        curve_svg({"a": [(0, math.nan)]}, x_label="", y_label="", label="")


@pytest.mark.parametrize(
    "curve",
    [
        [(0, 1e38), (1, 1e38)],
        [(0, 1e299), (1, -1e299)],
        [(1e16, 1), (1e16 + 2, 1)],
        [(0, 1e-20), (1, 3e-20)],
        [(0, 5e-324), (1, 1e-323)],
        [(100_000, 2.3), (100_001, 2.3000001)],
        [(0, -5), (1, -5)],
    ],
)
def test_curves_of_any_size_stay_inside_and_ticks_differ(curve):
    root = ET.fromstring(curve_svg({"a": curve}, x_label="", y_label="", label=""))
    [line] = root.iter(f"{SVG}polyline")
    points = [tuple(map(float, p.split(","))) for p in line.get("points").split()]
    assert all(0 <= x <= 460 and 0 <= y <= 360 for x, y in points)
    ends = [t for t in root.iter(f"{SVG}text") if t.get("text-anchor") == "end"]
    assert all(0 <= float(t.get("y")) <= 360 for t in ends)
    assert 2 <= len(ends) == len({t.text for t in ends})


def test_a_weight_that_is_not_finite_has_no_color():
    root = ET.fromstring(heatmap_svg([[math.nan, math.inf]], ["a"], ["b", "c"], label="x"))
    cells = [r for r in root.iter(f"{SVG}rect") if r.get("class") == "cell"]
    assert [float(c.get("fill-opacity")) for c in cells] == [0, 0]
    assert "nan" in cells[0].find(f"{SVG}title").text
