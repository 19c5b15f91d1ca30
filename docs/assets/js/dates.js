// A translator of dates to try, in the page's <div data-live-dates="folder">.
import { draw_map, head_maps, percent, pixel_color, shown, start } from "./heads.js";
import { Transformer } from "./transformer.js";

const root = document.querySelector("[data-live-dates]");
start(root, root.dataset.liveDates, "2.0", (bytes) => live(new Transformer(bytes)));

const EXAMPLES = ["3 May 2021", "Sunday, November 22nd 2026", "14 juillet 1989", "4. März 2001", "2026년 11월 22일", "4/7/2030", "4.7.2030"];
const PAGE = `<fieldset><section>
<label for=live-date>A date in English, French, German or Korean</label>
<input id=live-date name=date type=text spellcheck=false autocomplete=off autocapitalize=off aria-describedby=live-status>
<p>Try ${EXAMPLES.map((text) => `<button type=button class=prompt>${text}</button>`).join(" ")}</p>
<p><label for=live-translation>Translation</label> <output id=live-translation name=translation></output></p>
<output id=live-status name=status></output>
<div class=reading><p class=pieces></p><p id=live-reads></p>
<div class=scroll tabindex=0 role=group aria-label="Weights of the chosen head"><table class=weights></table></div></div></section>
<section class=looks><h3>All heads</h3><div role=radiogroup aria-label="Head of cross-attention"></div></section></fieldset>`;

function add(parent, tag, text = "") {
  const element = parent.appendChild(document.createElement(tag));
  element.textContent = text; // never as HTML
  return element;
}

function live(model) {
  root.innerHTML = PAGE;
  const find = (selector) => root.querySelector(selector), { tokenizer } = model;
  const { date, translation, status } = find("fieldset").elements;
  const table = find("table"), reading = find(".reading"), looks = find(".looks");
  let source, steps, spans, rows, layer = 1, head = 2, chosen = 4, hovered;
  const row = (t) => steps[t].weights[layer][head];
  const name = (id) => (id === model.eos_id ? "end"
    : tokenizer.byte(id) === undefined ? shown(tokenizer.pieces[id])
    : "0x" + tokenizer.byte(id).toString(16).toUpperCase().padStart(2, "0"));
  const { radios, maps, place } = head_maps(looks.lastChild, model, (...to) => {
    [layer, head] = to;
    draw_table();
  });

  // Translate what stands in the field.
  function read() {
    const text = date.value.trim(), unknown = tokenizer.unknown(text);
    source = text ? tokenizer.encode_sentence(text) : [];
    const too_long = source.length > model.max_len;
    steps = text && !too_long ? model.translate(source) : [];
    translation.value = tokenizer.decode(steps.map(({ id }) => id));
    const unended = steps.length && steps.at(-1).id !== model.eos_id;
    status.value = !text ? "Type a date, such as 3 May 2021."
      : too_long ? `This text has ${source.length} pieces, and the model reads at most ${model.max_len}. Make it shorter.`
      : [
        unknown.length && `The vocabulary has no piece for ${unknown.map((c) => `“${c}”`).join(", ")}, so the model reads the bytes instead.`,
        unended && `The model wrote ${steps.length} pieces without an end.`,
      ].filter(Boolean).join(" ");
    reading.hidden = looks.hidden = !steps.length;
    if (!steps.length) return;
    hovered = undefined;
    chosen = Math.min(chosen, steps.length - 1);
    find(".pieces").replaceChildren();
    spans = source.map((id) => add(find(".pieces"), "span", name(id)));
    const color = pixel_color(maps[0]);
    maps.forEach((map, i) => {
      const [layer, head] = place(i);
      draw_map(map, steps.length, source.length, (t) => steps[t].weights[layer][head], color);
    });
    draw_table();
  }

  // The large map: a row for each piece that was written, a column for each of the source.
  function draw_table() {
    table.replaceChildren();
    add(table, "caption", `Layer ${layer + 1}, head ${head + 1}: weights in percent`);
    const names = add(table, "tr");
    add(names, "td");
    source.forEach((id) => {
      const column = add(names, "th");
      column.scope = "col";
      add(column, "span", name(id)).classList.toggle("long", name(id).length > 2);
    });
    rows = steps.map(({ id }, t) => {
      const line = add(table, "tr"), side = add(line, "th"), label = add(side, "label"), radio = add(label, "input");
      side.scope = "row";
      Object.assign(radio, { type: "radio", name: "piece", checked: t === chosen });
      label.append(name(id));
      radio.onchange = line.onclick = () => {
        radio.checked = true;
        chosen = t;
        draw_row();
      };
      line.onpointerenter = () => ((hovered = t), draw_row());
      row(t).forEach((weight) => add(line, "td", Math.round(100 * weight) || "").style.setProperty("--weight", weight));
      return line;
    });
    draw_row();
  }

  // Colour the source by the weights of one piece of the translation.
  function draw_row() {
    const asks = hovered ?? chosen, weights = row(asks);
    rows.forEach((line, t) => line.classList.toggle("asks", t === asks));
    spans.forEach((span, j) => span.style.setProperty("--weight", weights[j]));
    const most = [...weights.keys()].sort((a, b) => weights[b] - weights[a])
      .slice(0, 4).filter((j) => weights[j] >= 0.0005);
    find("#live-reads").textContent = `“${name(steps[asks].id)}” reads from ${
      most.map((j) => `“${name(source[j])}” ${percent(weights[j])}`).join(", ")}`;
  }

  table.onpointerleave = () => {
    hovered = undefined;
    if (steps.length) draw_row();
  };
  root.querySelectorAll(".prompt").forEach((button) => (button.onclick = () => {
    date.value = button.textContent;
    read();
  }));
  date.oninput = read;
  date.value = EXAMPLES[0];
  radios[layer * model.num_heads + head].checked = true;
  read();
  root.scrollIntoView();
}
