// A GPT to try, in each <div data-live-gpt="folder of its weights">.
import { GPT, sample, softmax } from "./gpt.js";

const LAST = 24; // tokens on a map
const visible = (c) => ({ " ": "␣", "\n": "⏎" })[c] ?? c;
const escape = (c) => `&#${visible(c).codePointAt()};`;
const START = `<button name="go">Start the model (1.6 MB)</button><output name="status"></output>`;
const UI = `<label>Prompt <textarea name="prompt">The function </textarea></label>
<button name="go">Continue</button> <button name="one">One token</button>
<label>Temperature <input name="heat" type="range" max="2" step="0.1" value="0.8"><b></b></label>
<output name="status">Loading …</output><output name="spoken"></output>
<p tabindex="0"><span></span><mark></mark></p>
<section><h4>Next character</h4><ol></ol></section>
<section><h4>Attention</h4><div></div></section>
<figure><div></div><div></div><canvas></canvas><figcaption></figcaption></figure>`;

document.querySelectorAll("[data-live-gpt]").forEach((root) => offer(root, ""));

function build(root, html) {
  root.innerHTML = `<fieldset>${html}</fieldset>`;
  return root.firstChild.elements;
}

function offer(root, problem) {
  const { go, status } = build(root, START);
  status.value = problem;
  if (problem) go.focus();
  go.onclick = () => start(root).catch((error) =>
    offer(root, `The model could not be loaded (${error.message}): try again.`));
}

async function start(root) {
  const { prompt, go, one, heat, status, spoken } = build(root, UI);
  const [shown, given, made, next, heads, queries, keys, large, caption] =
    root.querySelectorAll("b, span, mark, ol, div, canvas, figcaption");
  go.focus();
  const answer = await fetch(root.dataset.liveGpt + "/weights.safetensors");
  if (!answer.ok) throw Error(answer.status);
  const model = new GPT(await answer.arrayBuffer());
  const { characters, num_heads, num_layers } = model.config;
  let ids, logits, running, chosen = 0;

  function begin() {
    const text = [...prompt.value], id = (c) => characters.indexOf(c);
    const unknown = text.filter((c) => id(c) < 1);
    status.value = unknown.length ? `The model never saw ${unknown.join(" ")}: left out.` : "";
    ids = text.map(id).filter((i) => i > 0);
    if (!ids.length) ids = [1]; // it must begin somewhere
    given.textContent = ids.map((i) => characters[i]).join("");
    made.textContent = "";
    running = false;
    model.start_cache();
    read();
  }

  function read() {
    logits = model.read(ids);
    showNext();
    [...heads.children].forEach((button, i) => draw(button.firstChild, i));
    enlarge();
  }

  function showNext() {
    const weights = softmax(logits, +heat.value);
    shown.textContent = heat.value;
    const order = [...logits.keys()].sort((a, b) => logits[b] - logits[a]).slice(0, 10);
    next.innerHTML = order.map((id) => {
      const percent = (100 * weights[id]).toFixed(1) + "%";
      return `<li><b>${escape(characters[id])}</b><i style="width:${percent}"></i>${percent}</li>`;
    }).join("");
  }

  // A row for each of the last queries, a column for each key.
  function draw(canvas, i) {
    const rows = model.weights.slice(-LAST), brush = canvas.getContext("2d");
    canvas.width = canvas.height = LAST; // wipes it, too
    brush.fillStyle = getComputedStyle(canvas).color;
    rows.forEach((row, y) => row.flat()[i].slice(-y - 1).forEach((weight, x) => {
      brush.globalAlpha = weight;
      brush.fillRect(x, y, 1, 1);
    }));
  }

  function enlarge() {
    draw(large, chosen);
    const last = ids.slice(-LAST)...
    queries.innerHTML = keys.innerHTML = ids.slice(-LAST).map(…)
    caption.textContent = `${heads.children[chosen].textContent}: `
  }

  function append() {
    const id = sample(softmax(logits, +heat.value));
    ids.push(id);
    made.append(characters[id]);
    read();
  }

  go.onclick = async () => {
    running = !running;
    const before = made.textContent.length;
    go.textContent = "Stop"
    while (running) { append(); await new Promise(requestAnimationFrame); }
    go.textContent = "Continue";
    spoken.value = made.textContent.slice(before);
  };
  one.onclick = () => { append(); spoken.value = …}
  heat.oninput = showNext;
  prompt.oninput = begin;
  heads.onclick = heads.onfocusin
  begin();
}
