import base64
import html
import json
import re

import numpy as np
import pytest
import tensorflow as tf

import minitransformer
from minitransformer import view, viewer
from minitransformer.runs.given import read_text

pytest_plugins = ["browser"]

HOSTILE = "</script><img src=x onerror=alert(1)>"
WORDS = ["[CLS]", "the", "dog", "barked", "[SEP]", "it", "was", "loud", "[SEP]"]
SEGMENTS = [0] * 5 + [1] * 4


def attention(*shape, seed=0):
    """Make weights: the last axis sums to 1."""
    scores = np.random.default_rng(seed).normal(0, 2, shape)
    return (np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)).astype("float32")


def data_of(page):
    """Read what the script reads: its data, and the arrays in it."""
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1]
    data = json.loads(text)
    shape = -1, len(data["queries"]), len(data["keys"])
    data["layers"] = [
        np.frombuffer(base64.b64decode(layer), "<u2").reshape(shape) / 65535
        for layer in data["layers"]
    ]
    return data


def test_the_file_holds_each_weight_where_it_was():
    layers = [attention(4, 3, 5), attention(2, 3, 5, seed=1)]  # 4 heads, then 2
    data = data_of(view(layers, ["a", "b", "c"], key_tokens=list("vwxyz")))
    for layer, expected in zip(data["layers"], layers, strict=True):
        assert layer.shape == expected.shape
        assert np.abs(layer - expected).max() <= 0.5 / 65535 + 1e-7
    assert (data["queries"], data["keys"]) == (["a", "b", "c"], list("vwxyz"))
    assert data["segments"] is None


class Torch:
    """Behaves like a PyTorch tensor that needs a gradient."""

    def __init__(self, array):
        self.array = array

    def __array__(self, *_, **__):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    def detach(self):
        return self

    cpu = detach

    def float(self):
        return self.array


@pytest.mark.parametrize(
    ("make", "heads"),
    [
        (lambda a: a[0, 0], [1]),
        (lambda a: a[0], [3]),
        (lambda a: a, [3, 3]),
        (lambda a: a[:, None], [3, 3]),
        (lambda a: [layer[None] for layer in a], [3, 3]),
        (lambda a: tuple(tf.constant(layer[None]) for layer in a), [3, 3]),
        (lambda a: [tf.cast(layer, tf.bfloat16) for layer in a], [3, 3]),
        (lambda a: tf.constant(a, tf.float16), [3, 3]),
        (lambda a: [Torch(layer) for layer in a], [3, 3]),
        (lambda a: a[0].tolist(), [1, 1, 1]),
    ],
)
def test_layers_are_taken_in_any_form(make, heads):
    array = attention(2, 3, 5, 5)
    data = data_of(view(make(array), "abcde"))
    assert [len(layer) for layer in data["layers"]] == heads
    assert np.allclose(data["layers"][0][0], array[0, 0], atol=0.004)


def test_weights_of_our_own_models_are_taken():
    from conftest import make_tiny_gpt

    model = make_tiny_gpt()
    data = data_of(view(model.attention_maps([[1, 2, 3]]), "abc"))
    assert len(data["layers"]) == model.config.num_layers
    assert np.allclose(np.triu(data["layers"][0], 1), 0)  # causal


def test_a_query_that_may_attend_to_nothing_is_taken():
    weights = np.array([[[0.25, 0.75], [0, 0]]])
    assert data_of(view(weights, "ab"))["layers"][0].tolist()[0][1] == [0, 0]


def test_tokens_and_label_cannot_leave_their_place():
    page = view(attention(2, 2), [HOSTILE, "<!--"], label=HOSTILE)
    assert HOSTILE not in page
    assert page.count("<img") == page.count("<!--") == 0
    assert page.count("</script>") == 2  # of the data, of the script
    assert page.count(html.escape(HOSTILE)) == 2  # the title, the heading
    assert data_of(page)["queries"] == [HOSTILE.replace(" ", "␣"), "<!--"]


def test_tokens_that_nobody_can_see_are_shown():
    tokens = [" a", "\n", "", "\t", "\x1b[2J", "\ud800", "안"]
    page = view(attention(7, 7), tokens)
    assert data_of(page)["queries"] == ["␣a", "↵", "∅", "⇥", "\\x1b[2J", "\\ud800", "안"]
    page.encode()  # a lone surrogate would raise


