// The forward pass of models/gpt.py, with its names. A table is one flat array, and
// each array is made once: new ones would take longer than the arithmetic.

import { add, attend, floats, Layers, multiply, row } from "./layers.js";

// Draw an index, each as often as its weight says.
export function sample(weights) {
  let left = Math.random(), i = 0;
  while (i < weights.length - 1 && (left -= weights[i]) > 0) i++;
  return i;
}

export class GPT extends Layers {
  // From the bytes that scripts/book/export_gpt.py writes.
  constructor(buffer) {
    super(buffer, "gpt");
    const { d_model, d_ff, num_layers, num_heads, max_len, vocab_size } = this;
    this.x = floats(max_len, d_model); // the residual stream
    this.query = floats(max_len, d_model);
    this.keys = Array.from({ length: num_layers }, () => floats(max_len, d_model));
    this.values = Array.from({ length: num_layers }, () => floats(max_len, d_model));
    this.weights = floats(num_layers, num_heads, max_len, max_len);
    this.h = floats(d_model); // one token, after a norm
    this.heads = floats(d_model); // all heads
    this.y = floats(d_model); // a layer
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
  // Of a longer text, keep the last max_len / 2.
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
    for (let t = first; t < length; t++)
      row(x, t, d_model).set(row(this["embedding/table"], this.ids[this.begin + t], d_model));
    for (let layer = 0; layer < this.num_layers; layer++) {
      const block = `decoder/block_${layer}/`, attention = block + "self_attention/";
      for (let t = first; t < length; t++) {
        this.norm(block + "attention_norm", row(x, t, d_model), h);
        this.dense(attention + "query_dense", h, row(this.query, t, d_model));
        this.dense(attention + "key_dense", h, row(this.keys[layer], t, d_model));
        this.dense(attention + "value_dense", h, row(this.values[layer], t, d_model));
        if (this.mistake === "positions") continue;
        this.rotate(row(this.query, t, d_model), t);
        this.rotate(row(this.keys[layer], t, d_model), t);
      }
      for (let t = first; t < length; t++) {
        const stream = row(x, t, d_model);
        this.attend(layer, t, length);
        this.dense(attention + "output_dense", this.heads, y);
        add(stream, y);
        this.norm(block + "feed_forward_norm", stream, h);
        this.dense(block + "feed_forward/expand_dense", h, wide);
        for (let i = 0; i < wide.length; i++) wide[i] = Math.max(wide[i], 0) ** 2;
        this.dense(block + "feed_forward/contract_dense", wide, y);
        add(stream, y);
      }
    }
    this.norm("decoder/final_norm", row(x, length - 1, d_model), h);
    multiply(this["embedding/table"], h, this.logits);
  }

  // Rotate the pairs (a, b) of all heads, as positions.py does.
  rotate(x, position) {
    const size = this.d_model / this.num_heads, half = size / 2;
    for (let i = 0; i < half; i++) {
      const angle = position / 10000 ** (i / half), cos = Math.cos(angle), sin = Math.sin(angle);
      for (let k = i; k < x.length; k += size) {
        const a = x[k], b = x[k + half];
        x[k] = a * cos - b * sin;
        x[k + half] = a * sin + b * cos;
      }
    }
  }

  // Causal: keys up to the query. Flipped: keys from the query on.
  attend(layer, t, length) {
    const { d_model, num_heads } = this, weights = [];
    const [from, to] = this.mistake === "mask" ? [t, length] : [0, t + 1];
    for (let head = 0; head < num_heads; head++)
      weights.push(this.row(layer, head, t).fill(0).subarray(from, to));
    const keys = this.keys[layer].subarray(from * d_model), values = this.values[layer].subarray(from * d_model);
    attend(row(this.query, t, d_model), keys, values, weights, this.heads);
  }

  // The weights of one query for all keys.
  row(layer, head, query) {
    return row(this.weights, (layer * this.num_heads + head) * this.max_len + query, this.max_len);
  }
}
