"""Llama files: published weights, from Hugging Face or from llama2.c.

Both store the same matrices, as `(out, in)`. They differ in their names,
and in the order of the rows that make queries and keys.
"""

import math
from pathlib import Path
from typing import Any

from minitransformer.runs.given import read_bytes, read_json
from minitransformer.runs.saving import (
    open_arrays,
    refuse_differences,
    shapes_of,
)

WEIGHTS = "model.safetensors"
# Our names → Hugging Face's: outside the blocks, and in a block.
OUTSIDE = {
    "embedding/table": "model.embed_tokens",
    "decoder/final_norm/gain": "model.norm",
    "logits_dense/kernel": "lm_head",
}
IN_BLOCK = {
    "attention_norm/gain": "input_layernorm",
    "self_attention/query_dense/kernel": "self_attn.q_proj",
    "self_attention/key_dense/kernel": "self_attn.k_proj",
    "self_attention/value_dense/kernel": "self_attn.v_proj",
    "self_attention/output_dense/kernel": "self_attn.o_proj",
    "feed_forward_norm/gain": "post_attention_layernorm",
    "feed_forward/gate_dense/kernel": "mlp.gate_proj",
    "feed_forward/contract_dense/kernel": "mlp.down_proj",
    "feed_forward/expand_dense/kernel": "mlp.up_proj",
}
SIZES = {  # our names of the entries of config.json → theirs, default
    "vocab_size": ("vocab_size", 32000),
    "max_len": ("max_position_embeddings", 2048),
    "d_model": ("hidden_size", 4096),
    "num_heads": ("num_attention_heads", 32),
    "num_layers": ("num_hidden_layers", 32),
    "num_kv_heads": ("num_key_value_heads", None),
    "d_ff": ("intermediate_size", 11008),
    "epsilon": ("rms_norm_eps", 1e-6),
    "tied": ("tie_word_embeddings", False),
    "bos_id": ("bos_token_id", 1),
}
MUST_BE = {  # the only values that our layers can compute
    "model_type": "llama",
    "hidden_act": "silu",
    "rope_theta": 10000,
    "rope_type": "default",
    "rope_scaling": None,
    "attention_bias": False,
    "mlp_bias": False,
}