def test_the_label_may_hold_the_names_of_the_places():
    page = view(attention(2, 2), "ab", label="DATA of LABEL, a POLICY")
    assert "<title>DATA of LABEL, a POLICY</title>" in page
    assert data_of(page)["queries"] == ["a", "b"]


def test_the_file_allows_its_own_script_and_nothing_else():
    import hashlib

    page = view(attention(2, 2), "ab")
    policy = re.search('Content-Security-Policy" content="([^"]*)"', page)[1]
    for tag in ("style", "script"):
        text = re.search(f"<{tag}>(.*?)</{tag}>", page, re.S)[1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert not re.search(r"https?:|\son\w+=|\sstyle=|\bimport\b|\beval\b|innerHTML", page)


def test_script_and_style_are_small():
    assert len(viewer.TEMPLATE.read_bytes()) < 15_000


def test_a_notebook_shows_the_file_in_a_frame_that_cannot_reach_it():
    page = view(attention(2, 2), ["a", HOSTILE], label='a "b"')
    frame = page._repr_html_()
    assert '<iframe title="a &quot;b&quot;" sandbox="allow-scripts" ' in frame
    assert frame.count("<") == 2
    assert html.unescape(re.search('srcdoc="([^"]*)"', frame)[1]) == page


def test_a_saved_file_is_the_text(tmp_path):
    page = view(attention(2, 2), ["a", "안"])
    page.save(tmp_path / "a.html")
    assert read_text(tmp_path / "a.html") == page
    with pytest.raises(ValueError, match="a folder that exists"):
        page.save(tmp_path / "gone" / "a.html")


def test_the_name_in_figures_is_the_same():
    from minitransformer import figures

    assert figures.view is minitransformer.view
    with pytest.raises(AttributeError, match="nonsense"):
        figures.nonsense  # noqa: B018


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


W = attention(3, 4, 4)
SCORES = np.random.default_rng(0).normal(size=(3, 4, 4))


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        ([W, SCORES], {}, "Layer 1, head 0, query 0: found weights from .* Give the weights after"),
        ([changed(W, (2, 1), [0.5, 0.6, 0, 0])], {}, "head 2, query 1: .* with the sum 1.1, exp"),
        ([changed(W, (1, 3), [1.5, -0.5, 0, 0])], {}, "head 1, query 3: .* from -0.5 to 1.5 "),
        ([changed(W, (1, 2, 3), np.nan)], {}, "Layer 0, head 1, query 2: found NaN or infinity"),
        ([changed(W, (0, 2, 3), np.inf)], {}, "Layer 0, head 0, query 2: found NaN or infinity"),
        ([W, W[:, :, :3]], {}, "Layer 1 has 4 queries and 3 keys, but there are 4 tokens"),
        ([W], {"key_tokens": "vwxyz"}, "4 queries and 4 keys, but .* 4 .* queries and 5 for the k"),
        ([np.stack([W, W])], {}, r"Layer 0 holds 2 texts, .*: give \[layer\[0\] for layer in"),
        ([W[:, None, None]], {}, r"Layer 0 has the shape \(3, 1, 1, 4, 4\): give one array"),
        ([W[:0]], {}, r"Layer 0 has the shape \(0, 4, 4\)"),
        ([0.5, 0.5], {}, r"Layer 0 has the shape \(\)"),
        ([], {}, "weights is empty: give one array"),
        ([W, None], {}, "Layer 1 is None: ask the model for its weights"),
        ({"a": 1}, {}, "weights is no array of numbers, but dict: give"),
        ([[W, W[0]]], {}, "Layer 0 is no array of numbers, but list: give"),
        ([W], {"segments": [0, 0, 1]}, "found 3 numbers for 4 tokens"),
        ([W], {"segments": "aabb"}, "found 0 numbers for 4 tokens"),
        ([W], {"segments": [0, 0, 1, 1], "key_tokens": "abcd"}, "no key_tokens"),
    ],
)
def test_wrong_input_is_named_in_a_sentence(weights, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        view(weights, "abcd", **options)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("tokens", [[1, 2, 3, 4], 5, np.arange(4)])
def test_tokens_that_are_not_text_are_refused(tokens):
    with pytest.raises(TypeError, match="give strings"):
        view(W, tokens)


def test_what_is_too_large_is_refused_before_it_is_written():
    weights = np.broadcast_to(np.float32(1 / 500), (9, 500, 500))
    with pytest.raises(ValueError, match=r"2,250,000 weights, .* at most 2,000,000: give fewer"):
        view(weights, ["a"] * 500)
    assert len(view(weights[:1], ["a"] * 500)) < 1_000_000


def open_view(browser, folder, page, **options):
    """Open a file; return the tab, and lists of what went wrong and of requests."""
    page.save(folder / "view.html")
    tab = browser.new_context(**options).new_page()
    errors, requests = [], []
    tab.on("console", lambda message: errors.append(message.text))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("dialog", lambda dialog: (errors.append(dialog.message), dialog.dismiss()))
    tab.goto((folder / "view.html").as_uri())
    return tab, errors, requests


def table(tab):
    """Read the table: position and weight of each key."""
    rows = tab.locator("tbody tr").evaluate_all(
        "rows => rows.map((row) => [row.cells[0], row.cells[row.cells.length - 2]]"
        ".map((cell) => +cell.textContent))"
    )
    return {int(position): weight for position, weight in rows}


def check_row(tab, weights):
    """Check the table, and that larger weights stand first."""
    found = table(tab)
    assert [found[j] for j in range(len(weights))] == pytest.approx(weights, abs=6e-5)
    assert list(found.values()) == sorted(found.values(), reverse=True)


@pytest.mark.slow
def test_keys_and_pointer_show_the_weights_of_any_query_and_head(browser, tmp_path):
    from browser import check_accessible

    array = attention(3, 4, 9, 9)
    page = view(array, WORDS, segments=SEGMENTS, label="two sentences")
    tab, errors, requests = open_view(browser, tmp_path, page)
    check_row(tab, array[0, 0, 0])
    says = tab.locator("#says")
    assert says.inner_text().startswith("“[CLS]” (0) reads most from ")
    for segment, share in ((0, array[0, 0, 0, :5].sum()), (1, array[0, 0, 0, 5:].sum())):
        assert f"Segment {segment} gets {share:.3f}." in says.inner_text()

    tab.keyboard.press("Tab")  # into the heads
    for key, layer, head in (
        ("ArrowRight", 0, 1),
        ("ArrowDown", 1, 1),
        ("ArrowLeft", 1, 0),
        ("ArrowUp", 0, 0),
        ("ArrowUp", 0, 0),  # there is none above
        ("End", 2, 3),
        ("ArrowRight", 2, 3),
    ):
        tab.keyboard.press(key)
        name = f"Layer {layer}, head {head}"
        assert tab.evaluate("document.activeElement.ariaLabel") == name
        assert tab.locator("#chosen").inner_text() == name
        check_row(tab, array[layer, head, 0])
    tab.locator("#queries [tabindex='0']").focus()
    for key, query in (
        ("ArrowRight", 1),
        ("ArrowDown", 2),
        ("ArrowLeft", 1),
        ("End", 8),
        ("Home", 0),
        ("ArrowUp", 0),
    ):
        tab.keyboard.press(key)
        assert tab.evaluate("document.activeElement.textContent") == WORDS[query]
        check_row(tab, array[2, 3, query])
    assert tab.locator("[aria-selected=true]").count() == 1
    assert tab.locator("[aria-checked=true]").count() == 1
    outline = tab.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "3px"  # the focus is visible

    tab.locator("#queries bdi").nth(3).hover()
    check_row(tab, array[2, 3, 3])
    # The large map: point at query 7, key 2; cells have 24 pixels, the last at the edge.
    box = tab.locator("#map").bounding_box()
    left, top = tab.evaluate("[left, top_]")
    tab.mouse.move(box["x"] + left + 2.5 * 24, box["y"] + top + 7.5 * 24)
    check_row(tab, array[2, 3, 7])
    assert f"Here: “dog” (2) {array[2, 3, 7, 2]:.3f}." in says.inner_text()
    shades = tab.locator("#keys bdi").evaluate_all(
        "keys => keys.map((key) => +key.style.getPropertyValue('--shade'))"
    )
    assert shades == pytest.approx(array[2, 3, 7], abs=1e-4)
    tab.get_by_role("checkbox").check()
    shades = tab.locator("#keys bdi").evaluate_all(
        "keys => keys.map((key) => +key.style.getPropertyValue('--shade'))"
    )
    assert max(shades) == pytest.approx(1)

    check_accessible(tab)
    assert not errors
    assert requests == [(tmp_path / "view.html").as_uri()]
    tab.context.close()


# The opacity of the large map's pixel in the middle of each cell.
OPACITY = """() => {
  const canvas = document.getElementById("map"), { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const at = (start, i) => Math.floor((start + cell * (i + .5)) * pixel);
  return queries.map((_, i) => keys.map((_, j) =>
    data[4 * (at(top_, i) * width + at(left, j)) + 3] / 255));
}"""


@pytest.mark.slow
def test_the_large_map_draws_each_weight_in_its_cell(browser, tmp_path):
    array = attention(3, 5)
    page = view(array, ["a", "b", "c"], key_tokens=list("vwxyz"))
    tab, errors, _ = open_view(browser, tmp_path, page, device_scale_factor=2)
    assert np.allclose(tab.evaluate(OPACITY), array, atol=0.01)
    assert not tab.locator("#pick").is_visible()  # there is one head only
    assert tab.locator("#queries bdi").count() == 3
    assert not errors
    tab.context.close()


@pytest.mark.slow
def test_it_fits_a_phone_prints_in_full_and_runs_no_token(browser, tmp_path):
    tokens = [HOSTILE, "", "a" * 90, *(f"w{i}" for i in range(37))]
    page = view(attention(12, 40, 40), tokens, label="m" * 60)
    tab, errors, requests = open_view(
        browser, tmp_path, page, color_scheme="dark", viewport={"width": 320, "height": 640}
    )
    assert tab.evaluate("document.documentElement.scrollWidth") <= 320
    assert tab.evaluate("document.images.length") == 0
    assert tab.locator("#queries bdi").first.inner_text() == HOSTILE.replace(" ", "␣")
    color = "getComputedStyle(document.body).backgroundColor"
    assert tab.evaluate(color) == "rgb(27, 27, 31)"
    tab.emulate_media(media="print")
    assert tab.evaluate(color) == "rgb(255, 255, 255)"
    hidden = "document.querySelector('.rows').scrollHeight > innerHeight * 40"
    assert not tab.evaluate(hidden)
    box = "(e => e.scrollHeight <= e.clientHeight)(document.querySelector('.rows'))"
    assert tab.evaluate(box)
    assert not errors
    assert len(requests) == 1
    tab.context.close()


@pytest.mark.slow
def test_the_frame_works_and_cannot_reach_the_page_around_it(browser, tmp_path):
    array = attention(2, 2, 3, 3)
    frame = view(array, "abc")._repr_html_()
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><title>notebook</title>{frame}", "ascii")
    tab = browser.new_context().new_page()
    errors = []
    tab.on("console", lambda message: errors.append(message.text))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(path.as_uri())
    inside = tab.frame_locator("iframe")
    inside.get_by_role("option").nth(2).click()
    assert inside.locator("#says").inner_text().startswith("“c” (2) reads most from ")
    assert not errors
    color = "getComputedStyle(document.body).backgroundColor"
    assert tab.frames[1].evaluate(color) == "rgb(255, 255, 255)"
    tab.evaluate("frames[0].postMessage('dark', '*')")  # as the site's book.js does
    tab.frames[1].wait_for_function(f"{color} === 'rgb(27, 27, 31)'")
    tab.evaluate("frames[0].postMessage('<b>', '*')")
    assert tab.frames[1].evaluate(color) == "rgb(27, 27, 31)"
    reach = "() => { try { return parent.document.title; } catch { return 'no'; } }"
    assert tab.frames[1].evaluate(reach) == "no"
    tab.context.close()
