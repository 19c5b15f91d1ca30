// A GPT to try, in each <div data-live-gpt="folder of its weights">.
import { load, sample, softmax } from "./gpt.js";

const LAST = 24; // tokens on a map
const visible = (c) => `&#${(({ " ": "␣", "\n": "⏎" })[c] ?? c).codePointAt()};`;
const UI = `<label>Prompt <textarea rows="2">The function </textarea></label>
<p><button>Continue</button> <button>One token</button>
<label>Temperature <b>0.8</b> <input type="range" max="2" step="0.1" value="0.8"></label></p>
<p role="status">Loading …</p>
<section tabindex="0" aria-label="Text"><span></span><mark></mark></section><p aria-live="polite"></p>
<ol aria-label="Likeliest next characters"></ol>
<div></div><figure><div></div><div></div><canvas></canvas><figcaption></figcaption></figure>`;

document.querySelectorAll("[data-live-gpt]").forEach((root) => offer(root, ""));

function offer(root, problem) {
  root.innerHTML = `<button>Start the model (1.6 MB)</button><p role="status"></p>`;
  const [button, status] = root.children;
  status.textContent = problem;
  button.onclick = () => start(root).catch((error) => {
    offer(root, `The model could not be loaded (${error.message}): try again.`);
  });
  if (problem) button.focus();
}

async function start(root) {
  root.innerHTML = UI;
  const get = (selector) => root.querySelector(selector);
  const [go, one] = root.querySelectorAll("button");
  const [prompt, temperature, status, spoken] = ["textarea", "input", "[role]", "[aria-live]"].map(get);
  const [given, made, next, heads, large] = ["span", "mark", "ol", ".heads", "figure canvas"].map(get);
  go.focus();
  const answer = await fetch(root.dataset.liveGpt + "/weights.safetensors");
  if (!answer.ok) throw Error(answer.status);
  const model = load(await answer.arrayBuffer());
  const { characters, num_heads, num_layers } = model.config;
  let ids, logits, running, chosen = 0;
  heads.innerHTML = Array.from({ length: num_layers * num_heads }, (_, i) =>
    `<button value="${i}"><canvas></canvas>layer ${1 + Math.floor(i / num_heads)} head ${1 + i % num_heads}</button>`).join("");

  function begin() {
    const text = [...prompt.value], id = (c) => characters.indexOf(c);
    const unknown = text.filter((c) => id(c) < 1);
    status.textContent = unknown.length ? `Left out, since the model never saw it: ${unknown.join(" ")}` : "";
    ids = text.map(id).filter((i) => i > 0);
    given.textContent = ids.map((i) => characters[i]).join("");
    made.textContent = "";
    running = false;
    model.start_cache();
    draw();
  }

  function draw() {
    logits = model.read(ids);
    drawNext(); heads.querySelectorAll("canvas").forEach(drawHead); enlarge();
  }

  function drawNext() {
    const weights = softmax(logits, +temperature.value);
    get("b").textContent = temperature.value;
    const order = [...logits.keys()].sort((a, b) => logits[b] - logits[a]).slice(0, 10);
    next.innerHTML = order.map((id) => {
      const percent = (100 * weights[id]).toFixed(1);
      return `<li><b>${visible(characters[id])}</b><i style="width:${percent}%"></i>${percent} %</li>`;
    }).join("");
  }

  function drawHead(canvas, i) {
    const rows = model.weights.slice(-LAST), brush = canvas.getContext("2d");
    canvas.width = canvas.height = LAST; // wipes it, too
    brush.fillStyle = getComputedStyle(canvas).color;
    rows.forEach((heads, y) => {
      const row = heads.flat()[i].slice(-y - 1);
      row.forEach((weight, x) => {
        brush.globalAlpha = weight;
        brush.fillRect(x, y, 1, 1);
      });
    });
  }
}
