// models/gpt.py by the same names, one token at a time.

// weights = softmax(scores / temperature); at 0 the largest takes all.
export function softmax(scores, temperature = 1) {
  const most = Math.max(...scores);
  const powers = scores.map((s) => Math.exp((s - most) / (temperature || 1e-9)));
  const total = sum(powers);
  return powers.map((power) => power / total);
}

// Draw an index: all run a race, each as fast as its weight.
export function sample(weights) {
  const speeds = weights.map((weight) => weight / -Math.log(Math.random()));
  return speeds.indexOf(Math.max(...speeds));
}

const sum = (x) => x.reduce((a, b) => a + b);
const dot = (a, b) => a.reduce((total, x, i) => total + x * b[i], 0);
const add = (a, b) => (b ? a.map((x, i) => x + b[i]) : a);
const gelu = (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

// Cut a table into rows, a vector into heads.
function split(array, count) {
  const size = array.length / count;
  return Array.from({ length: count }, (_, i) => array.subarray(i * size, (i + 1) * size));
}

export class GPT {
  // Read the bytes that scripts/export_gpt.py wrote.
  constructor(buffer) {
    const [size] = new Uint32Array(buffer, 0, 1);
    const header = new TextDecoder().decode(new Uint8Array(buffer, 8, size));
    const { __metadata__, ...entries } = JSON.parse(header);
    for (const name in entries) {
      const { shape, data_offsets: [start, end] } = entries[name];
      const halves = new Uint16Array(buffer, 8 + size + start, (end - start) / 2);
      // Moved left, the bits are a float32's, but for 112 in the exponent.
      const bits = new Uint32Array(halves).map((h) => ((h & 0x8000) << 16) | ((h & 0x7fff) << 13));
      const array = new Float32Array(bits.buffer).map((x) => x * 2 ** 112);
      this[name] = shape[1] ? split(array, shape[0]) : array;
    }
    this.config = JSON.parse(__metadata__.gpt);
    this.start_cache();
  }

  start_cache() {
    this.begin = 0; // the window's first id
    this.weights = []; // [position][layer][head][key]
    this.cache = Array.from({ length: this.config.num_layers }, () => [[], []]);
  }

  // Read what is new in ids; of a full window, keep the last half.
  read(ids) {
    const { max_len } = this.config;
    if (ids.length - this.begin > max_len) {
      this.start_cache();
      this.begin = ids.length - (max_len >> 1);
    }
    ids.slice(this.begin + this.weights.length).forEach((id) => this.forward(id));
  }

  forward(id) {
    const table = this["embedding/table"];
    let x = add(table[id], this["positions/table"][this.weights.length]);
    this.weights.push(this.cache.map((cache, i) => {
      const block = `decoder/block_${i}/`;
      let h = this.norm(x, block + "attention_norm");
      const [output, weights] = this.attend(h, block + "self_attention/", ...cache);
      x = add(x, output);
      h = this.norm(x, block + "feed_forward_norm");
      h = this.dense(h, block + "feed_forward/expand_dense").map(gelu);
      x = add(x, this.dense(h, block + "feed_forward/contract_dense"));
      return weights;
    }));
    x = this.norm(x, "decoder/final_norm");
    this.logits = table.map((row) => dot(row, x)); // for the next id
  }

  // Later keys are not in the cache yet: nothing to mask.
  attend(x, path, keys, values) {
    const { num_heads } = this.config, head_dim = x.length / num_heads;
    const query = split(this.dense(x, path + "query_dense"), num_heads);
    keys.push(split(this.dense(x, path + "key_dense"), num_heads));
    values.push(this.dense(x, path + "value_dense"));
    const weights = query.map((q, head) =>
      softmax(keys.map((key) => dot(q, key[head]) / Math.sqrt(head_dim))));
    const heads = x.map((_, i) => // merged: i is in head ⌊i / head_dim⌋
      dot(weights[Math.floor(i / head_dim)], values.map((value) => value[i])));
    return [this.dense(heads, path + "output_dense"), weights];
  }

  // y = x · kernel + bias
  dense(x, path) {
    const kernel = this[path + "/kernel"], y = new Float32Array(kernel[0].length);
    kernel.forEach((row, i) => {
      for (let j = 0; j < y.length; j++) y[j] += x[i] * row[j];
    });
    return add(y, this[path + "/bias"]);
  }

  // y = gain · (x − mean) / √(variance + ε) + bias
  norm(x, path) {
    const mean = sum(x) / x.length, centred = x.map((value) => value - mean);
    const deviation = Math.sqrt(dot(centred, centred) / x.length + 1e-5);
    const y = this[path + "/gain"].map((gain, i) => (gain * centred[i]) / deviation);
    return add(y, this[path + "/bias"]);
  }
}
