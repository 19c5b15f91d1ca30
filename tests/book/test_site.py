"""The built site, as files and in a browser."""

import json
import os
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
from pages import PAGES as FILES

from minitransformer.runs.saving import write_atomically
from scripts.book import cells, source
from scripts.book.address import repository, site as site_address

pytestmark = pytest.mark.slow
pytest_plugins = ["browser"]

PAGES = [path.relative_to(cells.DOCS).with_suffix("").as_posix() for path in FILES]
BASE = urlsplit(site_address()).path.rstrip("/")


def address(page):
    """Where a page is in the site."""
    return "" if page == "index" else f"{page}/"


@pytest.fixture(scope="session")
def site(tmp_path_factory, testrun_uid):
    """Build the site as its reader would, strictly, once for all processes.

    While you work on a test, give a site that you have built as BUILT_SITE.
    """
    if "BUILT_SITE" in os.environ:
        return Path(os.environ["BUILT_SITE"])
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
            target = target.removeprefix(BASE) if path.name == "404.html" else target
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


class Prose(HTMLParser):
    """Collect the text of a page outside of code and formulas."""

    def __init__(self, text):
        super().__init__()
        self.inside, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag in ("code", "math", "pre", "script"):
            self.inside.append(tag)

    def handle_endtag(self, tag):
        if self.inside[-1:] == [tag]:
            self.inside.pop()

    def handle_data(self, data):
        self.text += "" if self.inside else data


def test_no_formula_is_shown_as_it_was_typed(site):
    texts = {path: Prose(path.read_text("utf-8")).text for path in site.rglob("*.html")}
    assert not [path for path, text in texts.items() if "$" in text]


def test_nothing_comes_from_outside(site):
    for path in site.rglob("*.html"):
        loads = re.findall(
            r'<(?:script|link(?! rel="canonical")|img)[^>]+(?:src|href)="(https?:[^"]+)',
            path.read_text("utf-8"),
        )
        assert not loads, path


def test_the_notebook_of_each_page_is_in_the_site(site):
    for page in PAGES:
        assert (site / "notebooks" / f"{page}.ipynb").is_file()


def meta(text, name):
    """Read a tag of a page's head."""
    return re.search(rf'<meta (?:name|property)="{name}" content="([^"]*)">', text)[1]


def test_each_page_has_its_own_address_and_description(site):
    described = {}
    for page in PAGES:
        text = (site / address(page) / "index.html").read_text("utf-8")
        here = f"{site_address()}/{address(page)}"
        assert f'<link rel="canonical" href="{here}">' in text
        assert meta(text, "og:url") == here
        assert meta(text, "description") == meta(text, "og:description")
        assert f'href="{repository()}/issues/new' in text
        described.setdefault(meta(text, "description"), []).append(page)
    assert not [pages for pages in described.values() if len(pages) > 1]
    assert (site / "assets/images/card.png").stat().st_size < 30_000
    sitemap = (site / "sitemap.xml").read_text("utf-8")
    assert sitemap.count("<loc>") == len(PAGES)


def test_source_boxes_and_edit_links_lead_into_the_repository(site):
    text = (site / "modules/attention/index.html").read_text("utf-8")
    assert f"{repository()}/edit/main/docs/modules/attention.md" in text
    [file] = set(re.findall(rf'class="file"><a href="{repository()}/blob/main/([^#"]+)', text))
    assert (ROOT / file).is_file()


