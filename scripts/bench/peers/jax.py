"""The GPT of `pytorch.py` in plain JAX: arrays, functions, and `jit`."""

import math
import time
from functools import partial

import jax
import numpy as np
from jax import numpy as jnp

from scripts.bench.peers.measure import PAIRS


def draw(sizes, seed):
    """Draw nanoGPT's first weights: matrices `(in, out)`, gains of 1."""
    normal = np.random.default_rng(seed).normal
    width, shrink = sizes.d_model, math.sqrt(2 * sizes.num_layers)

    def matrix(rows, columns, std=0.02):
        return jnp.asarray(normal(size=(rows, columns), scale=std), "float32")

    def block():
        return {
            "attention_norm": jnp.ones(width),
            "query_key_value": matrix(width, 3 * width),
            "output": matrix(width, width, 0.02 / shrink),
            "feed_forward_norm": jnp.ones(width),
            "expand": matrix(width, 4 * width),
            "contract": matrix(4 * width, width, 0.02 / shrink),
        }

    return {
        "embedding": matrix(sizes.vocab_size, width),
        "positions": matrix(sizes.max_len, width),
        "blocks": [block() for _ in range(sizes.num_layers)],
        "final_norm": jnp.ones(width),
    }


def norm(gain, x):
    centred = x - x.mean(-1, keepdims=True)
    return gain * centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5)


def block_of(weights, x, num_heads):
    batch, seq, _ = x.shape
    parts = jnp.split(norm(weights["attention_norm"], x) @ weights["query_key_value"], 3, -1)
    parts = [part.reshape(batch, seq, num_heads, -1) for part in parts]
    heads = jax.nn.dot_product_attention(*parts, is_causal=True)
    x = x + heads.reshape(x.shape) @ weights["output"]
    hidden = norm(weights["feed_forward_norm"], x) @ weights["expand"]
    return x + jax.nn.gelu(hidden, approximate=True) @ weights["contract"]


def logits_of(weights, token_ids, num_heads):
    x = weights["embedding"][token_ids] + weights["positions"][: token_ids.shape[1]]
    for block in weights["blocks"]:
        x = block_of(block, x, num_heads)
    return norm(weights["final_norm"], x) @ weights["embedding"].T


def loss_of(weights, inputs, targets, num_heads):
    logits = jax.nn.log_softmax(logits_of(weights, inputs, num_heads))
    return -jnp.take_along_axis(logits, targets[..., None], -1).mean()


@partial(jax.jit, static_argnames="num_heads", donate_argnums=(0, 1))
def step(weights, state, inputs, targets, learning_rate, num_heads):
    """Make one step: the gradient, clipping, and AdamW."""
    loss, gradient = jax.value_and_grad(loss_of)(weights, inputs, targets, num_heads)
    squares = sum((part**2).sum() for part in jax.tree.leaves(gradient))
    shrink = jnp.minimum(1, 1 / (jnp.sqrt(squares) + 1e-6))
    count, means, squares = state
    count = count + 1

    def update(weight, mean, square, part):
        part = part * shrink
        mean = 0.9 * mean + 0.1 * part
        square = 0.99 * square + 0.01 * part**2
        change = mean / (1 - 0.9**count) / (jnp.sqrt(square / (1 - 0.99**count)) + 1e-8)
        decay = 0.1 if weight.ndim > 1 else 0
        return weight - learning_rate * (change + decay * weight), mean, square

    updated = jax.tree.map(update, weights, means, squares, gradient)
    weights, means, squares = jax.tree.transpose(
        jax.tree.structure(weights), jax.tree.structure((0, 0, 0)), updated
    )
    return weights, (count, means, squares), loss


def start(weights):
    """Make AdamW's state before the first step."""
    zeros = jax.tree.map(jnp.zeros_like, weights)
    return jnp.zeros(()), zeros, jax.tree.map(jnp.zeros_like, weights)


def train(sizes, meter):
    weights = draw(sizes, 1)
    state, batches = start(weights), [*zip(*map(jnp.asarray, sizes.batches(10)), strict=True)]
    for i in range(3):
        weights, state, loss = step(weights, state, *batches[i], 1e-3, sizes.num_heads)
        loss.block_until_ready()
        if i == 0:
            meter.stepped()
    since = time.perf_counter()
    for i in range(sizes.steps):
        weights, state, loss = step(weights, state, *batches[i % 10], 1e-3, sizes.num_heads)
    loss.block_until_ready()
    meter.timed(sizes.steps * batches[0][0].size, time.perf_counter() - since)


def check(sizes, reference):
    weights = {
        name: jnp.asarray(reference[f"weights/{name}"])
        for name in ("embedding", "positions", "final_norm")
    }
    weights["blocks"] = [
        {
            name.split(".")[-1]: jnp.asarray(array)
            for name, array in reference.items()
            if name.startswith(f"weights/blocks.{i}.")
        }
        for i in range(sizes.num_layers)
    ]
    inputs, targets = sizes.batches(4)
    logits, state, losses = logits_of(weights, inputs[0], sizes.num_heads), start(weights), []
    for i in range(sizes.steps):
        batch = inputs[i % 4], targets[i % 4]
        weights, state, loss = step(weights, state, *batch, 1e-2, sizes.num_heads)
        losses.append(float(loss))
    return {"logits": np.asarray(logits), "losses": losses}


def products(*matrices):
    @jax.jit
    def multiply(x, expand, contract):
        return jax.lax.fori_loop(0, PAIRS, lambda i, x: x @ expand @ contract, x)

    matrices = [jnp.asarray(matrix) for matrix in matrices]
    return lambda: multiply(*matrices).block_until_ready()
