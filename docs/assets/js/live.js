// A GPT to try, in every <div data-live-gpt="folder of its weights">.
import { load, sample, softmax } from "./gpt.js";

const LAST = 24; // tokens of a map
const visible = (c) => ({ " ": "␣", "\n": "⏎" })[c] ?? c;
const START = `<p><button>Start the model (1.6 MB)</button></p><p role="status"></p>`;
const UI = `
<label>Prompt <textarea rows="2">The function </textarea></label>
<p><button>Continue</button> <button>One token</button>
<label>Temperature <b>0.8</b> <input type="range" max="2" step="0.1" value="0.8"></label></p>
<p role="status">Loading …</p>
<section><h4>Text</h4><p class="text" tabindex="0"><span></span><b></b></p><p class="spoken" aria-live="polite"></p></section>
<section><h4>Next character</h4><ol>${"<li><b></b><i></i><span></span></li>".repeat(10)}</ol></section>
<section><h4>Attention</h4><div class="heads"></div></section>
<figure><canvas></canvas><figcaption></figcaption></figure>`;

document.querySelectorAll("[data-live-gpt]").forEach((root) => offer(root, ""));

function offer(root, problem) {
  root.innerHTML = START;
  root.lastChild.textContent = problem;
  const button = root.querySelector("button");
  button.onclick = () => start(root).catch((error) => {
    offer(root, `The model could not be loaded (${error.message}): try again.`).focus();
  });
  return button;
}

async function start(root) {
  root.innerHTML = UI;
  const find = (selectors) => root.querySelectorAll(selectors);
  const [prompt, go, one, shown, temperature, status, given, made, spoken] = find("…");
  go.focus();
  const answer = await fetch(`${root.dataset.liveGpt}/weights.safetensors`);
  if (!answer.ok) throw Error(answer.status);
  const model = load(await answer.arrayBuffer());
  const { characters, num_heads, num_layers } = model.config;
  let ids, logits, running = false;

  for (let layer = 1; layer <= num_layers; layer++)
    for (let head = 1; head <= num_heads; head++)
      heads.innerHTML += `<button><canvas></canvas>layer ${layer} head ${head}</button>`;
  const buttons = [...heads.children];
  let chosen = buttons[0];
  heads.onclick = heads.onfocusin ...

  function begin() {
    const known = [...prompt.value].filter((c) => characters.indexOf(c) > 0);
    const unknown = new Set([...prompt.value].filter((c) => !known.includes(c)));
    status.textContent = unknown.size ? `The model has never seen ${[...unknown].join(" ")} and skips it.` : "";
    ids = known.map((c) => characters.indexOf(c));
    running = false;
    given.textContent = known.join(""); made.textContent = "";
    model.start_cache();
    draw();
  }

  function draw() {
    logits = model.read(ids);
    showNext(); heads
  }

  // The likeliest characters, as the temperature has them.
  function drawNext() {
    const weights = softmax(logits, +temperature.value);
    const order = [...logits.keys()].sort((a, b) => logits[b] - logits[a]);
    find("li").forEach((item, i) => {
      const [name, bar, number] = item.children, weight = weights[order[i]];
      name.textContent = visible(characters[order[i]]);
      bar.style.width = `${100 * weight}%`
      number.textContent = (100 * weight).toFixed(1) + " %";
    });
  }

  // A row for each of the last queries, a column for each key.
  function drawHead(canvas, layer, head, labelled) {
    const cell = 24, margin = labels ? cell : 0
    ...
  }
}
