"""Capture: read and change the arrays that a model computes on its way.

One call returns any of them; another call computes with others in their
place. The second kind is an *intervention*: it shows what an array does.
"""

import difflib
import inspect
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import keras
import tensorflow as tf

from minitransformer.inside.sites import STEP, open_sites
from minitransformer.runs.given import check_strings


@tf.autograph.experimental.do_not_convert
def capture(
    model: keras.Model,
    inputs: Any,
    names: Sequence[str],
    edits: Mapping[str, Any] | None = None,
) -> dict[str, tf.Tensor]:
    """Call a model, and return the arrays at some of its sites.

    Args:
        model: A model of this package.
        inputs: Token ids, or a tuple with all inputs of the model.
        names: Sites to return; "*" stands for any letters, as in
            "block*.self.weights". `sites(model)` lists all.
        edits: A dictionary from sites to what replaces their arrays: a
            function of the array, or another array of the same shape.

    Returns:
        A dictionary from names to arrays, in the order of computation. An
        edited site has its new array.

    Raises:
        TypeError: if `model` is no Keras model, or a name is no string.
        ValueError: if the model lacks a site, or an edit changes a shape.

    Examples:
        capture(gpt, ids, ["logits"], edits={"block0": tf.zeros_like})
    """
    names, edits = check_strings(names, "names"), dict(edits or {})
    found: dict[str, list] = {}
    seen: list[str] = []

    def visit(site, array):
        seen.append(site)
        for pattern, edit in edits.items():
            if fnmatchcase(site, pattern):
                array = replace(site, array, edit)
        if any(fnmatchcase(site, pattern) for pattern in names):
            found.setdefault(site, []).append(array)
        return array

    with open_sites(model, visit):
        model(*(inputs if isinstance(inputs, tuple) else (inputs,)))
    for name in [*names, *edits]:
        if not any(fnmatchcase(site, name) for site in seen):
            nearest = difflib.get_close_matches(name, seen, 1, cutoff=0)[0]
            raise ValueError(
                f"{model.name} has no site {name!r}: did you mean "
                f"{nearest!r}? sites(model) lists all."
            )
    # A decoder that works step by step made one array per target token.
    return {
        site: arrays[0] if len(arrays) == 1 else tf.concat(arrays, axis=1)
        for site, arrays in found.items()
    }


def sites(model: keras.Model) -> list[str]:
    """List the names of a model's sites, in the order of computation."""
    found: dict[str, tf.Tensor] = {}
    with open_sites(model, lambda site, x: found.setdefault(site, x)):
        parameters = inspect.signature(type(model).call).parameters
        needed = [p for p in parameters.values() if p.default is p.empty]
        model(*[tf.zeros((1, 1), tf.int32)] * (len(needed) - 1))  # no self
    return list(found)


def replace(site: str, array: tf.Tensor, edit: Any) -> tf.Tensor:
    """Apply an edit to an array.

    Raises:
        ValueError: if the shape changes.
    """
    new = tf.convert_to_tensor(edit(array) if callable(edit) else edit)
    step = STEP.get()
    if step is not None and not callable(edit):
        new = new[:, step : step + 1]  # of the whole target
    if not new.shape.is_compatible_with(array.shape):
        raise ValueError(
            f"The edit of {site} has shape {tuple(new.shape)}, expected "
            f"{tuple(array.shape)}: return an array of the same shape."
        )
    return tf.cast(new, array.dtype)
