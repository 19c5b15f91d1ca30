// What the pages of both live models share: the start, and the maps of all heads.

export const shown = (c) => c.replaceAll("\n", "⏎").replaceAll(" ", "␣");
export const percent = (weight) => (100 * weight).toFixed(1) + "%";

// Offer a button; when it is clicked, load the folder's weights and go on.
export function start(root, folder, size, go_on) {
  root.insertAdjacentHTML("afterbegin",
    `<p><button type=button>Start the model (${size} MB)</button> <output></output></p>`);
  const [starter, message] = root.firstChild.children;
  starter.onclick = async () => {
    message.value = "Loading …";
    try {
      const file = await fetch(folder + "/weights.safetensors");
      go_on(await file.arrayBuffer());
    } catch {
      message.value = "It did not load: try again.";
    }
  };
}

// A small map for each head, to choose one; `change` takes the layer and the head.
export function head_maps(group, { num_layers, num_heads }, change) {
  const place = (i) => [Math.floor(i / num_heads), i % num_heads];
  for (let i = 0; i < num_layers * num_heads; i++)
    group.innerHTML += `<label><canvas></canvas><input type=radio name=head aria-label="layer ${
      place(i)[0] + 1}, head ${place(i)[1] + 1}"></label>`;
  const radios = [...group.querySelectorAll("input")];
  group.onchange = () => change(...place(radios.findIndex((radio) => radio.checked)));
  return { radios, maps: [...group.querySelectorAll("canvas")], place };
}

// The colour of a pixel, without its opacity.
export function pixel_color(canvas) {
  const [red, green, blue] = getComputedStyle(canvas).color.match(/[\d.]+/g).map(Number);
  return (blue << 16) | (green << 8) | red;
}

// One pixel per weight, and the weight is its opacity.
export function draw_map(canvas, rows, columns, row, color) {
  const image = new ImageData(columns, rows), pixels = new Uint32Array(image.data.buffer);
  if (canvas.width !== columns || canvas.height !== rows) [canvas.width, canvas.height] = [columns, rows];
  for (let i = 0; i < rows; i++) {
    const weights = row(i);
    for (let j = 0; j < columns; j++) pixels[i * columns + j] = ((255 * weights[j]) << 24) | color;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
