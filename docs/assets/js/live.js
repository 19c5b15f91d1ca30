// A GPT to try, in the page's <div data-live-gpt="folder">.
import { GPT, sample } from "./gpt.js";
import { draw_map, head_maps, percent, pixel_color, shown, start } from "./heads.js";
import { softmax } from "./layers.js";

const root = document.querySelector("[data-live-gpt]");
start(root, root.dataset.liveGpt, 1.6, (bytes) => live(new GPT(bytes)));

const PAGE = `<fieldset><section class=writing>
<label for=live-text>Text: type, or let the model go on</label>
<div class=paper><div class=ink aria-hidden=true></div>
<textarea id=live-text name=text spellcheck=false autocapitalize=off aria-describedby=live-reads>The function </textarea></div>
<p id=live-reads></p>
<p><button type=button name=go></button> <button type=button name=one>One character</button>
<button type=button name=undo>Undo</button></p>
<p>Begin with <button type=button class=prompt>Return </button> <button type=button class=prompt>If the </button>
<button type=button class=prompt>class </button> <button type=button name=surprise>Surprise me</button></p>
<p class=settings><label for=live-heat>Temperature</label><input id=live-heat name=heat type=range max=2 step=0.1 value=0.8><b></b>
<label for=live-speed>Speed</label><select id=live-speed name=speed><option value=20>20 characters per second<option value=0>as fast as it can</select>
<label for=live-mistake>Mistake</label><select id=live-mistake name=mistake><option value="">none: as it was trained<option value=positions>without positions<option value=mask>causal mask flipped</select></p>
<output name=status></output><output name=spoken></output></section>
<section><h3>Next character</h3><ol></ol></section>
<section class=looks><h3></h3><div class=map><canvas class=large role=img></canvas><i></i></div>
<div role=radiogroup aria-label="Head of attention"></div></section></fieldset>`;
const MOST = 1000; // characters written in one go
const spoken_name = (c) => ({ "\n": "line break", " ": "space" })[c] ?? c;

