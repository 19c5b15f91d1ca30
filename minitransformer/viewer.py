"""Viewer: attention weights of any model, as one HTML file to explore.

The style and the script are those of viewer.html, in the same folder.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minitransformer.figures import escape, plain
from minitransformer.runs.given import check_strings

TEMPLATE = Path(__file__).with_suffix(".html")
LIMIT = 2_000_000  # weights in one file, which then has about 5 MB
VISIBLE = str.maketrans({" ": "␣", "\n": "↵", "\t": "⇥"})


class View(str):
    """The text of an HTML file; a notebook shows it as a part of itself."""

    def _repr_html_(self) -> str:
        """Put the file into a frame, which cannot touch the notebook."""
        title = self.partition("<title>")[2].partition("</title>")[0]
        frame = (
            f'<iframe title="{title}" sandbox="allow-scripts" '
            'loading="lazy" style="display:block;width:100%;height:44rem;'
            f'border:0" srcdoc="{escape(self)}"></iframe>'
        )
        # In a page of another encoding, the script would be another one.
        return frame.encode("ascii", "xmlcharrefreplace").decode()

    def save(self, path: str | Path) -> None:
        """Write the file, to open it in a browser or to send it.

        Raises:
            ValueError: if the file cannot be written.
        """
        try:
            Path(path).write_text(self, "utf-8")
        except OSError as error:
            raise ValueError(
                f"{path} cannot be written ({error.strerror}): give the "
                "name of a file in a folder that exists."
            ) from None


def to_array(value: Any, name: str) -> np.ndarray:
    """Take an array or a tensor of NumPy, TensorFlow, PyTorch or JAX."""
    try:
        if hasattr(value, "detach"):  # a PyTorch tensor
            value = value.detach().cpu().float()
        return np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError, NotImplementedError):
        raise ValueError(
            f"{name} is no array of numbers, but {type(value).__name__}: "
            "give one array (heads, query, key) per layer."
        ) from None


def split_layers(weights: Any) -> list[np.ndarray]:
    """Return one array `(heads, query, key)` per layer.

    Raises:
        ValueError: if something else was given.
    """
    if not isinstance(weights, list | tuple):
        array = to_array(weights, "weights")
        weights = [*array] if array.ndim > 3 else [array]
    layers = []
    for number, value in enumerate(weights):
        if value is None:
            raise ValueError(
                f"Layer {number} is None: ask the model for its weights "
                'first (in transformers: attn_implementation="eager" and '
                "output_attentions=True)."
            )
        layer = to_array(value, f"Layer {number}")
        if layer.ndim == 4 and len(layer) > 1:
            raise ValueError(
                f"Layer {number} holds {len(layer)} texts, and one text "
                "is shown: give [layer[0] for layer in weights]."
            )
        layer = layer[0] if layer.ndim == 4 and len(layer) else layer
        layer = layer[None] if layer.ndim == 2 else layer
        if layer.ndim != 3 or 0 in layer.shape:
            raise ValueError(
                f"Layer {number} has the shape {np.shape(value)}: give "
                "one array (heads, query, key) per layer."
            )
        layers.append(layer)
    if not layers:
        raise ValueError(
            "weights is empty: give one array (heads, query, key) per "
            "layer."
        )
    return layers


def check_weights(layer: np.ndarray, number: int) -> None:
    """Refuse NaN, and scores in the place of weights.

    A sum may be 0, of a query that may attend to nothing. Weights in
    bfloat16 have three digits, so their sum can differ from 1.

    Raises:
        ValueError: if a row is not a row of weights.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        total = layer.sum(-1)
        right = (abs(total - 1) < 0.02) | (total == 0)
        right &= (layer >= 0).all(-1)
    if right.all():
        return
    head, query = np.argwhere(~right)[0]
    row = layer[head, query]
    name = f"Layer {number}, head {head}, query {query}"
    if not np.isfinite(row).all():
        raise ValueError(
            f"{name}: found NaN or infinity, expected weights from 0 to 1. "
            "Find the step that made them, such as the softmax of a row "
            "in which every key is masked."
        )
    raise ValueError(
        f"{name}: found weights from {row.min():.3g} to {row.max():.3g} "
        f"with the sum {row.sum():.3g}, expected weights of at least 0 "
        "with the sum 1. Give the weights after the softmax, not the "
        "scores, and without dropout."
    )


def shown(tokens: Sequence[str], name: str) -> list[str]:
    """Make spaces, line ends and control characters visible.

    Examples:
        >>> shown("a b", "tokens")
        ['a', '␣', 'b']

    Raises:
        TypeError: if something in the list is not a string.
    """
    if isinstance(tokens, str):
        tokens = list(tokens)
    texts = check_strings(tokens, name)
    return [plain(text).translate(VISIBLE) or "∅" for text in texts]


