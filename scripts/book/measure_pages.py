"""Measure the built site in Chromium: what pages load, and how fast the toy GPT is.

    python -m scripts.book.measure_pages --site site --json docs/evidence/pages.json

Nothing is slowed down on purpose: the server runs on this machine. Where other
programs compute as well, look at the tokens per second of processor time.
"""

import argparse
import contextlib
import functools
import http.server
import json
import os
import shutil
import statistics
import threading
from pathlib import Path

PAGES = ["", "learn/", "modules/attention/", "modules/multi_head/", "guides/live/", "api/"]
PAINT = """() => {
  const entries = [...performance.getEntriesByType("resource"),
    ...performance.getEntriesByType("navigation")];
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  return { requests: entries.length,
    bytes: entries.reduce((sum, entry) => sum + entry.encodedBodySize, 0),
    first_paint_ms: Math.round(paint.startTime) };
}"""
# Pieces of 60 tokens, so that a pause of the machine spoils one of them only.
FORWARD = """async ([url, weights]) => {
  const { GPT } = await import(url);
  const model = new GPT(await (await fetch(weights)).arrayBuffer()), speeds = [];
  for (let piece = 0; piece < 12; piece++) {
    const ids = [20, 30, 40];
    model.start_cache();
    model.read(ids);
    const started = performance.now();
    while (ids.length < 63) {
      ids.push(model.logits.indexOf(Math.max(...model.logits)));
      model.read(ids);
    }
    speeds.push(60000 / (performance.now() - started));
  }
  return speeds;
}"""


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


def load(browser, url):
    """Open a page in an empty browser; count what it loads."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.goto(url, wait_until="networkidle")
    result = tab.evaluate(PAINT)
    context.close()
    return result


def live(browser, url):
    """Let the toy GPT write, alone and in its page."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.goto(f"{url}/guides/live/", wait_until="networkidle")
    session = context.new_cdp_session(tab)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def cpu():
        """How long the page's own thread has computed, in seconds."""
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(m["value"] for m in metrics if m["name"] == "TaskDuration")

    files = [f"{url}/assets/js/gpt.js", f"{url}/assets/toy-gpt/weights.safetensors"]
    before = cpu()
    speeds = tab.evaluate(FORWARD, files)
    forward_cpu = 60 * len(speeds) / (cpu() - before)
    started = tab.evaluate("performance.now()")
    tab.get_by_role("button", name="Start the model").click()
    tab.locator("ol button").first.wait_for(timeout=60_000)
    ready = tab.evaluate("performance.now()") - started
    tab.get_by_label("Speed").select_option("0")
    shown, before = [], cpu()
    for _ in range(2):
        tab.get_by_role("button", name="Continue").click()
        tab.wait_for_function("document.querySelector('[name=go]').textContent === 'Stop'")
        tab.wait_for_function(
            "document.querySelector('[name=go]').textContent === 'Continue'", timeout=120_000
        )
        status = tab.locator("[name=status]").inner_text()
        shown.append(int(status.split()[-3]))
    page_cpu = 1000 * len(shown) / (cpu() - before)
    context.close()
    return {
        "ready_ms": round(ready),
        "forward_tokens_per_second": round(statistics.median(speeds)),
        "forward_tokens_per_second_best": round(max(speeds)),
        "forward_tokens_per_cpu_second": round(forward_cpu),
        "page_tokens_per_second": round(statistics.median(shown)),
        "page_tokens_per_second_best": max(shown),
        "page_tokens_per_cpu_second": round(page_cpu),
    }


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--site", type=Path, default=Path("site"), metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    flags = parser.parse_args(argv)
    from playwright.sync_api import sync_playwright

    with serve(flags.site) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        result = {
            "command": "python -m scripts.book.measure_pages --json docs/evidence/pages.json",
            "browser": f"Chromium {browser.version}, headless",
            "cores": os.cpu_count(),
            "load_before": round(os.getloadavg()[0], 1),
            "live": live(browser, url),
            "pages": {page or "index": load(browser, f"{url}/{page}") for page in PAGES},
        }
        browser.close()
    text = json.dumps(result, indent=1) + "\n"
    if flags.json:
        flags.json.write_text(text, "utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
