// A GPT to try, in the page's <div data-live-gpt="folder">.
import { GPT, sample, softmax } from "./gpt.js";

const LAST = 24; // tokens on a map
const root = document.querySelector("[data-live-gpt]");
root.innerHTML = `<fieldset>
<label>Text <textarea name=text>The function </textarea></label>
<button name=go>Start the model (1.6 MB)</button> <button name=one>One token</button>
<label>Temperature <b></b><input name=heat type=range max=2 step=0.1 value=0.8></label>
<output name=status></output><output name=spoken></output>
<ol aria-label="Next character"></ol><div role=radiogroup aria-label=Attention></div>
<figure role=img aria-label="Rows look at columns"><div></div><div></div><canvas></canvas></figure>
</fieldset>`;
const { text, go, one, heat, status, spoken } = root.firstChild.elements;
const [shown, next, heads, rows, columns, large] =
  root.querySelectorAll("b, ol, div, canvas");
const radios = heads.getElementsByTagName("input");
let model, ids, weights, running;

go.onclick = () =>
  start().catch(() => (status.value = "It did not load: try again."));

async function start() {
  status.value = "Loading …";
  const file = await fetch(root.dataset.liveGpt + "/weights.safetensors");
  model = new GPT(await file.arrayBuffer());
  heads.innerHTML = "";
  for (let i = 1; i <= model.num_layers; i++)
    for (let j = 1; j <= model.num_heads; j++)
      heads.innerHTML += `<label><canvas></canvas><input type=radio name=head>layer ${i} head ${j}</label>`;
  radios[0].checked = true;
  heads.onchange = drawHeads;
  one.onclick = () => (running = false) || write();
  heat.oninput = drawNext;
  text.oninput = begin;
  go.onclick = () => (running = !running) && write();
  go.textContent = "Continue";
  begin();
}

function begin() {
  const typed = [...text.value], id = (c) => model.characters.indexOf(c);
  const unknown = new Set(typed.filter((c) => id(c) < 1));
  status.value = unknown.size ? `Never seen, left out: ${[...unknown].join(" ")}` : "";
  ids = typed.map(id).filter((i) => i > 0);
  if (!ids.length) ids = [1]; // something to go on from
  running = false;
  model.start_cache();
  draw();
}

async function write() {
  const before = text.value.length;
  do {
    go.textContent = running ? "Stop" : "Continue";
    const id = sample(weights);
    ids.push(id);
    text.value += model.characters[id];
    text.scrollTop = text.scrollHeight;
    draw();
    await new Promise(requestAnimationFrame);
  } while (running);
  go.textContent = "Continue";
  spoken.value = text.value.slice(before);
}

function draw() {
  model.read(ids);
  drawNext();
  drawHeads();
  rows.innerHTML = columns.innerHTML = ids.slice(model.begin).slice(-LAST).map(label).join("");
}

function label(id) {
  const code = model.characters[id].codePointAt();
  return `<b>&#${{ 10: 0x23ce, 32: 0x2423 }[code] ?? code};</b>`;
}

function drawNext() {
  shown.textContent = heat.value;
  weights = softmax(model.logits, +heat.value);
  const order = [...weights.keys()].sort((a, b) => model.logits[b] - model.logits[a]);
  next.innerHTML = order.slice(0, 10).map((id) => {
    const share = (100 * weights[id]).toFixed(1) + "%";
    return `<li>${label(id)}<i style=width:${share}></i>${share}</li>`;
  }).join("");
}

function drawHeads() {
  [...radios].forEach((radio, i) => {
    drawHead(radio.previousSibling, i);
    if (radio.checked) drawHead(large, i);
  });
}

// Head i: the last queries are its rows, their keys its columns.
function drawHead(canvas, i) {
  const brush = canvas.getContext("2d");
  canvas.width = canvas.height = LAST; // wipes it
  brush.fillStyle = getComputedStyle(canvas).color;
  model.weights.slice(-LAST).forEach((layers, y) =>
    layers.flat()[i].slice(-y - 1).forEach((weight, x) => {
      brush.globalAlpha = weight;
      brush.fillRect(x, y, 1, 1);
    }));
}
