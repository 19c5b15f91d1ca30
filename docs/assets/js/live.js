// A GPT to try, in each <div data-live-gpt="folder of its weights">.
import { GPT, sample, softmax } from "./gpt.js";

const LAST = 24; // tokens on a map

for (const root of document.querySelectorAll("[data-live-gpt]")) {
  root.innerHTML = `<fieldset>
<label>Prompt <textarea name="prompt">The function </textarea></label>
<button name="go">Start the model (1.6 MB)</button> <button name="one">One token</button>
<label>Temperature <b></b><input name="heat" type="range" max="2" step="0.1" value="0.8"></label>
<output name="status"></output><output name="spoken"></output>
<p tabindex="0"><span></span><mark></mark></p><ol aria-label="Next character"></ol>
<div></div><figure><div></div><div></div><canvas></canvas><figcaption></figcaption></figure>
</fieldset>`;
  const { prompt, go, one, heat, status, spoken } = root.firstChild.elements;
  const [shown, given, made, next, heads, rows, columns, large, caption] =
    root.querySelectorAll("b, span, mark, ol, div, canvas, figcaption");
  let model, characters, ids, weights, running, chosen;

  async function load() {
    root.className = "on";
    status.value = "Loading …";
    try {
      const answer = await fetch(root.dataset.liveGpt + "/weights.safetensors");
      if (!answer.ok) throw Error(answer.status);
      model = new GPT(await answer.arrayBuffer());
    } catch (error) {
      root.className = "";
      status.value = `The model could not be loaded (${error.message}): try again.`;
      return;
    }
    const { num_heads, num_layers } = model.config;
    ({ characters } = model.config);
    for (let layer = 1; layer <= num_layers; layer++)
      for (let head = 1; head <= num_heads; head++)
        heads.innerHTML += `<button><canvas></canvas>layer ${layer} head ${head}</button>`;
    chosen = heads.firstChild;
    go.textContent = "Continue";
    begin();
  }

  function begin() {
    const text = [...prompt.value], id = (c) => characters.indexOf(c);
    const unknown = text.filter((c) => id(c) < 1);
    status.value = unknown.length ? `The model never saw ${unknown.join(" ")}: left out.` : "";
    ids = text.map(id).filter((i) => i > 0);
    if (!ids.length) ids = [1]; // it needs something to go on from
    given.textContent = ids.map((i) => characters[i]).join("");
    made.textContent = "";
    running = false;
    model.start_cache();
    read();
  }

  function read() {
    model.read(ids);
    showNext();
    [...heads.children].forEach((button, i) => draw(button.firstChild, i));
    choose(chosen);
    rows.innerHTML = columns.innerHTML = ids.slice(-model.weights.slice(-LAST).length).map(label).join("");
  }

  function label(id) {
    const c = { " ": "␣", "\n": "⏎" }[characters[id]] ?? characters[id];
    return `<b>&#${c.codePointAt()};</b>`;
  }

  function showNext() {
    shown.textContent = heat.value;
    if (!model) return;
    const { logits } = model;
    weights = softmax(logits, +heat.value);
    const order = [...weights.keys()].sort((a, b) => logits[b] - logits[a]);
    next.innerHTML = order.slice(0, 10).map((id) => {
      const percent = (100 * weights[id]).toFixed(1) + "%";
      return `<li>${label(id)}<i style="width:${percent}"></i>${percent}</li>`;
    }).join("");
  }

  // Head i: a row for each of the last queries, a column for each key.
  function draw(canvas, i) {
    const brush = canvas.getContext("2d");
    canvas.width = canvas.height = LAST; // wipes it, too
    brush.fillStyle = getComputedStyle(canvas).color;
    model.weights.slice(-LAST).forEach((layers, y) =>
      layers.flat()[i].slice(-y - 1).forEach((weight, x) => {
        brush.globalAlpha = weight;
        brush.fillRect(x, y, 1, 1);
      }));
  }

  function choose(button) {
    chosen?.removeAttribute("aria-pressed") ...
    chosen = button
    draw(large, [...heads.children].indexOf(chosen));
    caption.textContent = `${chosen.textContent}: …`;
  }

  function append() {
    const id = sample(weights);
    ids.push(id);
    made.append(characters[id]);
    read();
    return characters[id];
  }

  go.onclick = async () => {
    if (!model) return load();
    running = !running;
    let text = "";
    while (running) {
      go.textContent = "Stop";
      text += append();
      await new Promise(requestAnimationFrame);
    }
    go.textContent = "Continue";
    spoken.value = text;
  };
  one.onclick = () => (spoken.value = append());
  heat.oninput = showNext;
  prompt.oninput = () => model && begin();
  heads.onclick = heads.onfocusin = (event) => choose(event.target.closest("button"))
}
