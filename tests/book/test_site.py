"""The built site, as files and in a browser."""

import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import ROOT

from minitransformer.runs.saving import write_atomically
from scripts.book import cells, coursework_pages, names, source

pytestmark = pytest.mark.slow
pytest_plugins = ["browser"]

coursework_pages.write()  # git ignores what these two make
names.write_reference()
PAGES = [path.relative_to(cells.DOCS).with_suffix("").as_posix() for path in cells.pages()]


def address(page):
    """Where a page is in the site."""
    return "" if page == "index" else f"{page}/"


@pytest.fixture(scope="session")
def site(tmp_path_factory, testrun_uid):
    """Build the site as its reader would, strictly, once for all processes."""
    folder = tmp_path_factory.getbasetemp().parent / f"site-{testrun_uid}"
    result = folder / "result.txt"
    try:
        folder.mkdir()
    except FileExistsError:  # another process builds it
        while not result.is_file():
            time.sleep(0.1)
    else:
        build = [sys.executable, "-m", "scripts.book.build_site"]
        process = subprocess.run(
            [*build, "--site-dir", str(folder / "site")],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        write_atomically(result, f"{process.returncode}\n{process.stdout}")
    code, _, output = result.read_text(encoding="utf-8").partition("\n")
    assert code == "0", output
    return folder / "site"


@pytest.fixture(scope="session")
def served(site):
    from browser import serve

    with serve(site) as url:
        yield url


class Links(HTMLParser):
    """Collect what a page links to, and what can be linked to in it."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.anchors = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors |= {attributes.get("id"), attributes.get("name")}
        for key in ("href", "src"):
            if attributes.get(key):
                self.targets.append(attributes[key])


def test_every_link_anchor_and_image_resolves(site):
    pages = {path: Links(path.read_text("utf-8")) for path in site.rglob("*.html")}
    assert len(pages) > len(PAGES)
    broken = []
    for path, links in pages.items():
        here = f"http://site/{path.relative_to(site).as_posix()}"
        for target in links.targets:
            url = urlsplit(urljoin(here, target))
            if url.netloc != "site" or url.scheme != "http":
                continue
            file = site / unquote(url.path).lstrip("/")
            file = file / "index.html" if file.is_dir() else file
            if not file.is_file() or (
                url.fragment and unquote(url.fragment) not in pages[file].anchors
            ):
                broken.append(f"{path.relative_to(site)}: {target}")
    assert not broken


def test_nothing_comes_from_outside(site):
    for path in site.rglob("*.html"):
        loads = re.findall(
            r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)', path.read_text("utf-8")
        )
        assert not loads, path


def test_the_notebook_of_each_page_is_in_the_site(site):
    for page in PAGES:
        assert (site / "notebooks" / f"{page}.ipynb").is_file()


def open_page(browser, served, page, until="load", **options):
    """Open a page; return it with its errors and all that it loaded."""
    context = browser.new_context(**options)
    tab = context.new_page()
    errors, loaded = [], {}
    tab.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("response", lambda r: loaded.update({r.url: r}))
    tab.goto(f"{served}/{address(page)}", wait_until=until)
    return tab, errors, loaded


@pytest.mark.parametrize("page", PAGES)
def test_a_page_in_the_browser(browser, served, page):
    # The first time, wait for all that comes later, such as the search; the
    # second time, only the colours are others.
    everything = {"resultTypes": ["violations"]}
    colors = {**everything, "runOnly": ["color-contrast"]}
    for scheme, until, rules in (("light", "networkidle", everything), ("dark", "load", colors)):
        tab, errors, loaded = open_page(
            browser,
            served,
            page,
            until,
            color_scheme=scheme,
            viewport={"width": 1280, "height": 900},
        )
        assert not errors
        assert all(url.startswith((served, "data:", "blob:")) for url in loaded)
        weight = sum(len(r.body()) for r in list(loaded.values()) if r.ok)
        assert weight <= (600_000 if page == "index" else 1_000_000)

        found = Axe().run(tab, options=rules).response["violations"]
        severe = [v for v in found if v["impact"] in ("serious", "critical")]
        assert not severe, [(v["id"], [n["html"][:200] for n in v["nodes"][:4]]) for v in severe]
        tab.set_viewport_size({"width": 360, "height": 740})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
        tab.context.close()


def test_copying_leaves_line_numbers_and_outputs_out(browser, served):
    tab, *_ = open_page(
        browser, served, "modules/attention", permissions=["clipboard-read", "clipboard-write"]
    )
    assert tab.locator("pre.output button, .output .md-code__button").count() == 0
    block = tab.locator(".source").nth(1)
    block.hover()
    block.locator("[data-clipboard-target], [data-md-type=copy], button").first.click()
    copied = tab.evaluate("navigator.clipboard.readText()")
    fence = "attention.attention_weights\nto: return tf.cast(tf.nn.softmax(scores), dtype)"
    _, shown = source.extract(fence)
    assert copied.splitlines() == [line for _, line in shown]
    tab.context.close()


def test_search_finds_a_page(browser, served):
    tab, _, loaded = open_page(
        browser, served, "index", "networkidle", viewport={"width": 1280, "height": 900}
    )
    assert not any("search_index" in url for url in loaded)
    tab.locator("input.md-search__input").fill("causal mask")
    tab.locator(".md-search-result__item").first.wait_for(timeout=20_000)
    tab.context.close()


def test_prose_stands_beside_source_when_there_is_room(browser, served):
    for width, beside in ((1440, True), (390, False)):
        tab, *_ = open_page(
            browser, served, "modules/attention", viewport={"width": width, "height": 900}
        )
        row = tab.locator(".row:has(.source)").nth(1)
        prose = row.locator(".prose").bounding_box()
        code = row.locator(".code").bounding_box()
        assert (code["x"] > prose["x"] + 50) == beside
        tab.context.close()


def test_without_scripts_the_static_figures_are_there(browser, served):
    tab, *_ = open_page(browser, served, "modules/attention", java_script_enabled=False)
    assert tab.locator("[data-widget] svg").first.is_visible()
    tab.context.close()


def test_a_print_of_the_site_names_its_licences(site):
    assert "SIL Open Font License" in Path(site / "index.html").read_text("utf-8")


def test_the_softmax_widget_masks_before_the_softmax(browser, served):
    tab, errors, _ = open_page(browser, served, "modules/attention")
    widget = tab.locator("[data-widget=softmax]")

    def shares():
        return [float(text) for text in widget.locator("b").all_inner_texts()]

    assert shares() == [0.665, 0.245, 0.09]
    widget.get_by_role("button").first.focus()
    tab.keyboard.press("Space")
    assert shares()[0] == 0
    assert sum(shares()) == pytest.approx(1, abs=0.002)
    for button in widget.get_by_role("button").all()[1:]:
        button.click()
    assert shares() == [0, 0, 0]  # nothing to see, nothing read
    widget.get_by_role("button").nth(1).click()
    widget.get_by_role("button").nth(2).click()
    before = shares()
    widget.get_by_role("slider").first.focus()  # the temperature
    for _ in range(5):
        tab.keyboard.press("ArrowRight")
    assert before[2] < shares()[2] < 0.5
    assert not errors
    tab.context.close()


def test_the_mask_widget_shows_what_may_be_seen(browser, served):
    tab, errors, _ = open_page(browser, served, "modules/masks")
    widget = tab.locator("[data-widget=mask]")
    buttons = widget.get_by_role("button")

    def mask():
        cells = [int(text) for text in buttons.all_inner_texts()]
        return [cells[i : i + 6] for i in range(0, 36, 6)]

    causal = [[int(j <= i) for j in range(6)] for i in range(6)]
    assert mask() == [[c * (j < 4) for j, c in enumerate(row)] for row in causal]
    widget.get_by_label("causal").focus()
    tab.keyboard.press("Space")
    assert mask() == causal
    buttons.first.focus()
    tab.keyboard.press("Enter")  # the first token may now see nothing
    weights = widget.locator("table").nth(1).locator("td")
    assert weights.all_inner_texts()[1:7] == ["0"] * 6
    assert tab.evaluate("document.activeElement.textContent") == "0"
    assert not errors
    tab.context.close()
