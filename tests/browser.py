"""A browser for tests, and a server for what it looks at."""

import contextlib
import functools
import http.server
import os
import shutil
import threading

import pytest


def chromium_path():
    """Find a Chromium: the variable CHROMIUM, or one on the PATH."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = [os.environ.get("CHROMIUM"), *map(shutil.which, names)]
    return next(filter(None, found), None)


@contextlib.contextmanager
def serve(folder):
    """Serve a folder on this machine; yield its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


CONTROLS = {"button", "slider", "radio", "checkbox", "textbox", "searchbox", "combobox", "link"}


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
