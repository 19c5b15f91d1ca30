"""The translator of dates in the page computes what Python computes."""

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import ROOT

from scripts.book import export_dates

pytestmark = pytest.mark.slow
pytest_plugins = ["browser"]

ASSETS = ROOT / "docs" / "assets"
TRANSLATE = """
async (texts) => {
  const { Transformer } = await import("/js/transformer.js");
  const model = new Transformer(await (await fetch("/dates/weights.safetensors")).arrayBuffer());
  return texts.map((text) => {
    const source = model.tokenizer.encode_sentence(text), steps = model.translate(source);
    return {
      source, ids: steps.map(({ id }) => id),
      text: model.tokenizer.decode(steps.map(({ id }) => id)),
      logits: steps.map(({ logits }) => [...logits]),
      weights: steps.map(({ weights }) => weights.map((heads) => heads.map((row) => [...row]))),
    };
  });
}
"""
SPLIT = """
async (texts) => {
  const { Transformer } = await import("/js/transformer.js");
  const model = new Transformer(await (await fetch("/dates/weights.safetensors")).arrayBuffer());
  return texts.map((text) => model.tokenizer.encode_sentence(text));
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


@pytest.fixture(scope="module")
def shipped():
    from minitransformer import SentencePieceTokenizer, Transformer, shipped_folder

    folder = shipped_folder("transformer")
    return Transformer.load(folder), SentencePieceTokenizer.load(folder / "source.model")


def sources(count):
    from minitransformer import date_pairs

    return [source for source, _ in date_pairs(train=count, valid=0, test=0, seed=7)[0]]


def test_translations_logits_and_cross_attention_are_pythons(tab, shipped):
    from minitransformer import greedy_search
    from minitransformer.data.buckets import encode_sentence, fill

    model, tokenizer = shipped
    texts = [*sources(18), "3 Ma", "Hello, 3. § \N{GRINNING FACE}"]
    rows = [encode_sentence(tokenizer, text) for text in texts]
    written = greedy_search(model, fill(rows, len(rows), tokenizer.pad_id), max_len=40)
    results = tab.evaluate(TRANSLATE, texts)
    for source, row, result in zip(rows, written.tolist(), results, strict=True):
        assert result["source"] == source
        ids = [i for i in row if i != tokenizer.pad_id]
        assert result["ids"] == ids
        assert result["text"] == tokenizer.decode(ids).strip()
        read = [[tokenizer.bos_id, *ids[:-1]]]
        assert np.allclose(result["logits"], model([source], read)[0], atol=1e-3)
        to_source = np.stack(model.attention_maps([source], read)[-1])[:, 0]
        weights = np.moveaxis(np.array(result["weights"]), 0, 2)  # (layer, head, target, source)
        assert np.allclose(weights, to_source, atol=1e-3)


def test_texts_are_cut_into_the_pieces_of_sentencepiece(tab, shipped):
    from minitransformer.data.buckets import encode_sentence

    odd = ["", "  3  May ", "5\N{LOWER ONE EIGHTH BLOCK}5", "<s> <0x41>", "Ünde 日 1st", "zzz-"]
    texts = [*sources(500), *odd]
    expected = [encode_sentence(shipped[1], text) for text in texts]
    assert tab.evaluate(SPLIT, texts) == expected
