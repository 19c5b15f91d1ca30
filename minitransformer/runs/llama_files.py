"""Llama files: published weights, from Hugging Face or from llama2.c.

Both store the same matrices, as `(out, in)`. They differ in their names,
and in the order of the rows that make queries and keys.
"""

import math
import re
from pathlib import Path
from typing import Any

from minitransformer.runs.given import read_bytes, read_json
from minitransformer.runs.pretrained import Form, read_model, stored_shape
from minitransformer.runs.saving import assign_weights, named_weights

# Our layers → Hugging Face's, in the order of llama2.c's file.
BLOCK = {
    "attention_norm": "input_layernorm",
    "self_attention/query_dense": "self_attn.q_proj",
    "self_attention/key_dense": "self_attn.k_proj",
    "self_attention/value_dense": "self_attn.v_proj",
    "self_attention/output_dense": "self_attn.o_proj",
    "feed_forward_norm": "post_attention_layernorm",
    "feed_forward/gate_dense": "mlp.gate_proj",
    "feed_forward/contract_dense": "mlp.down_proj",
    "feed_forward/expand_dense": "mlp.up_proj",
}


def read_settings(path: Path) -> dict[str, Any]:
    """Read a `config.json`, as any version of transformers writes it.

    Raises:
        ValueError: if it is damaged, or heads have a width of their own.
    """
    published: dict[str, Any] = {"model_type": None, "bos_token_id": 1}
    published |= read_json(path)
    # Since version 5, two entries stand one level deeper.
    deeper = published.get("rope_parameters")
    published |= deeper if isinstance(deeper, dict) else {}
    if isinstance(published["bos_token_id"], list):
        published["bos_token_id"] = [*published["bos_token_id"], None][0]
    names = "hidden_size", "num_attention_heads", "head_dim"
    width, heads, head_dim = (published.get(name, 0) for name in names)
    are_sizes = type(width) is type(heads) is int and heads > 0
    if are_sizes and (head_dim or width // heads) != width // heads:
        raise ValueError(
            f"{path} has head_dim {head_dim!r:.60}, expected "
            f"{width // heads}, hidden_size / num_attention_heads: choose "
            "another model."
        )
    return published


PUBLISHED = Form(
    kind="Llama (Hugging Face's folder, or llama2.c's .bin file)",
    vocabularies=(),
    sizes={
        "vocab_size": ("vocab_size", 32000),
        "max_len": ("max_position_embeddings", 2048),
        "d_model": ("hidden_size", 4096),
        "num_heads": ("num_attention_heads", 32),
        "num_layers": ("num_hidden_layers", 32),
        "num_kv_heads": ("num_key_value_heads", None),
        "d_ff": ("intermediate_size", 11008),
        "epsilon": ("rms_norm_eps", 1e-6),
        "tied": ("tie_word_embeddings", False),
        "bos_id": ("bos_token_id", None),
    },
    must_be={
        "config.json": {
            "model_type": "llama",
            "hidden_act": "silu",
            "rope_theta": 10000,
            "rope_type": "default",
            "rope_scaling": None,
            "attention_bias": False,
            "mlp_bias": False,
        }
    },
    layers={
        "embedding": "embed_tokens",
        **{
            f"decoder/block_#/{ours}": f"layers.#.{theirs}"
            for ours, theirs in BLOCK.items()
        },
        "decoder/final_norm": "norm",
        "logits_dense": "lm_head",
    },
    not_needed=r".*rotary_emb\.inv_freq$",  # which we compute ourselves
    by_rows=True,
    read=read_settings,
)


def read_llama(make: Any, path: str | Path) -> Any:
    """Make a Llama with published weights.

    Args:
        make: The class of the model.
        path: A folder with Hugging Face's `config.json` and
            `model.safetensors` (or its shards), or a `.bin` file in
            llama2.c's first format.

    Raises:
        ValueError: if files are missing or damaged, the model is of
            another kind, or tensors do not fit.
    """
    path = Path(path)
    if path.suffix != ".bin":
        return read_model(make, path, PUBLISHED)
    return read_llama2c(make, path)


def read_llama2c(make: Any, path: Path) -> Any:
    """Read a file of llama2.c: seven sizes, then float32 numbers.

    It keeps one kind of weight of all blocks together. Of a head's queries
    and keys, neighbouring rows turn together; in our order, a row turns
    with the one half a head later.
    """
    import numpy as np

    data = read_bytes(path, 2**36)
    config = make.config_class(**llama2c_sizes(path, data[:28]))
    d_model, head_dim = config.d_model, config.d_model // config.num_heads
    # Of width d_model, in a block: attention, feed-forward and two norms.
    rows = 2 * d_model + 2 * head_dim * config.num_kv_heads
    rows = config.num_layers * (rows + 3 * config.d_ff + 2)
    rows += config.vocab_size * (1 if config.tied else 2) + 1
    waves = config.max_len * head_dim  # cosines and sines, not needed
    expected = 28 + 4 * (rows * d_model + waves)
    if len(data) != expected:
        raise ValueError(
            f"{path} has {len(data):,} bytes, expected {expected:,} for "
            "the sizes at its beginning: download or export it again."
        )
    model = make(config)
    weights, order = named_weights(model), list(PUBLISHED.layers)

    def place(name: str) -> int:  # the same for all blocks
        layer = name.rpartition("/")[0]
        return order.index(re.sub(r"block_\d+", "block_#", layer))

    numbers = np.frombuffer(data, "<f4", offset=28)
    arrays = {}
    for name in sorted(weights, key=place):
        if name.startswith("logits_dense"):
            numbers = numbers[waves:]
        shape = stored_shape([name], weights, PUBLISHED)
        array, numbers = np.split(numbers, [math.prod(shape)])
        if "query_dense" in name or "key_dense" in name:
            # (heads, pair, 2, d_model) → (heads, 2, pair, d_model)
            pairs = array.reshape(-1, head_dim // 2, 2, d_model)
            array = pairs.transpose(0, 2, 1, 3)
        array = array.reshape(shape)
        arrays[name] = array.T if name.endswith("kernel") else array
    assign_weights(model, arrays)
    return model


def llama2c_sizes(path: Path, header: bytes) -> dict[str, Any]:
    """Take the sizes of a Llama from the first 28 bytes of its file."""
    import numpy as np

    numbers = np.frombuffer(header[: len(header) // 4 * 4], "<i4").tolist()
    in_order = ["d_model", "d_ff", "num_layers", "num_heads"]
    in_order += ["num_kv_heads", "vocab_size", "max_len"]
    sizes: dict[str, Any] = dict(zip(in_order, numbers, strict=False))
    # A negative number of tokens: the logits have a table of their own.
    sizes |= {"tied": sizes.get("vocab_size", 0) > 0, "bos_id": 1}
    sizes["vocab_size"] = abs(sizes.get("vocab_size", 0))
    sizes["epsilon"] = 1e-5
    if (
        len(numbers) < 7
        or not all(0 < sizes[name] < 2**20 for name in in_order)
        or sizes["num_layers"] > 2**10
        or sizes["d_model"] % (2 * sizes["num_heads"])
    ):
        raise ValueError(
            f"{path} begins with {numbers}, expected seven sizes: it is "
            "not in llama2.c's first format. Export it with --version 0."
        )
    return sizes