def read_llama(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a published Llama, under our names and in our layout.

    Args:
        path: A folder with Hugging Face's `config.json` and
            `model.safetensors` (or its shards), or a `.bin` file in
            llama2.c's first format.

    Returns:
        sizes: A dictionary, the arguments of `LlamaConfig`.
        arrays: A dictionary from our names to NumPy arrays.

    Raises:
        ValueError: if files are missing or damaged, the model is of
            another kind, or tensors do not fit.
    """
    path = Path(path)
    if path.suffix == ".bin":
        sizes, arrays = read_llama2c(path)
    else:
        sizes, arrays = read_hugging_face(path)
    # Both multiply from the other side: y = x Wᵀ.
    return sizes, {
        name: array.T if name.endswith("kernel") else array
        for name, array in arrays.items()
    }


def shapes(sizes: dict[str, Any]) -> dict[str, tuple]:
    """List the shape of each weight, as both formats store it."""
    d_model, d_ff = sizes["d_model"], sizes["d_ff"]
    table = sizes["vocab_size"], d_model
    heads, kv_heads = sizes["num_heads"], sizes["num_kv_heads"]
    kv_width = d_model // heads * kv_heads
    special = {
        "key_dense": (kv_width, d_model),
        "value_dense": (kv_width, d_model),
        "gate_dense": (d_ff, d_model),
        "expand_dense": (d_ff, d_model),
        "contract_dense": (d_model, d_ff),
        "embedding": table,
        "logits_dense": table,
    }
    result = {}
    for name in names(sizes):
        layer, kind = name.split("/")[-2:]
        square = (d_model, d_model) if kind == "kernel" else (d_model,)
        result[name] = special.get(layer, square)
    return result


def names(sizes: dict[str, Any]) -> dict[str, str]:
    """List the name of each weight: ours → Hugging Face's."""
    result = {
        ours: f"{theirs}.weight"
        for ours, theirs in OUTSIDE.items()
        if theirs != "lm_head" or not sizes["tied"]
    }
    for i in range(sizes["num_layers"]):
        for ours, theirs in IN_BLOCK.items():
            ours = f"decoder/block_{i}/{ours}"
            result[ours] = f"model.layers.{i}.{theirs}.weight"
    return result


def read_hugging_face(folder: Path) -> tuple[dict, dict]:
    """Read `config.json` and `model.safetensors`; see `read_llama`."""
    published = read_json(require(folder, "config.json"))
    sizes = hugging_face_sizes(folder / "config.json", published)
    try:
        with open_arrays(weight_files(folder), needed) as (slices, _):
            if sizes["num_layers"] > len(slices):
                raise ValueError(
                    f"its {len(slices)} tensors are too few for "
                    f"{sizes['num_layers']:,} layers."
                )
            theirs, needs = names(sizes), shapes(sizes)
            if sizes["tied"]:  # some files hold the table a second time
                slices.pop("lm_head.weight", None)
            refuse_differences(
                shapes_of(slices), {theirs[n]: needs[n] for n in needs}
            )
            return sizes, {
                name: slices[theirs[name]][...].astype("float32")
                for name in needs
            }
    except ValueError as error:
        raise ValueError(
            f"The model in {folder} cannot be loaded: {error}"
        ) from error


def hugging_face_sizes(path: Path, published: dict) -> dict[str, Any]:
    """Take the sizes from a `config.json`; refuse another kind of model."""
    # Since version 5 of transformers, two entries stand one level deeper.
    deeper = published.get("rope_parameters")
    published = published | (deeper if isinstance(deeper, dict) else {})
    for name, value in MUST_BE.items():
        found = published.get(name, None if name == "model_type" else value)
        if found != value:
            raise ValueError(
                f"{path} has {name} {found!r:.60}, expected {value!r}: "
                "choose another model."
            )
    sizes: dict[str, Any] = {
        ours: published.get(theirs, default)
        for ours, (theirs, default) in SIZES.items()
    }
    if sizes["num_kv_heads"] is None:
        sizes["num_kv_heads"] = sizes["num_heads"]
    if isinstance(sizes["bos_id"], list):
        sizes["bos_id"] = [*sizes["bos_id"], None][0]
    for ours, value in sizes.items():
        kind = {"epsilon": float, "tied": bool}.get(ours, int)
        wrong = type(value) is not kind or (kind is int and value < 1)
        if wrong and ours != "bos_id":
            raise ValueError(
                f"{path} gives {SIZES[ours][0]} as {value!r:.60}, expected "
                f"a positive value of type {kind.__name__}."
            )
    head_dim = sizes["d_model"] // sizes["num_heads"]
    if (published.get("head_dim") or head_dim) != head_dim:
        raise ValueError(
            f"{path} has head_dim {published['head_dim']}, expected "
            f"{head_dim}, hidden_size / num_attention_heads: choose "
            "another model."
        )
    return sizes


def require(folder: Path, name: str) -> Path:
    """Find a file of a published folder."""
    if not (folder / name).is_file():
        raise ValueError(
            f"{folder} holds no published Llama: {name} is not there. Give "
            "a folder with config.json and model.safetensors, or a .bin "
            "file of llama2.c."
        )
    return folder / name


def weight_files(folder: Path) -> list[Path]:
    """List the files of a model's weights: one, or several shards."""
    index = folder / f"{WEIGHTS}.index.json"
    if (folder / WEIGHTS).exists() or not index.exists():
        return [require(folder, WEIGHTS)]
    shards = read_json(index).get("weight_map")
    files = [*shards.values()] if isinstance(shards, dict) else [None]
    if not all(isinstance(f, str) and Path(f).name == f for f in files):
        raise ValueError(f"{index} is damaged: it names no shards.")
    return [require(folder, file) for file in sorted({*map(str, files)})]


def needed(name: str) -> str:
    """Drop tensors that we compute: the frequencies of the rotation."""
    name = name.removeprefix("_orig_mod.")
    return "" if name.endswith("rotary_emb.inv_freq") else name


def read_llama2c(path: Path) -> tuple[dict, dict]:
    """Read a file of llama2.c: seven sizes, then float32 numbers.

    It keeps one kind of weight of all blocks together. Of a head's queries
    and keys, neighbouring rows turn together; in our order, a row turns
    with the one half a head later.
    """
    import numpy as np

    data = read_bytes(path, 2**36)
    sizes = llama2c_sizes(path, data[:28])
    needs = shapes(sizes)
    head_dim = sizes["d_model"] // sizes["num_heads"]
    blocks = range(sizes["num_layers"])
    order = ["embedding/table"]
    order += [f"decoder/block_{i}/{n}" for n in IN_BLOCK for i in blocks]
    order += ["decoder/final_norm/gain", "waves", "logits_dense/kernel"]
    # Cosines and sines of all positions, which we compute ourselves.
    needs["waves"] = (sizes["max_len"], head_dim)
    expected = 28 + 4 * sum(map(math.prod, needs.values()))
    if len(data) != expected:
        raise ValueError(
            f"{path} has {len(data):,} bytes, expected {expected:,} for "
            "the sizes at its beginning: download or export it again."
        )
    arrays, place = {}, 28
    for name in filter(needs.__contains__, order):
        count = math.prod(needs[name])
        array = np.frombuffer(data, "<f4", count, place)
        arrays[name] = array.reshape(needs[name])
        place += 4 * count
        if name.endswith(("query_dense/kernel", "key_dense/kernel")):
            # (heads, pair, 2, d_model) → (heads, 2, pair, d_model)
            pairs = array.reshape(-1, head_dim // 2, 2, sizes["d_model"])
            halves = pairs.transpose(0, 2, 1, 3)
            arrays[name] = halves.reshape(needs[name])
    del arrays["waves"]
    return sizes, arrays


def llama2c_sizes(path: Path, header: bytes) -> dict[str, Any]:
    """Take the sizes of a Llama from the first 28 bytes of its file."""
    import numpy as np

    numbers = np.frombuffer(header[: len(header) // 4 * 4], "<i4").tolist()
    in_order = (
        "d_model",
        "d_ff",
        "num_layers",
        "num_heads",
        "num_kv_heads",
        "vocab_size",
        "max_len",
    )
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