def check_sizes(
    layers: list[np.ndarray], queries: list[str], keys: list[str]
) -> None:
    """Refuse arrays that do not fit the tokens, or one file.

    Raises:
        ValueError: if an array or all of them have the wrong size.
    """
    expected = len(queries), len(keys)
    for number, layer in enumerate(layers):
        if layer.shape[1:] != expected:
            raise ValueError(
                f"Layer {number} has {layer.shape[1]} queries and "
                f"{layer.shape[2]} keys, but there are {expected[0]} "
                f"tokens for the queries and {expected[1]} for the keys: "
                "give one token per query and key, also for special "
                "tokens and padding (key_tokens, if the keys are another "
                "text)."
            )
    if (size := sum(layer.size for layer in layers)) > LIMIT:
        raise ValueError(
            f"There are {size:,} weights, and one file holds at most "
            f"{LIMIT:,}: give fewer layers, as in weights[:2], fewer "
            "heads, or a shorter text."
        )


def check_segments(segments: Sequence[int], count: int) -> list[int]:
    """Take one number per token.

    Raises:
        ValueError: if there are more or fewer, or they are no numbers.
    """
    try:
        groups = [int(segment) for segment in segments]
    except (TypeError, ValueError):
        groups = []
    if len(groups) != count or not groups:
        raise ValueError(
            f"segments={segments!r:.40}: found {len(groups)} numbers for "
            f"{count} tokens that are queries and keys. Give one number "
            "per token, and no key_tokens."
        )
    return groups


def encode(layer: np.ndarray) -> str:
    """Write weights as two bytes each, and the bytes as letters.

    Examples:
        >>> encode(np.array([0.0, 1.0]))
        'AAD//w=='
    """
    numbers = np.rint(layer.clip(0, 1) * 65535).astype("<u2")
    return base64.b64encode(numbers.tobytes()).decode("ascii")


def policy(template: str) -> str:
    """Allow this style and this script, and no request at all."""
    rules = ["default-src 'none'"]
    for tag in ("style", "script"):
        found = re.search(f"<{tag}>(.*?)</{tag}>", template, re.S)
        assert found
        digest = hashlib.sha256(found[1].encode()).digest()
        text = base64.b64encode(digest).decode("ascii")
        rules.append(f"{tag}-src 'sha256-{text}'")
    return "; ".join(rules)


def view(
    weights: Any,
    tokens: Sequence[str],
    *,
    key_tokens: Sequence[str] | None = None,
    segments: Sequence[int] | None = None,
    label: str = "Attention weights",
) -> View:
    """Show the attention weights of a text in all layers and heads.

    In a notebook, the last value of a cell is shown. Elsewhere, write
    `view(weights, tokens).save("attention.html")` and open the file.

    Args:
        weights: A list with one array `(heads, query, key)` or
            `(1, heads, query, key)` per layer, such as
            `model.attention_maps(token_ids)`. Arrays may come from NumPy,
            TensorFlow, PyTorch or JAX. One array with two or three axes is
            one layer; of an array with more, the first axis is the layers.
        tokens: The text of each query, in a list; one string is a list of
            characters.
        key_tokens: The text of each key, if the keys are not the queries:
            in the cross-attention of a translator.
        segments: The number of each token's segment, for two texts in a
            BERT.
        label: Title of the file.

    Returns:
        A `View`: a string with a whole HTML file, which loads nothing.

    Raises:
        TypeError: if tokens are no strings.
        ValueError: if an array has a wrong shape, does not fit the tokens,
            or has rows that are no weights; if there are more than two
            million weights; or if segments do not fit the tokens.
    """
    queries = shown(tokens, "tokens")
    keys = queries
    if key_tokens is not None:
        keys = shown(key_tokens, "key_tokens")
    layers = split_layers(weights)
    check_sizes(layers, queries, keys)
    for number, layer in enumerate(layers):
        check_weights(layer, number)
    groups = None
    if segments is not None:
        groups = check_segments(segments, 0 if key_tokens else len(keys))
    data = {
        "queries": queries,
        "keys": keys,
        "segments": groups,
        "layers": [encode(layer) for layer in layers],
    }
    template = TEMPLATE.read_text("utf-8")
    texts = {
        "POLICY": policy(template),
        "LABEL": escape(label),
        # No "<" can end the element in which the data stands.
        "DATA": json.dumps(data).replace("<", r"\u003c"),
    }
    return View(re.sub("|".join(texts), lambda m: texts[m[0]], template))