def test_a_wrong_address_below_a_sub_path_finds_help_and_its_style(browser, site, tmp_path):
    from browser import serve

    folder = tmp_path / BASE.strip("/")
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(site)
    with serve(tmp_path) as url:
        context = browser.new_context()
        tab = context.new_page()
        missing = []
        tab.on("response", lambda r: missing.append(r.url) if r.status >= 400 else None)
        tab.goto(f"{url}{BASE}/404.html")
        assert not missing
        tab.get_by_role("link", name="Attention", exact=True).click()
        assert tab.locator("h1").inner_text().startswith("Attention")
        context.close()


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
    from browser import set_scheme

    tab, errors, loaded = open_page(
        browser, served, page, "networkidle", viewport={"width": 1280, "height": 900}
    )
    everything = {"resultTypes": ["violations"]}
    colors = {**everything, "runOnly": ["color-contrast"]}
    for scheme, rules in (("light", everything), ("dark", colors)):
        set_scheme(tab, scheme)
        found = Axe().run(tab, options=rules).response["violations"]
        severe = [v for v in found if v["impact"] in ("serious", "critical")]
        assert not severe, [(v["id"], [n["html"][:200] for n in v["nodes"][:4]]) for v in severe]
    for width in (360, 320):
        tab.set_viewport_size({"width": width, "height": 740})
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert not errors
    assert all(url.startswith((served, "data:", "blob:")) for url in loaded)
    weight = sum(len(r.body()) for r in list(loaded.values()) if r.ok)
    assert weight <= (600_000 if page == "index" else 1_000_000)
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


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("attention", "modules/attention/"),
        ("multi-head", "modules/multi_head/"),
        ("causal mask", "modules/masks/"),
        ("pre-norm", "modules/blocks/"),
        ("why divide by sqrt", "modules/attention/"),
        ("layer norm", "modules/normalization/"),
        ("the path", "learn/"),
    ],
)
def test_the_search_finds_the_chapter_first(browser, served, query, expected):
    tab, _, loaded = open_page(
        browser, served, "papers", "networkidle", viewport={"width": 1280, "height": 900}
    )
    assert not any("search_index" in url for url in loaded)
    tab.locator("input.md-search__input").fill(query)
    first = tab.locator(".md-search-result__item a").first
    first.wait_for(timeout=30_000)
    assert urlsplit(first.get_attribute("href")).path.endswith(f"/{expected}"), query
    tab.context.close()


def test_the_search_knows_the_exercises(site):
    index = json.loads((site / "search/search_index.json").read_text("utf-8"))
    found = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert {"learn/", "coursework/exercises/", "coursework/multi_head/"} <= found


@pytest.mark.parametrize(("width", "page"), [(1280, "modules/multi_head"), (390, "modules/masks")])
def test_no_button_covers_code(browser, served, width, page):
    tab, *_ = open_page(browser, served, page, viewport={"width": width, "height": 900})
    covered = tab.evaluate(
        """() => [...document.querySelectorAll("pre:has(.md-code__nav)")].filter((pre) => {
          const nav = pre.querySelector(".md-code__nav").getBoundingClientRect();
          const code = pre.querySelector("code").getBoundingClientRect();
          return nav.height < 5 || nav.bottom > code.top + 1;
        }).length"""
    )
    assert tab.locator(".md-code__nav").count() > 5
    assert covered == 0
    tab.context.close()


@pytest.mark.parametrize("page", ["modules/attention", "modules/masks", "modules/writing/sampling"])
def test_every_control_of_a_widget_has_a_name_and_each_slider_a_value(browser, served, page):
    from browser import check_names

    tab, *_ = open_page(browser, served, page)
    controls = check_names(tab)
    sliders = [n["name"]["value"] for n in controls if n["role"]["value"] == "slider"]
    assert sliders == list(dict.fromkeys(sliders))  # each another name
    assert sliders
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
    assert widget.get_by_text("masked", exact=True).first.is_visible()
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
    buttons = widget.locator("table").first.get_by_role("button")

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

    # One tab stop, arrow keys inside, and what was changed stays.
    assert sum(b.get_attribute("tabindex") == "0" for b in buttons.all()) == 1
    for key, name in (
        ("ArrowDown", "am (1) may attend to I (0)"),
        ("End", "am (1) may attend to <pad> (5)"),
    ):
        tab.keyboard.press(key)
        assert tab.evaluate("document.activeElement.ariaLabel") == name
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Undo my changes"
    widget.get_by_role("slider").focus()
    tab.keyboard.press("ArrowRight")
    assert widget.get_by_role("slider").get_attribute("aria-valuetext") == "5 of 6"
    assert mask()[0][0] == 0
    widget.get_by_role("button", name="Undo my changes").click()
    assert mask() == causal
    assert not errors
    tab.context.close()
