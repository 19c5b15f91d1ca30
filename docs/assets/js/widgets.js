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

const slider = (text, options, change) => {
  const value = make("output");
  const input = make("input", { type: "range", ...options, oninput: () => change(+input.value, value) });
  change(+input.value, value);
  return make("label", {}, text + " ", value, input);
};

function softmaxWidget(root) {
  const labels = root.dataset.labels.split(","), scores = root.dataset.scores.split(",").map(Number);
  const visible = labels.map(() => true), rows = [];
  let temperature = 1;
  const draw = () => {
    const weights = softmax(scores.map((s) => s / temperature), visible);
    rows.forEach(([bar, number], i) => {
      bar.style.width = 100 * weights[i] + "%";
      number.textContent = weights[i].toFixed(3);
    });
  };
  const list = labels.map((label, i) => {
    const bar = make("i"), number = make("b"), toggle = make("button", {
      type: "button", "aria-pressed": "false", onclick: () => {
        visible[i] = !visible[i];
        toggle.setAttribute("aria-pressed", !visible[i]);
        draw();
      } }, "mask " + label);
    rows.push([bar, number]);
    const score = slider("score of " + label, { min: -4, max: 4, step: 0.1, value: scores[i] },
      (value, shown) => { scores[i] = value; shown.value = value.toFixed(1); draw(); });
    return make("div", { class: "row-of-bar" }, score, toggle, make("span", { class: "bar" }, bar), number);
  });
  const heat = slider("temperature", { min: -1, max: 1, step: 0.05, value: 0 },
    (value, shown) => { temperature = 10 ** value; shown.value = temperature.toFixed(2); draw(); });
  root.replaceChildren(heat, ...list);
  draw();
}

let widgets = 0;
function maskWidget(root) {
  const tokens = root.dataset.tokens.split(","), n = tokens.length, group = "mask-" + widgets++;
  let kind = "both", real = tokens.filter((t) => t !== "<pad>").length, mask = [];
  const grid = make("table", { class: "matrix" }), shares = make("table", { class: "matrix" });
  const draw = () => {
    const head = () => make("tr", {}, make("td"), ...tokens.map((t) => make("th", { scope: "col" }, t)));
    grid.replaceChildren(make("caption", {}, "True = may attend"), head());
    shares.replaceChildren(make("caption", {}, "weights for equal scores"), head());
    tokens.forEach((query, i) => {
      const weights = softmax(tokens.map(() => 0), mask[i]);
      const name = () => make("th", { scope: "row" }, query);
      grid.append(make("tr", {}, name(), ...tokens.map((key, j) => make("td", {}, make("button", {
        type: "button", "aria-pressed": mask[i][j], "aria-label": `${query} (${i}) may see ${key} (${j})`,
        onclick: (event) => {
          mask[i][j] = !mask[i][j];
          draw();
          grid.querySelectorAll("button")[i * n + j].focus();
        } }, mask[i][j] ? "1" : "0")))));
      shares.append(make("tr", {}, name(), ...weights.map((w) =>
        make("td", { style: `--share:${w}` }, w ? w.toFixed(2) : "0"))));
    });
  };
  const fill = () => {
    const causal = kind === "causal" || kind === "both", padding = kind === "padding" || kind === "both";
    mask = tokens.map((_, i) => tokens.map((_, j) => (!causal || j <= i) && (!padding || j < real)));
    draw();
  };
  const kinds = ["none", "causal", "padding", "both"].map((name) => {
    const radio = make("input", { type: "radio", name: group, onchange: () => { kind = name; fill(); } });
    radio.checked = name === kind;
    return make("label", {}, radio, " " + name);
  });
  const count = slider("real tokens", { min: 0, max: n, step: 1, value: real },
    (value, shown) => { real = value; shown.value = value; fill(); });
  root.replaceChildren(
    make("fieldset", {}, make("legend", {}, "Mask"), ...kinds), count,
    make("div", { class: "tables" }, grid, shares));
}

document.querySelectorAll("[data-widget=softmax]").forEach(softmaxWidget);
document.querySelectorAll("[data-widget=mask]").forEach(maskWidget);
