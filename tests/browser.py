"""A browser for tests, and checks of what it shows."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from scripts.book.measure_pages import chromium_path, serve  # noqa: F401

CONTROLS = {"button", "slider", "radio", "checkbox", "textbox", "searchbox", "combobox", "link"}


# Pages with a content security policy refuse an added <style>, but not this.
AT_ONCE = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("*, *::before, *::after { transition: none !important }");
  document.adoptedStyleSheets.push(sheet);
}"""


def check_names(tab):
    """Check Chromium's accessibility tree: each control has a name, each slider a value."""
    session = tab.context.new_cdp_session(tab)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    controls = [n for n in nodes if not n["ignored"] and n["role"]["value"] in CONTROLS]
    assert controls
    nameless = [n for n in controls if not n.get("name", {}).get("value", "").strip()]
    assert not nameless, nameless
    for node in controls:
        if node["role"]["value"] == "slider":
            properties = {p["name"] for p in node["properties"]}
            assert "valuetext" in properties, node
    return controls


def set_scheme(tab, scheme):
    """Show a page light or dark. The site's theme asks for it only when a page is loaded.

    Colors change at once: in the middle of a transition, axe would measure a mixture.
    """
    tab.evaluate(AT_ONCE)
    tab.emulate_media(color_scheme=scheme)
    theme = {"light": "default", "dark": "slate"}[scheme]
    tab.evaluate(f"document.body.dataset.mdColorScheme &&= '{theme}'")


def check_accessible(tab):
    """Check the names of all controls, and axe's serious rules in both schemes."""
    check_names(tab)
    for scheme in ("light", "dark"):
        set_scheme(tab, scheme)
        found = Axe().run(tab).response["violations"]
        severe = [v["id"] for v in found if v["impact"] in ("serious", "critical")]
        assert not severe


@pytest.fixture(scope="session")
def browser():
    """Start Chromium once for all tests that look at pages."""
    path = chromium_path()
    if path is None:
        pytest.skip(
            "There is no Chromium: install it (Debian: apt-get install "
            "chromium) or set CHROMIUM to its path."
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()
