import xml.etree.ElementTree as ET

import numpy as np
import pytest

from minitransformer import curve_svg, heatmap_svg
from minitransformer.figures import ticks

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
    assert all(0 <= x <= 640 and 0 <= y <= 360 for x, y in points)
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
    assert places[-1] < 640


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
