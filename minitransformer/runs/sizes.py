"""Sizes: refuse those that no model can have or no machine can hold."""

import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from minitransformer.runs.given import checked, one_string, rate, switch


def check_sizes(config: Any) -> None:
    """Refuse a configuration that no model can have.

    Args:
        config: A dataclass; its integers are sizes, except ids (`…_id`).
            NumPy's numbers become Python's, so that JSON can store them.

    Raises:
        TypeError: if a field is of another type.
        ValueError: if a size is not positive, an id is not in the
            vocabulary, the heads do not divide the width, or the dropout
            rate is not in [0, 1).
    """

    def size(name, value):  # of any size: `weigh` estimates its memory
        expected = "an integer of at least 1"
        return checked(int, name, value, lambda n: n >= 1, expected)

    rules: dict[Any, Callable] = {
        int: size,
        float: lambda name, value: rate(name, value, below=1),
        bool: switch,
        str: one_string,
    }
    vocab_size = 0
    for field in fields(config):
        name, value = field.name, getattr(config, field.name)
        if value is None and field.default is None:
            continue
        if name.endswith("_id"):
            expected = f"an id of the vocabulary, 0 to {vocab_size - 1}"
            there = range(vocab_size).__contains__
            value = checked(int, name, value, there, expected)
        else:
            take = rules.get(field.type, size)  # or int | None
            value = take(name, value)
        object.__setattr__(config, name, value)  # it is frozen
        vocab_size = value if "vocab_size" in name else vocab_size
    num_heads = getattr(config, "num_heads", 1)
    if config.d_model % num_heads:
        raise ValueError(
            f"d_model={config.d_model} is not divisible by num_heads="
            f"{num_heads}: choose a multiple of {num_heads}."
        )


def least_bytes(settings: Mapping[str, Any]) -> int:
    """Estimate a lower bound of the memory of a model's arrays."""
    sizes = {name: n for name, n in settings.items() if type(n) is int}
    rows = sum(n for name, n in sizes.items() if "vocab_size" in name)
    # Rotary positions have no table: those of an NGramGPT, of a Llama.
    rotary = {"longest", "num_kv_heads"} & settings.keys()
    if not (rotary or settings.get("rotary")):
        rows += sizes.get("max_len", 0)
    # A memory has a table for each length, with at most all pairs.
    pairs = (sizes.get("vocab_size", 0) + 1) ** 2
    tables = max(sizes.get("longest", 1) - 1, 0)
    rows += tables * min(sizes.get("rows", 0), pairs)
    names = "d_model", "d_ff", "units", "num_layers"
    d_model, d_ff, units, num_layers = (sizes.get(k, 0) for k in names)
    rows += num_layers * (4 * d_model + 2 * d_ff)
    numbers = rows * d_model + 8 * units * (units + d_model)
    return 4 * numbers + 10**5 * num_layers  # 100 kB for a block's objects


def refuse_beyond_memory(needed: int) -> None:
    """Refuse something that does not fit into this machine's memory.

    Raises:
        ValueError: with the memory that is needed and that is there.
    """
    try:
        has = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return
    if needed > has:
        raise ValueError(
            f"This needs at least {needed / 2**30:,.1f} GiB of memory, and "
            f"this machine has {has / 2**30:,.1f}: give smaller sizes: "
            "of the width, the length or the batch."
        )


def weigh(config: Any, settings: dict) -> None:
    """Refuse a training that cannot fit into this machine's memory.

    The estimate is a lower bound. It counts the weights, their gradient and
    two moments; the ids of ten steps; the scores and logits of one row; and
    the caches of a beam search.

    Args:
        config: The configuration of a model.
        settings: The settings of a run.

    Raises:
        ValueError: with the estimate.
    """
    sizes = {"num_heads": 1, "num_layers": 2, "units": 0, **vars(config)}
    width = max(sizes["d_model"], sizes["units"])
    vocabulary = sum(n for name, n in sizes.items() if "vocab" in name)
    length, layers = settings["max_len"], sizes["num_layers"]
    rows = 10 * settings.get("accumulate", 1) * settings["batch_size"]
    cache = length * layers * width * 2 + vocabulary
    numbers = (
        4 * rows * length
        + length * (vocabulary + layers * sizes["num_heads"] * length)
        + 64 * settings.get("beam_size", 0) * cache
    )
    refuse_beyond_memory(4 * least_bytes(vars(config)) + 4 * numbers)
