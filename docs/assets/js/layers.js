// What gpt.js and transformer.js are made of. A table is one flat array.

// weights = softmax(scores / temperature), in place; at 0 the largest takes all.
export function softmax(x, temperature = 1) {
  let most = -Infinity, total = 0;
  for (let i = 0; i < x.length; i++) most = Math.max(most, x[i]);
  for (let i = 0; i < x.length; i++) total += x[i] = Math.exp((x[i] - most) / (temperature || 1e-9));
  for (let i = 0; i < x.length; i++) x[i] /= total;
  return x;
}

export const floats = (...sizes) => new Float32Array(sizes.reduce((a, b) => a * b));
export const row = (table, i, size) => table.subarray(i * size, (i + 1) * size);
export const add = (x, y) => { for (let i = 0; i < x.length; i++) x[i] += y[i]; };

function transpose(table, rows, columns) {
  return floats(rows, columns).map((_, k) => table[(k % rows) * columns + Math.floor(k / rows)]);
}

export class Layers {
  // From a safetensors file of 16-bit floats. `about` names what else it holds.
  constructor(buffer, about) {
    const [size] = new Uint32Array(buffer, 0, 1);
    const { __metadata__, ...entries } = JSON.parse(
      new TextDecoder().decode(new Uint8Array(buffer, 8, size)));
    Object.assign(this, JSON.parse(__metadata__[about]));
    for (const name in entries) {
      const { shape, data_offsets: [start, end] } = entries[name];
      const halves = new Uint16Array(buffer, 8 + size + start, (end - start) / 2);
      // A float16's exponent counts from 15, a float32's from 127: 112 more.
      const bits = new Uint32Array(halves).map((h) => ((h << 16) >> 3) & 0x8fffe000);
      const table = new Float32Array(bits.buffer).map((x) => x * 2 ** 112);
      this[name] = name.endsWith("kernel") ? transpose(table, ...shape) : table;
    }
  }

  // y = kernel · x + bias
  dense(path, x, y) {
    multiply(this[path + "/kernel"], x, y);
    if (this[path + "/bias"]) add(y, this[path + "/bias"]);
  }

  // y = gain · (x − mean) / √(variance + ε) + bias
  norm(path, x, y) {
    const gain = this[path + "/gain"], bias = this[path + "/bias"];
    let mean = 0, variance = 0;
    for (let i = 0; i < x.length; i++) mean += x[i] / x.length;
    for (let i = 0; i < x.length; i++) variance += (x[i] - mean) ** 2 / x.length;
    const scale = 1 / Math.sqrt(variance + 1e-5);
    for (let i = 0; i < x.length; i++) y[i] = gain[i] * (x[i] - mean) * scale;
    if (bias) add(y, bias);
  }
}

// For one query: heads = weights · values, with weights = softmax(query · keys / √head_dim).
// `weights` has one array per head, with a place for each key.
export function attend(query, keys, values, weights, heads) {
  const d_model = query.length, head_dim = d_model / weights.length;
  heads.fill(0);
  weights.forEach((row, head) => {
    const first = head * head_dim, end = first + head_dim;
    for (let j = 0; j < row.length; j++) {
      let score = 0;
      for (let i = first, k = j * d_model + first; i < end; i++, k++) score += query[i] * keys[k];
      row[j] = score / Math.sqrt(head_dim);
    }
    softmax(row);
    for (let j = 0; j < row.length; j++)
      for (let i = first, k = j * d_model + first; i < end; i++, k++) heads[i] += row[j] * values[k];
  });
}

// y = table · x, with four sums at a time: no addition waits for the last one.
export function multiply(table, x, y) {
  const n = x.length;
  for (let row = 0; row < y.length; row++) {
    let a = 0, b = 0, c = 0, d = 0, i = 0, k = row * n;
    for (; i + 3 < n; i += 4, k += 4) {
      a += table[k] * x[i];
      b += table[k + 1] * x[i + 1];
      c += table[k + 2] * x[i + 2];
      d += table[k + 3] * x[i + 3];
    }
    for (; i < n; i++, k++) a += table[k] * x[i];
    y[row] = a + b + c + d;
  }
}
