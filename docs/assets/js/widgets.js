// Two things to try: a softmax with a temperature, and a mask.
const softmax = (scores, visible) => {
  const most = Math.max(...scores.filter((_, i) => visible[i]));
  const powers = scores.map((s, i) => (visible[i] ? Math.exp(s - most) : 0));
  const total = powers.reduce((a, b) => a + b, 0) || 1; // nothing visible: all 0
  return powers.map((power) => power / total);
};

// Make an element with attributes and children.
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    name.startsWith("on") ? (element[name] = value) : element.setAttribute(name, value);
  element.append(...children);
  return element;
};

// A slider with a name. `change` takes its number, and returns how to say it.
let sliders = 0;
const slider = (name, options, change) => {
  const id = "slider-" + sliders++, value = make("output", { for: id });
  const say = () => {
    value.value = change(+input.value);
    input.setAttribute("aria-valuetext", value.value);
  };
  const input = make("input", { type: "range", id, ...options, oninput: say });
  say();
  return make("div", { class: "slider" }, make("label", { for: id }, name), value, input);
};

function softmaxWidget(root) {
  const labels = root.dataset.labels.split(","), scores = root.dataset.scores.split(",").map(Number);
  const visible = labels.map(() => true), rows = [];
  let temperature = 1;
  const draw = () => {
    const weights = softmax(scores.map((s) => s / temperature), visible);
    rows.forEach(([bar, masked, number], i) => {
      bar.style.width = 100 * weights[i] + "%";
      masked.hidden = visible[i];
      number.textContent = weights[i].toFixed(3);
    });
  };
  const list = labels.map((label, i) => {
    const bar = make("i"), masked = make("span", {}, "masked"), number = make("b");
    const toggle = make("button", { type: "button", "aria-pressed": "false", onclick: () => {
      visible[i] = !visible[i];
      toggle.setAttribute("aria-pressed", !visible[i]);
      draw();
    } }, `mask “${label}”`);
    rows.push([bar, masked, number]);
    const score = slider(`score of “${label}”`, { min: -4, max: 4, step: 0.1, value: scores[i] },
      (value) => { scores[i] = value; draw(); return value.toFixed(1); });
    return make("div", { class: "row-of-bar", role: "group", "aria-label": label },
      score, toggle, make("span", { class: "bar" }, bar, masked), number);
  });
  const heat = slider("temperature", { min: -1, max: 1, step: 0.05, value: 0 },
    (value) => { temperature = 10 ** value; draw(); return temperature.toFixed(2); });
  root.replaceChildren(heat, ...list);
  draw();
}

let widgets = 0;
function maskWidget(root) {
  const tokens = root.dataset.tokens.split(","), n = tokens.length, group = "mask-" + widgets++;
  let kind = "both", real = tokens.filter((t) => t !== "<pad>").length, at = 0;
  const changed = new Map(); // what the reader made of a cell
  const each = (build) => tokens.map((_, i) => build(i));
  const cells = each((i) => each((j) => make("button", { type: "button", onclick: () => {
    const value = !allowed(i, j);
    value === rule(i, j) ? changed.delete(i * n + j) : changed.set(i * n + j, value);
    draw();
  } })));
  const shares = each(() => each(() => make("td")));
  const rule = (i, j) =>
    !(["causal", "both"].includes(kind) && j > i) && !(["padding", "both"].includes(kind) && j >= real);
  const allowed = (i, j) => changed.get(i * n + j) ?? rule(i, j);
  const name = (i) => (i >= real ? "<pad>" : tokens[i] === "<pad>" ? `word ${i}` : tokens[i]);

  const names = []; // the heads of all rows and columns
  const head = (scope, i) => (names.push([make("th", { scope }), i]), names.at(-1)[0]);
  const table = (caption, inside) => make("table", { class: "matrix" }, make("caption", {}, caption),
    make("tr", {}, make("td"), ...each((j) => head("col", j))),
    ...each((i) => make("tr", {}, head("row", i), ...each((j) => inside(i, j)))));
  const grid = table("1: the row may attend to the column", (i, j) => make("td", {}, cells[i][j]));
  const weights = table("weights, if all scores are equal", (i, j) => shares[i][j]);

  // One tab stop for the whole matrix; the arrow keys move in it.
  const focus = (to) => {
    cells.flat()[at].tabIndex = -1;
    at = to;
    cells.flat()[at].tabIndex = 0;
  };
  grid.onkeydown = (event) => {
    const row = Math.floor(at / n), column = at % n;
    const to = { ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1], ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column], Home: [row, 0], End: [row, n - 1] }[event.key];
    if (!to) return;
    event.preventDefault();
    if (Math.min(...to) >= 0 && Math.max(...to) < n) focus(to[0] * n + to[1]);
    cells.flat()[at].focus();
  };
  grid.addEventListener("focusin", ({ target }) => focus(cells.flat().indexOf(target)));

  const clear = make("button", { type: "button", onclick: () => { changed.clear(); draw(); } }, "Undo my changes");
  const draw = () => {
    names.forEach(([head, i]) => { head.textContent = name(i); head.classList.toggle("padding", i >= real); });
    clear.disabled = !changed.size;
    cells.forEach((row, i) => {
      const share = softmax(tokens.map(() => 0), each((j) => allowed(i, j)));
      row.forEach((cell, j) => {
        cell.textContent = allowed(i, j) ? "1" : "0";
        cell.setAttribute("aria-pressed", allowed(i, j));
        cell.setAttribute("aria-label", `${name(i)} (${i}) may attend to ${name(j)} (${j})`);
        cell.classList.toggle("changed", changed.has(i * n + j));
        shares[i][j].textContent = share[j] ? share[j].toFixed(2) : "0";
        shares[i][j].style.setProperty("--share", share[j]);
      });
    });
  };
  const kinds = ["none", "causal", "padding", "both"].map((name) => {
    const radio = make("input", { type: "radio", name: group, onchange: () => { kind = name; draw(); } });
    radio.checked = name === kind;
    return make("label", {}, radio, " " + name);
  });
  const count = slider("real tokens", { min: 0, max: n, step: 1, value: real },
    (value) => { real = value; draw(); return `${value} of ${n}`; });
  cells.flat().forEach((cell) => (cell.tabIndex = -1));
  focus(0);
  root.replaceChildren(
    make("fieldset", {}, make("legend", {}, "Mask"), ...kinds), count,
    make("div", { class: "tables" }, grid, weights),
    make("p", {}, clear, " Click a cell, or move with the arrow keys and press Space. Your changes stay when you change the mask."));
}

document.querySelectorAll("[data-widget=softmax]").forEach(softmaxWidget);
document.querySelectorAll("[data-widget=mask]").forEach(maskWidget);
