"""The model in the page computes what Python computes."""

import hashlib
import importlib.util
import json

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import ROOT, make_tiny_gpt

pytest_plugins = ["browser"]

TOY = ROOT / "docs" / "assets" / "toy-gpt"
SCRIPTS = ROOT / "docs" / "assets" / "js"
READ = """
async ([url, rows]) => {
  const { GPT } = await import("/js/gpt.js");
  const file = await fetch(url);
  const model = new GPT(await file.arrayBuffer());
  return rows.map((ids) => {
    model.start_cache();
    const logits = ids.map((_, t) => {
      model.read(ids.slice(0, t + 1));
      return Array.from(model.logits);
    });
    return { logits, weights: model.weights, begin: model.begin };
  });
}
"""


@pytest.fixture(scope="module")
def export():
    spec = importlib.util.spec_from_file_location(
        "export_gpt", ROOT / "scripts" / "book" / "export_gpt.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_halves(path):
    """Make the Python model of a page's weights."""
    from safetensors import safe_open

    from minitransformer import GPT, GPTConfig
    from minitransformer.runs.saving import (
        assign_weights,
    )

    with safe_open(path, "numpy") as file:
        about = json.loads(file.metadata()["gpt"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    characters = about.pop("characters")
    model = GPT(GPTConfig(**about))
    assign_weights(model, arrays)
    return model, characters


def compare(browser, folder, weights, rows):
    """Read rows of ids in the browser and in Python; compare all numbers."""
    from browser import serve

    model, _ = load_halves(folder / weights)
    (folder / "index.html").write_text("<title>a page</title>")
    if not (folder / "js").exists():
        (folder / "js").symlink_to(SCRIPTS)
    with serve(folder) as url:
        context = browser.new_context()
        tab = context.new_page()
        tab.goto(url)
        results = tab.evaluate(READ, [f"{url}/{weights}", rows])
        context.close()
    window = model.config.max_len
    for ids, result in zip(rows, results, strict=True):
        begin = 0
        for t, logits in enumerate(result["logits"]):
            if t + 1 - begin > window:
                begin = t + 1 - window // 2
            seen = np.array([ids[begin : t + 1]])
            expected = model(seen)[0, -1]
            assert np.allclose(logits, expected, atol=1e-3), t
        assert result["begin"] == begin
        maps = model.attention_maps(seen)
        for query, layers in enumerate(result["weights"]):
            for layer, heads in enumerate(layers):
                for head, row in enumerate(heads):
                    assert sum(row) == pytest.approx(1, abs=1e-5)
                    expected = maps[layer][0, head, query, : query + 1]
                    assert np.allclose(row, expected, atol=1e-3)


@pytest.mark.slow
def test_the_toy_gpts_logits_and_attention_are_pythons(browser, tmp_path):
    (tmp_path / "toy.safetensors").write_bytes((TOY / "weights.safetensors").read_bytes())
    _, characters = load_halves(TOY / "weights.safetensors")
    texts = ["The result", "x", "Return the number of items in the list. " * 2]
    assert len(texts[-1]) > 64
    rows = [[characters.index(c) for c in text] for text in texts]
    compare(browser, tmp_path, "toy.safetensors", rows)


@pytest.mark.slow
def test_a_model_with_biases_agrees_too(browser, tmp_path, export, rng):
    from minitransformer import CharTokenizer

    model = make_tiny_gpt(use_bias=True)
    for weight in model.trainable_variables:
        weight.assign(weight + rng.normal(0, 0.3, weight.shape))
    tokenizer = CharTokenizer("abc")
    (tmp_path / "tiny.safetensors").write_bytes(export.halve(model, tokenizer))
    size, window = model.config.vocab_size, model.config.max_len
    rows = [rng.integers(0, size, length).tolist() for length in (3, 2 * window + 1)]
    compare(browser, tmp_path, "tiny.safetensors", rows)


def test_the_forward_pass_and_its_page_fit_into_8_kb():
    sizes = [(SCRIPTS / name).stat().st_size for name in ("gpt.js", "live.js")]
    assert sum(sizes) <= 8 * 1024


def test_the_weights_are_those_whose_making_is_told():
    provenance = json.loads((TOY / "provenance.json").read_text("utf-8"))
    weights = (TOY / "weights.safetensors").read_bytes()
    assert len(weights) <= 2_000_000
    assert hashlib.sha256(weights).hexdigest() == provenance["weights_sha256"]
    model, characters = load_halves(TOY / "weights.safetensors")
    assert model.count_params() == provenance["parameters"]
    ids = [[characters.index(c) for c in provenance["prompt"]]]
    logits = model(np.array(ids))[0, -1]
    assert np.allclose(logits, provenance["logits"], atol=1e-3)
    sample = (TOY / "sample.txt").read_text("utf-8")
    assert sample.startswith(provenance["prompt"])


def test_the_pages_numbers_are_those_of_the_run():
    provenance = json.loads((TOY / "provenance.json").read_text("utf-8"))
    page = (ROOT / "docs" / "index.md").read_text("utf-8")
    assert f"{provenance['steps']:,} steps" in page
    assert f"{provenance['valid_loss']:.2f} nats per character" in " ".join(page.split())


@pytest.mark.parametrize("kind", ["nothing", "sentencepiece"])
def test_what_cannot_be_exported_is_named(tmp_path, export, capsys, kind):
    from minitransformer import SentencePieceTokenizer

    if kind == "sentencepiece":
        tokenizer = SentencePieceTokenizer.train("some words, " * 40, vocab_size=320)
        tokenizer.save(tmp_path / tokenizer.file_name)
    assert export.main(["--run", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_page_starts_writes_and_can_be_used_by_all(browser, tmp_path):
    from browser import serve

    (tmp_path / "toy-gpt").symlink_to(TOY)
    (tmp_path / "js").symlink_to(SCRIPTS)
    (tmp_path / "css").symlink_to(ROOT / "docs" / "assets" / "css")
    (tmp_path / "index.html").write_text(
        '<!doctype html><html lang="en"><title>live</title>'
        '<link rel="stylesheet" href="css/widgets.css"><main><h1>Live</h1>'
        '<div data-live-gpt="toy-gpt"></div></main>'
        '<script type="module" src="js/live.js"></script></html>'
    )
    with serve(tmp_path) as url:
        context = browser.new_context(viewport={"width": 360, "height": 800})
        tab = context.new_page()
        errors, loaded = [], []
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("request", lambda request: loaded.append(request.url))
        tab.goto(url, wait_until="networkidle")
        assert not [u for u in loaded if "safetensors" in u]  # only when asked
        tab.get_by_role("button", name="Start the model").click()
        tab.get_by_role("listitem").first.wait_for(timeout=20_000)
        shares = tab.get_by_role("listitem").all_inner_texts()
        assert len(shares) == 10
        total = sum(float(text.split()[-1].rstrip("%")) for text in shares)
        assert 0 < total <= 100.5

        text = tab.locator("textarea")
        text.fill("Return ")
        before = tab.locator("[data-live-gpt]").evaluate(
            "root => root.querySelector('textarea').value.length"
        )
        tab.get_by_role("button", name="One token").click()
        assert len(text.input_value()) == before + 1
        tab.get_by_role("slider").fill("0")
        first = tab.get_by_role("listitem").first.inner_text()
        assert first.split()[-1] == "100.0%"
        assert tab.get_by_role("radio").count() == 16
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
        for scheme in ("light", "dark"):
            tab.emulate_media(color_scheme=scheme)
            found = Axe().run(tab).response["violations"]
            severe = [v["id"] for v in found if v["impact"] in ("serious", "critical")]
            assert not severe
        assert not errors
        context.close()
