"""`pytorch.py`'s GPT, which generates with a cache of keys and values."""

import torch
from torch.nn import functional

from scripts.bench.peers import pytorch
from scripts.bench.peers.measure import cores


def block_of(block, x, keys, values, start):
    """Compute a block for new tokens; the cache has those before `start`."""
    batch, seq, width = x.shape
    parts = block.query_key_value(block.attention_norm(x)).split(width, 2)
    query, key, value = (
        part.view(batch, seq, block.num_heads, -1).transpose(1, 2) for part in parts
    )
    end = start + seq
    keys[:, :, start:end], values[:, :, start:end] = key, value
    heads = functional.scaled_dot_product_attention(
        query, keys[:, :, :end], values[:, :, :end], is_causal=seq > 1
    )
    x = x + block.output(heads.transpose(1, 2).reshape(x.shape))
    hidden = functional.gelu(block.expand(block.feed_forward_norm(x)), approximate="tanh")
    return x + block.contract(hidden)


@torch.inference_mode()
def write(model, prompt, max_new_tokens, choose):
    """Generate up to `max_len` tokens: read the prompt, then token by token."""
    batch, done = prompt.shape
    ids = torch.empty((batch, done + max_new_tokens), dtype=torch.long)
    ids[:, :done] = prompt
    heads, width = model.blocks[0].num_heads, model.embedding.embedding_dim
    cache = torch.empty((len(model.blocks), 2, batch, heads, model.max_len, width // heads))
    start = 0
    while done < ids.shape[1]:
        x = model.embedding(ids[:, start:done]) + model.positions.weight[start:done]
        for block, (keys, values) in zip(model.blocks, cache, strict=True):
            x = block_of(block, x, keys, values, start)
        ids[:, done] = choose(model.final_norm(x[:, -1]) @ model.embedding.weight.T)
        start, done = done, done + 1
    return ids


def draw(logits):
    return torch.multinomial(functional.softmax(logits, dim=-1), 1)[:, 0]


def sample(sizes, batch_size):
    torch.set_num_threads(cores())
    model = pytorch.GPT(**sizes.model).eval()
    prompt = torch.zeros((batch_size, 1), dtype=torch.long)
    return lambda: write(model, prompt, sizes.max_len - 1, draw)


def check(sizes, reference):
    model = pytorch.load(sizes, reference)
    prompt = torch.from_numpy(reference["prompt"]).long()
    more = sizes.max_len - prompt.shape[1]
    return {"greedy": write(model, prompt, more, lambda logits: logits.argmax(-1)).numpy()}