function live(model) {
  root.innerHTML = PAGE;
  const find = (selector) => root.querySelector(selector);
  const { text, go, one, undo, surprise, heat, speed, mistake, status, spoken } = find("fieldset").elements;
  const ink = find(".ink"), large = find(".large"), heads = find("[role=radiogroup]");
  const characters = [...model.characters], id_of = new Map(characters.map((c, id) => [c, id]));
  const weights = new Float32Array(model.vocab_size); // of the next character
  let ids, ends; // what was read, and where each character ends in the text
  let hovered, running, typing, last, maps_drawn = 0, layer = 0, head = 0;
  const history = [];

  // The elements that are filled again and again.
  ink.append("", ...Array.from({ length: model.max_len }, () => document.createElement("span")));
  const letters = [...ink.children];
  find("ol").innerHTML = `<li><button type=button><b></b><i></i><span></span></button></li>`.repeat(10);
  const bars = [...root.querySelectorAll("ol button")];
  const { radios, maps, place } = head_maps(heads, model, (...chosen) => {
    [layer, head] = chosen;
    draw();
  });

  // Read the text again; the model knows what it has read already.
  function read() {
    const unknown = new Set();
    let end = 0;
    [ids, ends] = [[], []];
    for (const c of text.value) {
      end += c.length;
      const id = id_of.get(c) ?? 0;
      if (id) ids.push(id), ends.push(end);
      else unknown.add(c);
    }
    if (!ids.length) [ids, ends] = [[1], [0]]; // something to go on from
    status.value = unknown.size ? `Never seen, left out: ${[...unknown].join(" ")}` : "";
    last = text.value;
    predict();
    draw();
  }

  function predict() {
    model.read(ids);
    weights.set(model.logits);
    softmax(weights, +heat.value);
  }

  // Write until it is stopped; draw once per frame, however many were made.
  async function write(count = MOST) {
    remember();
    running = true;
    go.textContent = "Stop";
    const started = performance.now(), rate = +speed.value;
    let made = 0, all = "";
    while (running && made < count) {
      const frame = performance.now(), due = rate ? ((frame - started) * rate) / 1000 : Infinity;
      let added = "";
      while (made < count && made <= due && (!added || performance.now() < frame + 25)) {
        const id = sample(weights);
        added += characters[id];
        ids.push(id);
        ends.push(text.value.length + added.length);
        predict();
        made++;
      }
      if (added) show(added);
      all += added;
      await new Promise(requestAnimationFrame);
    }
    running = false;
    draw();
    go.textContent = "Continue";
    spoken.value = all;
    if (made > 1) status.value = `${made} characters, ${Math.round((1000 * made) / (performance.now() - started))} per second`;
  }

  function show(added) {
    last = text.value += added;
    text.scrollTop = text.scrollHeight;
    draw();
  }

  function remember() {
    running = typing = false;
    if (history.at(-1) !== text.value) history.push(text.value);
  }

  function replace(value) {
    remember();
    text.value = value;
    read();
  }

  function draw() {
    draw_maps(); // first: it asks for a colour, which must not wait for a layout
    draw_next();
    draw_letters();
  }

  function draw_next() {
    find(".settings b").textContent = (+heat.value).toFixed(1);
    heat.setAttribute("aria-valuetext", (+heat.value).toFixed(1));
    const order = [...weights.keys()].sort((a, b) => weights[b] - weights[a] || model.logits[b] - model.logits[a]);
    bars.forEach((bar, i) => {
      const id = order[i], [name, length, number] = bar.children;
      bar.value = id;
      bar.setAttribute("aria-label", `append ${spoken_name(characters[id])}, ${percent(weights[id])}`);
      name.textContent = shown(characters[id]);
      length.style.width = (100 * weights[id]) / weights[order[0]] + "%";
      number.textContent = percent(weights[id]);
    });
  }

  // Which character asks: under the pointer, before the caret, or the last.
  function query() {
    let i = hovered ?? ids.length - 1;
    if (hovered === undefined && !running && document.activeElement === text)
      while (i > model.begin && ends[i] > text.selectionStart) i--;
    return Math.max(i, model.begin) - model.begin;
  }

  // Colour the typed characters by the weights of the chosen head.
  function draw_letters() {
    const { begin } = model, asks = query(), row = model.row(layer, head, asks);
    const letter = (i) => text.value.slice(ends[begin + i - 1] ?? 0, ends[begin + i]);
    ink.firstChild.data = text.value.slice(0, ends[begin - 1] ?? 0);
    letters.forEach((span, i) => {
      span.textContent = begin + i < ids.length ? letter(i) : "";
      span.style.setProperty("--weight", begin + i < ids.length ? row[i] : 0);
      span.classList.toggle("asks", i === asks);
    });
    ink.scrollTop = text.scrollTop;
    const most = [...row.subarray(0, ids.length - begin).keys()].sort((a, b) => row[b] - row[a]).slice(0, 4);
    const name = (i) => `“${shown(letter(i).slice(-1))}”`;
    const place = (i) => (i === asks ? "itself" : `${name(i)} (${Math.abs(i - asks)} ${i < asks ? "back" : "ahead"})`);
    find("#live-reads").textContent =
      `${name(asks)} reads from ${most.map((i) => `${place(i)} ${percent(row[i])}`).join(", ")}`;
    const mark = find(".map i"), size = 100 / (ids.length - begin);
    mark.style.cssText = `top: ${asks * size}%; height: ${size}%`;
  }

  function draw_maps() {
    find(".looks h3").textContent = `Layer ${layer + 1}, head ${head + 1}`;
    large.setAttribute("aria-label", `Weights of layer ${layer + 1}, head ${head + 1}: rows read from columns`);
    const color = pixel_color(large), n = ids.length - model.begin;
    const draw_head = (map, layer, head) => draw_map(map, n, n, (query) => model.row(layer, head, query), color);
    draw_head(large, layer, head);
    // The small maps take most of the time: while it writes, four times a second will do.
    if (running && performance.now() < maps_drawn + 250) return;
    maps_drawn = performance.now();
    maps.forEach((map, i) => draw_head(map, ...place(i)));
  }

  go.textContent = "Continue";
  go.onclick = () => (running ? (running = false) : write());
  one.onclick = () => write(1);
  undo.onclick = () => {
    running = false;
    while (history.length && history.at(-1) === text.value) history.pop();
    if (history.length) text.value = history.pop();
    read();
  };
  root.querySelectorAll(".prompt").forEach((button) => (button.onclick = () => replace(button.textContent)));
  surprise.onclick = () => {
    replace("\n");
    write(200);
  };
  bars.forEach((bar) => (bar.onclick = () => replace(text.value + characters[bar.value])));
  text.oninput = () => {
    running = false;
    if (!typing) history.push(last);
    typing = true;
    read();
  };
  heat.oninput = () => (predict(), draw_next());
  mistake.onchange = () => {
    model.mistake = mistake.value;
    model.start_cache();
    read();
  };
  text.onscroll = () => (ink.scrollTop = text.scrollTop);
  const hover = (i) => {
    if (i === hovered) return;
    hovered = i;
    draw_letters();
  };
  text.onmousemove = ({ clientX, clientY }) => {
    const i = letters.indexOf(document.elementsFromPoint(clientX, clientY).find((e) => e.parentNode === ink));
    hover(i < 0 ? undefined : model.begin + i);
  };
  large.onmousemove = ({ offsetY }) =>
    hover(model.begin + Math.min(Math.floor((offsetY / large.clientHeight) * large.height), large.height - 1));
  text.onmouseleave = large.onmouseleave = () => hover(undefined);
  document.addEventListener("selectionchange", () => document.activeElement === text && draw_letters());
  radios[1].checked = true; // it reads from the character before
  read();
  heads.onchange();
  root.scrollIntoView();
}
