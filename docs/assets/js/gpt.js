// The forward pass of models/gpt.py, with its names. A table is one flat array, and
// each array is made once: making new ones would take longer than the arithmetic.

// weights = softmax(scores / temperature), in place; at 0 the largest takes all.
export function softmax(x, temperature = 1) {
  let most = -Infinity, total = 0;
  for (let i = 0; i < x.length; i++) most = Math.max(most, x[i]);
  for (let i = 0; i < x.length; i++) total += x[i] = Math.exp((x[i] - most) / (temperature || 1e-9));
  for (let i = 0; i < x.length; i++) x[i] /= total;
  return x;
}

// Draw an index, each as often as its weight says.
export function sample(weights) {
  let left = Math.random(), i = 0;
  while (i < weights.length - 1 && (left -= weights[i]) > 0) i++;
  return i;
}

const floats = (...sizes) => new Float32Array(sizes.reduce((a, b) => a * b));
const row = (table, i, size) => table.subarray(i * size, (i + 1) * size);
const add = (x, y) => { for (let i = 0; i < x.length; i++) x[i] += y[i]; };

function transpose(table, rows, columns) {
  return floats(rows, columns).map((_, k) => table[(k % rows) * columns + Math.floor(k / rows)]);
}

export class GPT {
  // From the bytes that scripts/book/export_gpt.py writes.
  constructor(buffer) {
    const [size] = new Uint32Array(buffer, 0, 1);
    const { __metadata__, ...entries } = JSON.parse(
      new TextDecoder().decode(new Uint8Array(buffer, 8, size)));
    Object.assign(this, JSON.parse(__metadata__.gpt));
    for (const name in entries) {
      const { shape, data_offsets: [start, end] } = entries[name];
      const halves = new Uint16Array(buffer, 8 + size + start, (end - start) / 2);
      // At a float32's places, the exponent's bits count from 112 lower.
      const bits = new Uint32Array(halves).map((h) => ((h << 16) >> 3) & 0x8fffe000);
      const table = new Float32Array(bits.buffer).map((x) => x * 2 ** 112);
      this[name] = name.endsWith("kernel") ? transpose(table, ...shape) : table;
    }
    const { d_model, d_ff, num_layers, num_heads, max_len, vocab_size } = this;
    this.x = floats(max_len, d_model); // the residual stream
    this.query = floats(max_len, d_model);
    this.keys = Array.from({ length: num_layers }, () => floats(max_len, d_model));
    this.values = Array.from({ length: num_layers }, () => floats(max_len, d_model));
    this.weights = floats(num_layers, num_heads, max_len, max_len);
    this.h = floats(d_model); // of one token: what a norm, all heads, a layer give
    this.heads = floats(d_model);
    this.y = floats(d_model);
    this.wide = floats(d_ff);
    this.logits = floats(vocab_size);
    this.mistake = ""; // or "positions", or "mask"
    this.start_cache();
  }

  start_cache() {
    this.ids = [];
    this.begin = 0; // the window's first id
  }

  // Read ids, but not again what is in the cache: the ids that begin as before.
  // When the window is full, keep its last half.
  read(ids) {
    let known = 0;
    while (known < ids.length - 1 && ids[known] === this.ids[known]) known++;
    if (known < this.begin || ids.length - this.begin > this.max_len)
      this.begin = known = ids.length > this.max_len ? ids.length - (this.max_len >> 1) : 0;
    if (this.mistake === "mask") known = this.begin; // each new token changes all
    this.ids = [...ids];
    this.forward(known - this.begin, ids.length - this.begin);
  }

  // Compute the window's tokens from `first` on, layer by layer.
  forward(first, length) {
    const { d_model, x, h, y, wide } = this;
    for (let t = first; t < length; t++) {
      const stream = row(x, t, d_model);
      stream.set(row(this["embedding/table"], this.ids[this.begin + t], d_model));
      if (this.mistake !== "positions") add(stream, row(this["positions/table"], t, d_model));
    }
    for (let layer = 0; layer < this.num_layers; layer++) {
      const block = `decoder/block_${layer}/`, attention = block + "self_attention/";
      for (let t = first; t < length; t++) {
        this.norm(block + "attention_norm", row(x, t, d_model));
        this.dense(attention + "query_dense", h, row(this.query, t, d_model));
        this.dense(attention + "key_dense", h, row(this.keys[layer], t, d_model));
        this.dense(attention + "value_dense", h, row(this.values[layer], t, d_model));
      }
      for (let t = first; t < length; t++) {
        const stream = row(x, t, d_model);
        this.attend(layer, t, length);
        this.dense(attention + "output_dense", this.heads, y);
        add(stream, y);
        this.norm(block + "feed_forward_norm", stream);
        this.dense(block + "feed_forward/expand_dense", h, wide);
        for (let i = 0; i < wide.length; i++) wide[i] = gelu(wide[i]);
        this.dense(block + "feed_forward/contract_dense", wide, y);
        add(stream, y);
      }
    }
    this.norm("decoder/final_norm", row(x, length - 1, d_model));
    multiply(this["embedding/table"], h, this.logits);
  }

  // heads = weights · values, with weights = softmax(query · keys / √head_dim)
  attend(layer, t, length) {
    const { d_model, num_heads, heads } = this, head_dim = d_model / num_heads;
    const query = row(this.query, t, d_model);
    const keys = this.keys[layer], values = this.values[layer];
    // Causal: keys up to the query. Flipped by mistake: keys from the query on.
    const [from, to] = this.mistake === "mask" ? [t, length] : [0, t + 1];
    heads.fill(0);
    for (let head = 0; head < num_heads; head++) {
      const first = head * head_dim, end = first + head_dim;
      const weights = this.row(layer, head, t).fill(0).subarray(from, to);
      for (let j = from; j < to; j++) {
        let score = 0;
        for (let i = first, k = j * d_model + first; i < end; i++, k++) score += query[i] * keys[k];
        weights[j - from] = score / Math.sqrt(head_dim);
      }
      softmax(weights);
      for (let j = from; j < to; j++) {
        const weight = weights[j - from];
        for (let i = first, k = j * d_model + first; i < end; i++, k++) heads[i] += weight * values[k];
      }
    }
  }

  // The weights of one query for all keys.
  row(layer, head, query) {
    return row(this.weights, (layer * this.num_heads + head) * this.max_len + query, this.max_len);
  }

  // y = kernel · x + bias
  dense(path, x, y) {
    multiply(this[path + "/kernel"], x, y);
    if (this[path + "/bias"]) add(y, this[path + "/bias"]);
  }

  // h = gain · (x − mean) / √(variance + ε) + bias
  norm(path, x) {
    const { h } = this, gain = this[path + "/gain"], bias = this[path + "/bias"];
    let mean = 0, variance = 0;
    for (let i = 0; i < x.length; i++) mean += x[i] / x.length;
    for (let i = 0; i < x.length; i++) variance += (x[i] - mean) ** 2 / x.length;
    const scale = 1 / Math.sqrt(variance + 1e-5);
    for (let i = 0; i < x.length; i++) h[i] = gain[i] * (x[i] - mean) * scale;
    if (bias) add(h, bias);
  }
}

const gelu = (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));

// y = table · x, with four sums at a time: no addition waits for the last one.
function multiply(table, x, y) {
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
