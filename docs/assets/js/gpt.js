// models/gpt.py by the same names, one token at a time.

// weights = softmax(scores / temperature); at 0 the largest takes all.
export function softmax(scores, temperature = 1) {
  const most = Math.max(...scores);
  const powers = scores.map((s) => Math.exp((s - most) / (temperature || 1e-9)));
  const total = sum(powers);
  return powers.map((p) => p / total);
}

// Draw an index: a race of all, each as fast as its weight.
export function sample(weights) {
  const speeds = weights.map((w) => w / -Math.log(Math.random()));
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
      const array = new Float32Array(bits.buffer).map((x) => x * 2 ** 112);
      this[name] = shape[1] ? split(array, shape[0]) : array;
    }
  }

  start_cache() {
    this.begin = 0; // the window's first id
    this.weights = []; // [position][layer][head][key]
    this.cache = Array.from({ length: this.num_layers }, () => [[], []]);
  }

  // Read what is new in ids; of a full window, keep the last half.
  read(ids) {
    if (ids.length - this.begin > this.max_len) {
      this.start_cache();
      this.begin = ids.length - (this.max_len >> 1);
    }
    ids.slice(this.begin + this.weights.length).forEach((id) => this.forward(id));
  }

  forward(id) {
    let x = add(this["embedding/table"][id], this["positions/table"][this.weights.length]);
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
    this.logits = this["embedding/table"].map((row) => dot(row, x));
  }

  // No later key is in the cache yet: nothing to mask.
  attend(x, path, keys, values) {
    const query = split(this.dense(x, path + "query_dense"), this.num_heads);
    keys.push(split(this.dense(x, path + "key_dense"), this.num_heads));
    values.push(this.dense(x, path + "value_dense"));
    const head_dim = query[0].length;
    const weights = query.map((q, head) =>
      softmax(keys.map((key) => dot(q, key[head]) / Math.sqrt(head_dim))));
    const heads = x.map((_, i) =>
      dot(weights[Math.floor(i / head_dim)], values.map((v) => v[i])));
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
    const mean = sum(x) / x.length, centred = x.map((v) => v - mean);
    const deviation = Math.sqrt(dot(centred, centred) / x.length + 1e-5);
    const y = this[path + "/gain"].map((gain, i) => (gain * centred[i]) / deviation);
    return add(y, this[path + "/bias"]);
  }
}
