"""Translation: from sentence to sentence, with a trained model."""

import hashlib
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from minitransformer.data.buckets import encode_sentence, fill
from minitransformer.figures import Svg, heatmap_svg
from minitransformer.runs.given import check_strings, whole
from minitransformer.writing.search import beam_search

SIDES = "source.model", "target.model"  # files of a run's vocabularies
STEP = 8  # lengths are rounded up to multiples: fewer programs to compile


def translate(
    model: keras.Model,
    tokenizers: Sequence[Any],
    sentences: Sequence[str],
    *,
    max_len: int,
    beam_size: int = 4,
    batch_size: int = 64,
    **options: Any,
) -> list[str]:
    """Translate sentences in batches of similar lengths.

    Args:
        model: A `Transformer` or an `LSTMSeq2Seq`.
        tokenizers: Those of the source and the target.
        sentences: A list of strings.
        max_len: The greatest number of tokens of a translation, and of a
            source, which is cut there with a warning.
        beam_size: Same as in `beam_search`.
        batch_size: Number of sentences per batch.
        **options: `length_penalty` and `use_xla`, as in `beam_search`.

    Returns:
        A list of strings in the order of the sentences, each a line with
        single spaces between words.

    Raises:
        TypeError, ValueError: if an argument makes no sense.
    """
    batch_size = whole("batch_size", batch_size)
    source_tokenizer, target_tokenizer = tokenizers
    pad_id = target_tokenizer.pad_id
    rows = [
        encode_sentence(source_tokenizer, sentence)
        for sentence in check_strings(sentences, "sentences")
    ]
    if cut := sum(len(row) > max_len for row in rows):
        warnings.warn(
            f"{cut:,} of {len(rows):,} sentences have more than {max_len} "
            "tokens with their end, and were cut there.",
            stacklevel=2,
        )
    rows = [row[:max_len] for row in rows]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    translations = [""] * len(rows)
    for begin in range(0, len(order), batch_size):
        chosen = order[begin : begin + batch_size]
        longest = min(-(-len(rows[chosen[-1]]) // STEP) * STEP, max_len)
        # Copies complete the last batch, so that its shape is known.
        missing = min(batch_size, len(rows)) - len(chosen)
        source = [rows[i] for i in chosen + chosen[-1:] * missing]
        source_ids = fill(source, len(source), pad_id, length=longest)
        ids, _ = beam_search(
            model,
            source_ids,
            beam_size=beam_size,
            max_len=max_len,
            **options,
        )
        for i, row in zip(chosen, ids, strict=False):
            # A model may write line ends: make it one line.
            translations[i] = " ".join(target_tokenizer.decode(row).split())
    return translations


def fingerprint(tokenizers: Sequence[Any]) -> str:
    """Compute one checksum over the source's and target's vocabularies."""
    checksum = hashlib.sha256()
    for tokenizer in tokenizers:
        checksum.update(tokenizer.model)
    return checksum.hexdigest()


def alignment(
    model: keras.Model,
    tokenizers: Sequence[Any],
    sentence: str,
    translation: str,
    *,
    max_len: int,
) -> tuple[np.ndarray, list[str], list[str]]:
    """Measure the attention for each piece of a translation.

    The translation is tokenized again, perhaps into other pieces than those
    that the model wrote.

    Args:
        model, tokenizers: Same as in `translate`.
        sentence, translation: Strings.
        max_len: The greatest number of tokens of each; they are cut there.

    Returns:
        weights: NumPy `(target, source)`; of a Transformer the mean over
            the heads of its last layer.
        rows: The pieces of the translation, and its end.
        columns: The pieces of the sentence, and its end.
    """
    source_tokenizer, target_tokenizer = tokenizers
    source = encode_sentence(source_tokenizer, sentence)[:max_len]
    target = encode_sentence(target_tokenizer, translation)[:max_len]
    read = [target_tokenizer.bos_id, *target[:-1]]
    maps = model.attention_maps([source], [read])
    if isinstance(maps, tuple):  # of a Transformer: cross-attention is last
        maps = tf.reduce_mean(maps[-1][-1], axis=1)  # over the heads
    return (
        maps[0].numpy(),
        [piece(target_tokenizer, i) for i in target],
        [piece(source_tokenizer, i) for i in source],
    )


def alignment_svg(
    model: keras.Model,
    tokenizers: Sequence[Any],
    sentence: str,
    translation: str,
    *,
    max_len: int,
) -> Svg:
    """Draw the weights of `alignment` as an `Svg`."""
    weights, rows, columns = alignment(
        model, tokenizers, sentence, translation, max_len=max_len
    )
    return heatmap_svg(
        weights,
        rows,
        columns,
        label="Attention weights: a row for each piece of the translation, "
        "a column for each piece of the source",
    )


def piece(tokenizer: Any, token_id: int) -> str:
    """Spell a token for a figure."""
    if token_id == tokenizer.eos_id:
        return "end"
    return tokenizer.decode([token_id]).replace(" ", "␣")
