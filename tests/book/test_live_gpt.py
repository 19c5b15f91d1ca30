"""The model in the page computes what Python computes."""

import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT, load_script, make_tiny_gpt

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
    const count = (n) => [...Array(n).keys()], length = ids.length - model.begin;
    const weights = count(length).map((query) => count(model.num_layers).map((layer) =>
      count(model.num_heads).map((head) => [...model.row(layer, head, query)].slice(0, length))));
    return { logits, weights, begin: model.begin };
  });
}
"""
# Logits after the text was changed at its end, in its middle, and at its beginning.
EDIT = """
async ([url, texts]) => {
  const { GPT } = await import("/js/gpt.js");
  const bytes = await (await fetch(url)).arrayBuffer();
  const model = new GPT(bytes), results = [];
  for (const ids of texts) {
    const fresh = new GPT(bytes);
    let passes = 0;
    model.attend = (...place) => { passes++; GPT.prototype.attend.apply(model, place); };
    model.read(ids);
    fresh.read(ids);
    results.push([passes / model.num_layers, [...model.logits], [...fresh.logits]]);
  }
  return results;
}
"""
MISTAKES = """
async ([url, ids]) => {
  const { GPT } = await import("/js/gpt.js");
  const model = new GPT(await (await fetch(url)).arrayBuffer());
  return ["", "positions", "mask"].map((mistake) => {
    model.mistake = mistake;
    model.start_cache();
    model.read(ids);
    const rows = ids.map((_, i) => [...model.row(1, 0, i)].slice(0, ids.length));
    return { logits: [...model.logits], rows };
  });
}
"""


@pytest.fixture(scope="module")
def export():
    return load_script("book/export_gpt")


@pytest.fixture
def tab(browser, tmp_path):
    """Open an empty page beside the scripts and the toy GPT."""
    from browser import serve

    (tmp_path / "js").symlink_to(SCRIPTS)
    (tmp_path / "toy-gpt").symlink_to(TOY)
    (tmp_path / "index.html").write_text("<title>a page</title>")
    with serve(tmp_path) as url:
        context = browser.new_context()
        page = context.new_page()
        page.goto(url)
        yield page
        context.close()


def load_halves(path):
    """Make the Python model of a page's weights."""
    from safetensors import safe_open

    from minitransformer import GPT, GPTConfig
    from minitransformer.runs.saving import assign_weights

    with safe_open(path, "numpy") as file:
        about = json.loads(file.metadata()["gpt"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    characters = about.pop("characters")
    model = GPT(GPTConfig(**about))
    assign_weights(model, arrays)
    return model, characters


def compare(tab, folder, weights, rows):
    """Read rows of ids in the browser and in Python; compare all numbers."""
    model, _ = load_halves(folder / weights)
    results = tab.evaluate(READ, [f"/{weights}", rows])
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
                    assert np.allclose(row, maps[layer][0, head, query], atol=1e-3)


@pytest.mark.slow
def test_the_toy_gpts_logits_and_attention_are_pythons(tab, tmp_path):
    _, characters = load_halves(TOY / "weights.safetensors")
    texts = ["The result", "x", "Return the number of items in the list. " * 2]
    assert len(texts[-1]) > 64
    rows = [[characters.index(c) for c in text] for text in texts]
    compare(tab, tmp_path, "toy-gpt/weights.safetensors", rows)


@pytest.mark.slow
def test_a_model_with_biases_agrees_too(tab, tmp_path, export, rng):
    from minitransformer import CharTokenizer

    model = make_tiny_gpt(use_bias=True, rotary=True, activation="squared_relu")
    for weight in model.trainable_variables:
        weight.assign(weight + rng.normal(0, 0.3, weight.shape))
    tokenizer = CharTokenizer("abc")
    (tmp_path / "tiny.safetensors").write_bytes(export.halve(model, tokenizer))
    size, window = model.config.vocab_size, model.config.max_len
    rows = [rng.integers(0, size, length).tolist() for length in (3, 2 * window + 1)]
    compare(tab, tmp_path, "tiny.safetensors", rows)


@pytest.mark.slow
def test_the_cache_is_kept_when_the_new_text_begins_with_the_old(tab):
    text = list(range(10, 30))
    longer, middle = [*text, 40, 41], [*text[:9], 50, *text[10:]]
    window = [*text * 4, 60]  # 81 ids: the last 32 are read
    texts = [text, longer, text[:12], middle, window, [*window, 61], [5, *window]]
    results = tab.evaluate(EDIT, ["/toy-gpt/weights.safetensors", texts])
    assert [passes for passes, *_ in results] == [20, 2, 1, 11, 32, 1, 32]
    for _, kept, fresh in results[:5]:  # later, the windows begin elsewhere
        assert np.allclose(kept, fresh, atol=1e-4)


@pytest.mark.slow
def test_the_switches_make_the_mistakes_that_they_name(tab):
    from minitransformer import GPT
    from minitransformer.runs.saving import assign_weights, named_weights

    ids = [12, 40, 33, 21, 52]
    right, none, flipped = tab.evaluate(MISTAKES, ["/toy-gpt/weights.safetensors", ids])
    rows = [np.array(result["rows"]) for result in (right, none, flipped)]
    assert np.allclose(np.triu(rows[0], 1), 0)
    assert np.allclose(np.tril(rows[2], -1), 0)  # keys from the query on
    assert np.allclose(rows[2].sum(-1), 1, atol=1e-5)
    model, _ = load_halves(TOY / "weights.safetensors")
    unordered = GPT(replace(model.config, rotary=False))  # with a table of positions
    table = {"positions/table": np.zeros((model.config.max_len, model.config.d_model))}
    assign_weights(unordered, named_weights(model) | table)
    assert np.allclose(none["logits"], unordered(np.array([ids]))[0, -1], atol=1e-3)
    assert not np.allclose(none["logits"], right["logits"], atol=0.1)


def test_the_forward_pass_and_its_page_fit_into_20_kb():
    sizes = [
        (SCRIPTS / name).stat().st_size for name in ("gpt.js", "heads.js", "layers.js", "live.js")
    ]
    assert sum(sizes) <= 20 * 1024


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
    from minitransformer.runs.logs import read_log

    provenance = json.loads((TOY / "provenance.json").read_text("utf-8"))
    page = (ROOT / "docs" / "index.md").read_text("utf-8")
    assert f"{provenance['steps']:,} steps" in page
    words = re.sub(r"\[(\w+)\]\([^)]*\)", r"\1", " ".join(page.split()))  # no links
    assert f"{provenance['valid_loss']:.2f} nats per character" in words
    took = f" {read_log(ROOT / 'docs' / 'evidence' / 'toy-gpt')[-1].seconds / 60:.0f} minutes"
    live = (ROOT / "docs" / "guides" / "live.md").read_text("utf-8")
    assert took in words
    assert took in " ".join(live.split())


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
    from browser import check_accessible, serve

    (tmp_path / "toy-gpt").symlink_to(TOY)
    (tmp_path / "js").symlink_to(SCRIPTS)
    (tmp_path / "css").symlink_to(ROOT / "docs" / "assets" / "css")
    (tmp_path / "index.html").write_text(
        '<!doctype html><html lang="en"><title>live</title>'
        '<link rel="stylesheet" href="css/widgets.css"><main class="md-typeset"><h1>Live</h1>'
        '<div class="live" data-live-gpt="toy-gpt"></div></main>'
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
        bars = tab.locator("ol button")
        bars.first.wait_for(timeout=20_000)
        numbers = tab.locator("ol button span").all_inner_texts()
        shares = [float(text.rstrip("%")) for text in numbers]
        assert len(shares) == 10
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 100.5

        text = tab.locator("textarea")
        text.fill("Return ")
        tab.get_by_role("button", name="One character").click()
        assert len(text.input_value()) == len("Return ") + 1
        bars.first.click()  # a bar appends its character
        assert len(text.input_value()) == len("Return ") + 2
        for expected in (len("Return ") + 1, len("Return "), len("The function ")):
            tab.get_by_role("button", name="Undo").click()
            assert len(text.input_value()) == expected
        tab.get_by_role("button", name="If the").click()
        assert text.input_value() == "If the "

        # The letters themselves show the chosen head's weights.
        row = "letters => letters.map((l) => +l.style.getPropertyValue('--weight'))"
        letters = tab.locator(".ink span")
        assert sum(letters.evaluate_all(row)) == pytest.approx(1, abs=1e-3)
        text.focus()
        tab.keyboard.press("Home")
        tab.keyboard.press("ArrowRight")
        tab.keyboard.press("ArrowRight")  # the caret stands behind “f”
        tab.wait_for_function("document.querySelectorAll('.ink .asks')[0].textContent === 'f'")
        weights = letters.evaluate_all(row)
        assert sum(weights[:2]) == pytest.approx(1, abs=1e-3)
        assert "“f” reads from" in tab.locator("#live-reads").inner_text()
        letters.nth(4).scroll_into_view_if_needed()
        box = letters.nth(4).bounding_box()
        tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert tab.locator(".ink .asks").inner_text() == "h"  # of “If the ”

        tab.get_by_role("slider").fill("0")
        assert tab.locator("ol button span").first.inner_text() == "100.0%"
        assert tab.get_by_role("radio").count() == 16
        tab.get_by_label("Mistake").select_option("mask")
        tab.get_by_role("button", name="One character").click()
        tab.get_by_label("Mistake").select_option("")
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
        check_accessible(tab)
        assert not errors
        context.close()
