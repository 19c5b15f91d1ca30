"""nanoGPT's model in plain PyTorch, to compare with.

It has fused attention, AdamW that decays only matrices, clipping, and the
initial weights and the tied embedding of nanoGPT. It samples without a cache.
"""

import math
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from scripts.bench.peers.measure import PAIRS, cores


class Block(nn.Module):
    def __init__(self, d_model, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(d_model, bias=False)
        self.query_key_value = nn.Linear(d_model, 3 * d_model, bias=False)
        self.output = nn.Linear(d_model, d_model, bias=False)
        self.feed_forward_norm = nn.LayerNorm(d_model, bias=False)
        self.expand = nn.Linear(d_model, 4 * d_model, bias=False)
        self.contract = nn.Linear(4 * d_model, d_model, bias=False)

    def forward(self, x):
        batch, seq, width = x.shape
        parts = self.query_key_value(self.attention_norm(x)).split(width, 2)
        query, key, value = (
            part.view(batch, seq, self.num_heads, -1).transpose(1, 2) for part in parts
        )
        heads = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.output(heads.transpose(1, 2).reshape(x.shape))
        hidden = self.expand(self.feed_forward_norm(x))
        hidden = functional.gelu(hidden, approximate="tanh")
        return x + self.contract(hidden)


class GPT(nn.Module):
    def __init__(self, vocab_size, max_len, d_model, num_heads, num_layers):
        super().__init__()
        self.max_len = max_len
        self.embedding = nn.Embedding(vocab_size, d_model)
        self.positions = nn.Embedding(max_len, d_model)
        self.blocks = nn.ModuleList(Block(d_model, num_heads) for _ in range(num_layers))
        self.final_norm = nn.LayerNorm(d_model, bias=False)
        for name, weight in self.named_parameters():
            if weight.dim() < 2:
                continue
            last = name.endswith(("output.weight", "contract.weight"))
            shrink = math.sqrt(2 * num_layers) if last else 1
            nn.init.normal_(weight, std=0.02 / shrink)

    def forward(self, token_ids):
        x = self.embedding(token_ids)
        x = x + self.positions.weight[: token_ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.final_norm(x) @ self.embedding.weight.T


def make_optimizer(model, learning_rate):
    weights = list(model.parameters())
    return torch.optim.AdamW(
        [
            {"params": [w for w in weights if w.dim() > 1], "weight_decay": 0.1},
            {"params": [w for w in weights if w.dim() < 2], "weight_decay": 0.0},
        ],
        lr=learning_rate,
        betas=(0.9, 0.99),
    )


def loss_of(model, inputs, targets):
    logits = model(inputs)
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def step(model, optimizer, inputs, targets):
    loss = loss_of(model, inputs, targets)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    update(model, optimizer)
    return loss


def update(model, optimizer):
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def train(sizes, meter, step=step):
    torch.set_num_threads(cores())
    torch.manual_seed(1)
    model = GPT(**sizes.model)
    optimizer = make_optimizer(model, 1e-3)
    batches = [torch.from_numpy(part).long() for part in sizes.batches(10)]
    for i in range(3):
        step(model, optimizer, *(part[i] for part in batches)).item()
        if i == 0:
            meter.stepped()
    since = time.perf_counter()
    for i in range(sizes.steps):
        step(model, optimizer, *(part[i % 10] for part in batches))
    seconds = time.perf_counter() - since
    meter.timed(sizes.steps * batches[0][0].numel(), seconds)


def recipe(sizes, meter, text, seed):
    """Train by nanoGPT's recipe, 2,000 steps, and measure the validation loss."""
    torch.set_num_threads(cores())
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    train_ids, valid_ids = split_ids(text)
    model = GPT(**{**sizes.model, "vocab_size": int(train_ids.max()) + 1})
    optimizer = make_optimizer(model, 1e-3)
    rows, seq = sizes.batch_size, sizes.max_len
    since = time.perf_counter()
    for i in range(2000):
        rise, fall = ((i + 1) / 101, (1 + math.cos(math.pi * (i - 100) / 1900)))
        rate = 1e-3 * rise if i < 100 else 1e-4 + 9e-4 * fall / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        places = draw.integers(0, len(train_ids) - seq, (rows, 1))
        tokens = torch.from_numpy(train_ids[places + np.arange(seq + 1)])
        step(model, optimizer, tokens[:, :-1], tokens[:, 1:])
    meter.notes["train_s"] = time.perf_counter() - since
    total = 0.0
    with torch.no_grad():
        for i in range(0, len(valid_ids) - 1, seq):
            part = torch.from_numpy(valid_ids[i : i + seq + 1])[None]
            loss = loss_of(model, part[:, :-1], part[:, 1:])
            total += float(loss) * (part.shape[1] - 1)
    meter.notes["valid_loss"] = total / (len(valid_ids) - 1)


def split_ids(text):
    """Number the characters; the last tenth is for validation."""
    numbers = {c: i for i, c in enumerate(sorted(set(text)))}
    ids = np.array([numbers[c] for c in text])
    place = int(0.9 * len(ids))
    return ids[:place], ids[place:]


def sample(sizes, batch_size):
    torch.set_num_threads(cores())
    model = GPT(**sizes.model).eval()
    prompt = torch.zeros((batch_size, 1), dtype=torch.long)
    return lambda: write(model, prompt, sizes.max_len - 1)


@torch.no_grad()
def write(model, token_ids, max_new_tokens):
    """Generate as nanoGPT does: read the whole window again for each token."""
    for _ in range(max_new_tokens):
        logits = model(token_ids[:, -model.max_len :])[:, -1]
        probabilities = functional.softmax(logits, dim=-1)
        token = torch.multinomial(probabilities, 1)
        token_ids = torch.cat([token_ids, token], dim=1)
    return token_ids


def load(sizes, reference):
    """Make a model with the reference's weights; a Linear's matrix is transposed."""
    model = GPT(**sizes.model)
    weights = {
        f"{name.removeprefix('weights/')}.weight": torch.from_numpy(array.copy())
        for name, array in reference.items()
        if name.startswith("weights/")
    }
    linear = ("query_key_value.weight", "output.weight", "expand.weight", "contract.weight")
    model.load_state_dict({n: w.T if n.endswith(linear) else w for n, w in weights.items()})
    return model


def check(sizes, reference, step=step):
    """Compute what the reference has: logits, and the losses of some steps."""
    model = load(sizes, reference)
    inputs, targets = (torch.from_numpy(part).long() for part in sizes.batches(4))
    logits = model(inputs[0]).detach().numpy()
    optimizer = make_optimizer(model, 1e-2)
    losses = [
        step(model, optimizer, inputs[i % 4], targets[i % 4]).item() for i in range(sizes.steps)
    ]
    return {"logits": logits, "losses": losses}


def products(*matrices):
    torch.set_num_threads(cores())
    x, expand, contract = map(torch.from_numpy, matrices)

    @torch.no_grad()
    def multiply():
        result = x
        for _ in range(PAIRS):
            result = result @ expand @ contract
        return result

    return multiply
