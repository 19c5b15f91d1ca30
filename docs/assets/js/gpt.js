// models/gpt.py again, by the same names, one token at a time.

// Read the file that scripts/export_gpt.py writes.
export function load(buffer) {
  const size = Number(new DataView(buffer).getBigUint64(0, true));
  const header = new TextDecoder().decode(new Uint8Array(buffer, 8, size));
  const { __metadata__, ...entries } = JSON.parse(header), arrays = {};
  for (const name in entries) {
    const [start, end] = entries[name].data_offsets;
    const halves = new Uint16Array(buffer, 8 + size + start, (end - start) / 2);
    // Put each bit at its place in a float32, whose exponents start 112 lower.
    const bits = new Uint32Array(halves).map((h) => ((h & 0x8000) << 16) | ((h & 0x7fff) << 13));
    arrays[name] = new Float32Array(bits.buffer).map((x) => x * 2 ** 112);
  }
  return new GPT(arrays, JSON.parse(__metadata__.gpt));
}

// weights = softmax(scores / temperature); at 0 the largest takes all.
export function softmax(scores, temperature = 1) {
  const most = Math.max(...scores);
  const powers = scores.map((s) => Math.exp((s - most) / (temperature || 1e-9)));
  const total = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / total);
}

// Draw an index by its weight: each runs a race, at the speed of its weight.
export function sample(weights) {
  const speeds = weights.map((weight) => weight / -Math.log(Math.random()));
  return speeds.indexOf(Math.max(...speeds));
}

const add = (a, b) => (b ? a.map((x, i) => x + b[i]) : a);
const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const gelu = (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

// Cut into equal parts: a vector into heads, a table into rows.
function split(array, count) {
  const size = array.length / count;
  return Array.from({ length: count }, (_, i) => array.subarray(i * size, (i + 1) * size));
}

class GPT {
  constructor(arrays, config) {
    Object.assign(this, { arrays, config });
    this.embedding = split(arrays["embedding/table"], config.vocab_size);
    this.positions = split(arrays["positions/table"], config.max_len);
    this.start_cache();
  }

  start_cache() {
    this.begin = 0; // the window's first id
    this.weights = []; // [position][layer][head][key]
    this.cache = Array.from({ length: this.config.num_layers }, () => ({ keys: [], values: [] }));
  }

  // Read what is new in ids, and return the last one's logits.
  read(ids) {
    const { max_len } = this.config;
    if (ids.length - this.begin > max_len) { // past its end, keep the last half
      this.start_cache();
      this.begin = ids.length - (max_len >> 1);
    }
    for (const id of ids.slice(this.begin + this.weights.length)) this.logits = this.forward(id);
    return this.logits;
  }

  forward(id) {
    let x = add(this.embedding[id], this.positions[this.weights.length]);
    this.weights.push(this.cache.map((cache, i) => {
      const block = `decoder/block_${i}/`;
      let h = this.norm(x, block + "attention_norm");
      const [output, weights] = this.attend(h, block + "self_attention/", cache);
      x = add(x, output);
      h = this.norm(x, block + "feed_forward_norm");
      h = this.dense(h, block + "feed_forward/expand_dense").map(gelu);
      x = add(x, this.dense(h, block + "feed_forward/contract_dense"));
      return weights;
    }));
    x = this.norm(x, "decoder/final_norm");
    return this.embedding.map((row) => dot(row, x));
  }

  // Keys of later tokens are not there yet: nothing to mask.
  attend(x, path, { keys, values }) {
    const { num_heads } = this.config, head_dim = x.length / num_heads;
    const query = split(this.dense(x, path + "query_dense"), num_heads);
    keys.push(split(this.dense(x, path + "key_dense"), num_heads));
    values.push(this.dense(x, path + "value_dense"));
    const weights = query.map((q, head) =>
      softmax(keys.map((key) => dot(q, key[head]) / Math.sqrt(head_dim))));
    const heads = x.map((_, i) => // side by side, so i tells whose it is
      weights[Math.floor(i / head_dim)].reduce((sum, w, j) => sum + w * values[j][i], 0));
    return [this.dense(heads, path + "output_dense"), weights];
  }

  // y = x · kernel + bias
  dense(x, path) {
    const kernel = this.arrays[path + "/kernel"], size = kernel.length / x.length;
    const y = new Float32Array(size);
    let k = 0;
    for (const value of x) for (let j = 0; j < size; j++) y[j] += value * kernel[k++];
    return add(y, this.arrays[path + "/bias"]);
  }

  // y = gain · (x − mean) / √(variance + ε) + bias
  norm(x, path) {
    const gain = this.arrays[path + "/gain"];
    const mean = x.reduce((a, b) => a + b) / x.length;
    const centred = x.map((value) => value - mean);
    const deviation = Math.sqrt(dot(centred, centred) / x.length + 1e-5);
    const y = centred.map((value, i) => (gain[i] * value) / deviation);
    return add(y, this.arrays[path + "/bias"]);
  }
}
