// The forward pass of models/transformer.py, its greedy search, and its tokenizer, with
// their names. A vector is a row of a flat array.

import { add, attend, floats, Layers, multiply, row } from "./layers.js";

export class Transformer extends Layers {
  // From the bytes that scripts/book/export_dates.py writes.
  constructor(buffer) {
    super(buffer, "transformer");
    this.tokenizer = new Pieces(this);
  }

  // √d_model · embedding + position, for each token from position `start` on
  embed(token_ids, start = 0) {
    const { d_model } = this, x = floats(token_ids.length, d_model);
    token_ids.forEach((id, t) => row(x, t, d_model).set(row(this["embedding/table"], id, d_model).map((weight, i) => {
      const angle = (start + t) / 10000 ** ((i - (i % 2)) / d_model);
      return Math.sqrt(d_model) * weight + (i % 2 ? Math.cos(angle) : Math.sin(angle));
    })));
    return x;
  }

  // The keys and values of the tokens in x, for slots `start`, start + 1, … of the cache.
  remember(attention, x, cache, start = 0) {
    const { d_model } = this;
    for (let t = 0; t < x.length / d_model; t++) {
      this.dense(attention + "/key_dense", row(x, t, d_model), row(cache.keys, start + t, d_model));
      this.dense(attention + "/value_dense", row(x, t, d_model), row(cache.values, start + t, d_model));
    }
    return cache;
  }

  make_cache(length) {
    return { keys: floats(length, this.d_model), values: floats(length, this.d_model) };
  }

  // x ← LayerNorm(x + MultiHead(x, keys, values)), of one token. Returns each head's weights.
  attention_sublayer(attention, x, { keys, values }, length) {
    const { d_model, num_heads } = this;
    const query = floats(d_model), heads = floats(d_model), y = floats(d_model);
    const weights = Array.from({ length: num_heads }, () => floats(length));
    this.dense(attention + "/query_dense", x, query);
    attend(query, keys, values, weights, heads);
    this.dense(attention + "/output_dense", heads, y);
    add(x, y);
    this.norm(attention.replace("self_", "") + "_norm", x, x);
    return weights;
  }

  // x ← LayerNorm(x + FFN(x)), with FFN(x) = max(0, x W₁ + b₁) W₂ + b₂
  feed_forward_sublayer(block, x) {
    const wide = floats(this.d_ff), y = floats(this.d_model);
    this.dense(block + "feed_forward/expand_dense", x, wide);
    this.dense(block + "feed_forward/contract_dense", wide.map((number) => Math.max(0, number)), y);
    add(x, y);
    this.norm(block + "feed_forward_norm", x, x);
  }

  // Read the source: every token attends to all of them.
  encode(source_ids) {
    const { d_model } = this, length = source_ids.length, x = this.embed(source_ids);
    for (let layer = 0; layer < this.num_layers; layer++) {
      const block = `encoder/block_${layer}/`, attention = block + "self_attention";
      const cache = this.remember(attention, x, this.make_cache(length));
      for (let t = 0; t < length; t++) {
        this.attention_sublayer(attention, row(x, t, d_model), cache, length);
        this.feed_forward_sublayer(block, row(x, t, d_model));
      }
    }
    return x; // the memory
  }

  // The cache before the first token: the memory's keys and values do not change.
  start(source_ids) {
    const memory = this.encode(source_ids);
    return Array.from({ length: this.num_layers }, (_, layer) => ({
      self: this.make_cache(this.max_len),
      cross: this.remember(`decoder/block_${layer}/cross_attention`, memory, this.make_cache(source_ids.length)),
    }));
  }

  // Read token number t. Returns the logits of the next one, and the weights of
  // cross-attention for each layer and head.
  step(token, cache, t) {
    const x = this.embed([token], t), logits = floats(this.vocab_size);
    const weights = cache.map(({ self, cross }, layer) => {
      const block = `decoder/block_${layer}/`;
      this.remember(block + "self_attention", x, self, t);
      this.attention_sublayer(block + "self_attention", x, self, t + 1); // causal: no later key
      const to_source = this.attention_sublayer(block + "cross_attention", x, cross, cross.keys.length / this.d_model);
      this.feed_forward_sublayer(block, x);
      return to_source;
    });
    multiply(this["embedding/table"], x, logits);
    return { logits, weights };
  }

  // Greedy search: always take the likeliest token, up to the end.
  translate(source_ids) {
    const cache = this.start(source_ids), steps = [];
    let id = this.bos_id;
    while (id !== this.eos_id && steps.length < this.max_len) {
      const { logits, weights } = this.step(id, cache, steps.length);
      id = logits.indexOf(Math.max(...logits));
      steps.push({ id, logits, weights });
    }
    return steps;
  }
}

// tokenizers/sentencepieces.py: cut a text into the pieces whose scores have the largest
// sum. A character without a piece is spelled in the bytes of UTF-8.
export class Pieces {
  constructor({ pieces, scores, first_byte, eos_id }) {
    Object.assign(this, { pieces, scores, first_byte, eos_id });
    this.id_of = new Map(pieces.map((piece, id) => [piece, id]).filter(([piece]) => piece));
    this.longest = Math.max(...pieces.map((piece) => piece.length));
    this.unknown_score = Math.min(...scores) - 10;
  }

  // With a space in front and the end behind, as in training.
  encode_sentence(text) {
    const characters = [..." " + text.trim()], best = [{ score: 0, ids: [] }];
    characters.forEach((character, begin) => {
      const { score, ids } = best[begin];
      const offer = (end, more, gain) => {
        if (!(best[end]?.score >= score + gain)) best[end] = { score: score + gain, ids: [...ids, ...more] };
      };
      if (!this.id_of.has(character))
        offer(begin + 1, [...new TextEncoder().encode(character)].map((byte) => this.first_byte + byte), this.unknown_score);
      for (let end = begin + 1; end <= Math.min(begin + this.longest, characters.length); end++) {
        const id = this.id_of.get(characters.slice(begin, end).join(""));
        if (id !== undefined) offer(end, [id], this.scores[id]);
      }
    });
    return [...best[characters.length].ids, this.eos_id];
  }

  byte(id) {
    return id >= this.first_byte && id < this.first_byte + 256 ? id - this.first_byte : undefined;
  }

  decode(ids) {
    const bytes = ids.flatMap((id) => this.byte(id) ?? [...new TextEncoder().encode(this.pieces[id])]);
    return new TextDecoder().decode(new Uint8Array(bytes)).trim();
  }

  unknown(text) {
    return [...new Set(text)].filter((character) => !this.id_of.has(character));
  }
}
