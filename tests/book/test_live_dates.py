"""The translator of dates in the page computes what Python computes."""

import numpy as np
import pytest
from conftest import ROOT

from scripts.book import export_dates

pytestmark = pytest.mark.slow
pytest_plugins = ["browser"]

ASSETS = ROOT / "docs" / "assets"
COMPUTE = """
async ([texts, others]) => {
  const { Transformer } = await import("/js/transformer.js");
  const model = new Transformer(await (await fetch("/dates/weights.safetensors")).arrayBuffer());
  const encode = (text) => model.tokenizer.encode_sentence(text);
  return [others.map(encode), texts.map((text) => {
    const source = encode(text), steps = model.translate(source), ids = steps.map(({ id }) => id);
    const logits = steps.map(({ logits }) => [...logits]);
    const weights = steps.map(({ weights }) => weights.map((heads) => heads.map((row) => [...row])));
    return { source, ids, logits, weights, text: model.tokenizer.decode(ids) };
  })];
}
"""
PAGE = """<!doctype html><html lang="en"><title>dates</title>
<link rel="stylesheet" href="css/widgets.css"><main class="md-typeset"><h1>Dates</h1>
<div class="live" data-live-dates="dates">a figure</div></main>
<script type="module" src="js/dates.js"></script></html>"""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Serve the scripts, the exported weights and a page."""
    from browser import serve

    folder = tmp_path_factory.mktemp("dates")
    for name in ("js", "css"):
        (folder / name).symlink_to(ASSETS / name)
    export_dates.write(folder / "dates" / "weights.safetensors")
    (folder / "index.html").write_text(PAGE, "utf-8")
    with serve(folder) as url:
        yield url


@pytest.fixture
def tab(browser, url):
    context = browser.new_context(viewport={"width": 360, "height": 800})
    tab = context.new_page()
    errors = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(url, wait_until="networkidle")
    yield tab
    context.close()
    assert not errors


def test_pieces_translations_logits_and_cross_attention_are_pythons(tab):
    from minitransformer import (
        SentencePieceTokenizer,
        Transformer,
        date_pairs,
        greedy_search,
        shipped_folder,
    )
    from minitransformer.data.buckets import encode_sentence, fill

    folder = shipped_folder("transformer")
    model = Transformer.load(folder)
    tokenizer = SentencePieceTokenizer.load(folder / "source.model")
    dates = [source for source, _ in date_pairs(train=500, valid=0, test=0, seed=7)[0]]
    odd = ["", "  3  May ", "5\N{LOWER ONE EIGHTH BLOCK}5", "<s> <0x41>", "Ünde 日 1st", "zzz-"]
    texts = [*dates[:18], "3 Ma", "Hello, 3. § \N{GRINNING FACE}"]
    pieces, results = tab.evaluate(COMPUTE, [texts, dates + odd])
    assert pieces == [encode_sentence(tokenizer, text) for text in dates + odd]

    rows = [encode_sentence(tokenizer, text) for text in texts]
    source = fill(rows, len(rows), tokenizer.pad_id)
    written = greedy_search(model, source, max_len=40, use_xla=False)
    read = np.pad(written[:, :-1], ((0, 0), (1, 0)), constant_values=tokenizer.bos_id)
    logits = model(source, read)
    to_source = np.stack(model.attention_maps(source, read)[-1])  # (layer, batch, head, …)
    for i, result in enumerate(results):
        ids = [token for token in written[i].tolist() if token != tokenizer.pad_id]
        assert (result["source"], result["ids"]) == (rows[i], ids)
        assert result["text"] == tokenizer.decode(ids).strip()
        assert np.allclose(result["logits"], logits[i, : len(ids)], atol=1e-3)
        weights = np.moveaxis(np.array(result["weights"]), 0, 2)  # (layer, head, target, source)
        expected = to_source[:, i, :, : len(ids), : len(rows[i])]
        assert np.allclose(weights, expected, atol=1e-3)


def test_the_page_translates_and_shows_what_it_reads(tab):
    from browser import check_accessible

    loaded = []
    tab.on("request", lambda request: loaded.append(request.url))
    tab.get_by_role("button", name="Start the model").click()
    date, written = tab.get_by_label("A date in"), tab.locator("[name=translation]")
    reads, status = tab.locator("#live-reads"), tab.locator("[name=status]")
    date.wait_for(timeout=20_000)
    assert [url.split("/", 3)[3] for url in loaded] == ["dates/weights.safetensors"]
    assert written.inner_text() == "2021-05-03"
    date.fill("4.7.2030")
    assert written.inner_text() == "2030-07-04"

    # Rows by keys and by pointer: the source shows the weights of the row.
    assert "“07” reads from “7” " in reads.inner_text()
    tab.get_by_role("radio", name="07").focus()
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowDown")
    assert "“04” reads from “␣4” " in reads.inner_text()
    shares = "spans => spans.map((span) => +span.style.getPropertyValue('--weight'))"
    weights = tab.locator(".pieces span").evaluate_all(shares)
    assert sum(weights) == pytest.approx(1, abs=1e-3)
    assert weights[0] == max(weights)
    tab.locator("tr", has_text="30").last.hover()
    assert reads.inner_text().startswith("“30” reads from “30” ")
    date.hover()
    assert reads.inner_text().startswith("“04” ")

    # Heads: the month's row of layer 1, head 3 reads from the day.
    tab.get_by_role("radio", name="layer 2, head 3").focus()
    for _ in range(4):
        tab.keyboard.press("ArrowLeft")
    assert tab.locator("caption").inner_text().startswith("Layer 1, head 3")
    tab.get_by_role("radio", name="07").check()
    assert reads.inner_text().startswith("“07” reads from “␣4” ")

    date.fill("@ 3 May 2021")
    assert written.inner_text() == "2021-05-03"
    assert "no piece for “@”" in status.inner_text()
    assert tab.get_by_role("columnheader", name="0x40").count() == 1
    for text, message in (("x" * 50, "has 52 pieces"), ("  ", "Type a date")):
        date.fill(text)
        assert message in status.inner_text()
        assert written.inner_text() == ""
        assert not tab.get_by_role("table").is_visible()
    tab.get_by_role("button", name="Sunday").click()
    assert written.inner_text() == "2026-11-22"

    date.fill("1" * 30)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    check_accessible(tab)
