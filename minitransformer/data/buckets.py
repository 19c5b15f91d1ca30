"""Buckets: batches of pairs that have about the same length.

The sentences of a batch are padded to the longest one. Batches of similar
lengths need little padding.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from minitransformer.data.datasets import one_row
from minitransformer.data.objectives import Batch, translation
from minitransformer.runs.given import at_least, whole

Encoded = list[tuple[list[int], list[int]]]  # source ids, target ids


def encode_pairs(
    pairs: Sequence[tuple[str, str]],
    tokenizers: Sequence[Any],
    *,
    max_len: int,
) -> tuple[Encoded, int]:
    """Turn pairs into ids; leave out pairs that are too long.

        source: tokens, eos_id       target: bos_id, tokens, eos_id

    Args:
        pairs: A list of (source, target).
        tokenizers: The source's and the target's, with the same `pad_id`,
            `bos_id` and `eos_id`.
        max_len: The most tokens, `bos_id` and `eos_id` included.

    Returns:
        A list of (source ids, target ids), and the number left out.
    """
    source_tokenizer, target_tokenizer = tokenizers
    encoded = []
    for source, target in pairs:
        source_ids = encode_sentence(source_tokenizer, source)
        target_ids = encode_sentence(target_tokenizer, target)
        target_ids = [target_tokenizer.bos_id, *target_ids]
        if max(len(source_ids), len(target_ids)) <= max_len:
            encoded.append((source_ids, target_ids))
    return encoded, len(pairs) - len(encoded)


def encode_sentence(tokenizer: Any, sentence: str) -> list[int]:
    """Turn a sentence into ids, with `eos_id` at the end.

    A space in front gives the first word the same pieces as anywhere else.
    """
    return [*tokenizer.encode(" " + sentence.strip()), tokenizer.eos_id]


def fill(
    rows: Sequence[Sequence[int]] | np.ndarray,
    batch_size: int,
    pad_id: int,
    length: int | None = None,
) -> np.ndarray:
    """Put rows of ids into one array, and pad the remaining places.

        fill([[5, 6], [7]], 3, 0)  →  [[5, 6], [7, 0], [0, 0]]

    Args:
        rows: Lists of ids.
        batch_size: Number of rows of the array; the last may be padding.
        pad_id: The tokenizer's id for padding.
        length: Length of the array's rows; if None, that of the longest.
    """
    length = max(map(len, rows)) if length is None else length
    array = np.full((batch_size, length), pad_id, "int32")
    for row, ids in zip(array, rows, strict=False):
        row[: len(ids)] = one_row(ids)
    return array


def by_length(
    encoded: Encoded, *, pad_id: int, count: int
) -> list[tuple[np.ndarray, ...]]:
    """Sort pairs by length into buckets, each padded to its own longest.

    Args:
        encoded: A list of (source ids, target ids).
        pad_id: The tokenizers' id for padding.
        count: Number of buckets. The last may have fewer pairs.

    Returns:
        A list of arrays `(pairs, source)` and `(pairs, target + 1)`.
    """
    ordered = sorted(encoded, key=lambda pair: (len(pair[1]), len(pair[0])))
    size = -(-len(ordered) // count)
    parts = [ordered[i : i + size] for i in range(0, len(ordered), size)]
    return [
        tuple(fill(s, len(s), pad_id) for s in zip(*part, strict=True))
        for part in parts
    ]


def random_pairs(
    buckets: Sequence[tuple[np.ndarray, ...]],
    *,
    batch_size: int,
    seed: int,
    pad_id: int,
    run: int = 10,
    first: int = 0,
    objective: Callable[..., Batch] = translation,
) -> tf.data.Dataset:
    """Draw endless training batches, each from one bucket.

    Args:
        buckets: From `by_length`.
        batch_size: Number of pairs in a batch.
        seed: Integer; the same seed gives the same batches.
        pad_id: The tokenizers' id for padding.
        run: Consecutive batches from the same bucket, which all have the
            same shape: as many as one compiled call of the loop takes.
        first: Number of the first batch. Batch n is the same, wherever the
            dataset starts.
        objective: `translation`, or `classification` of pairs whose second
            side is a label.

    Returns:
        A `tf.data.Dataset` of the objective's `Batch`es.

    Raises:
        TypeError, ValueError: if a number is out of range.
    """
    batch_size, run = at_least(1, batch_size=batch_size, run=run)
    seed, first = at_least(0, seed=seed, first=first)
    share = np.array([len(sources) for sources, _ in buckets], float)
    share /= share.sum()

    def draw():
        for number in itertools.count(first):
            bucket = np.random.default_rng((seed, 0, number // run)).choice(
                len(buckets), p=share
            )
            rows = np.random.default_rng((seed, 1, number)).integers(
                0, len(buckets[bucket][0]), batch_size
            )
            yield tuple(side[rows] for side in buckets[bucket])

    ids = tf.TensorSpec((batch_size, None), tf.int32)
    return tf.data.Dataset.from_generator(
        draw, output_signature=(ids, ids)
    ).map(lambda source, target: objective(source, target, pad_id=pad_id))


def all_pairs(
    buckets: Sequence[tuple[np.ndarray, ...]],
    *,
    batch_size: int,
    pad_id: int,
    objective: Callable[..., Batch] = translation,
) -> list[Batch]:
    """Go through all pairs once, for validation.

    Args:
        buckets, pad_id, objective: Same as in `random_pairs`.
        batch_size: Number of pairs in a batch. Padding of weight 0
            completes the last batch of a bucket.

    Returns:
        A list of `Batch`es.
    """
    batches, batch_size = [], whole("batch_size", batch_size)
    for sides in buckets:
        for begin in range(0, len(sides[0]), batch_size):
            source, target = (
                fill(side[begin : begin + batch_size], batch_size, pad_id)
                for side in sides
            )
            batches.append(objective(source, target, pad_id=pad_id))
    return batches
