"""Sentences: rows of ids that a BERT reads, and vectors to compare.

A BERT gives one vector per token; their mean stands for the sentence. A
model can be trained so that sentences of similar meaning have vectors that
point in similar directions.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from minitransformer.data.buckets import fill
from minitransformer.masks import padding_mask
from minitransformer.runs.given import check_strings, whole


def frame(
    first: list[int], second: list[int], tokenizer: Any
) -> tuple[list[int], list[int]]:
    """Put one or two texts, lists of ids, between the special tokens.

    Returns:
        token_ids: [CLS] first [SEP], then second [SEP] unless it is empty.
        segment_ids: 0 for the first text, 1 for the second.
    """
    first = [tokenizer.cls_id, *first, tokenizer.sep_id]
    second = [*second, tokenizer.sep_id] if second else []
    return first + second, [0] * len(first) + [1] * len(second)


def encode_sentences(
    sentences: Sequence[str], tokenizer: Any, *, max_len: int
) -> list[list[int]]:
    """Turn sentences into rows of ids, and cut long ones.

        [CLS] tokens [SEP]

    Args:
        sentences: A list of strings.
        tokenizer: A `WordPieceTokenizer`.
        max_len: The most tokens per row, at least 3.

    Returns:
        A list of lists of ids. One warning tells how many were cut.

    Raises:
        TypeError: if the sentences are not a list of strings.
        ValueError: if `max_len` has no room for a token.
    """
    if max_len < 3:
        raise ValueError(
            f"max_len={max_len}: a token, [CLS] and [SEP] need 3."
        )
    rows, cut = [], 0
    for sentence in check_strings(sentences, "sentences"):
        ids = tokenizer.encode(sentence)
        cut += len(ids) > max_len - 2
        rows.append(frame(ids[: max_len - 2], [], tokenizer)[0])
    if cut:
        warnings.warn(
            f"{cut:,} of {len(rows):,} sentences have more than {max_len} "
            "pieces with [CLS] and [SEP], and were cut there.",
            stacklevel=2,
        )
    return rows


def sentence_vectors(
    hidden: tf.Tensor, padding_mask: tf.Tensor, pooling: str = "mean"
) -> tf.Tensor:
    """Reduce the vectors of all tokens to one per sentence.

        v = mean of the vectors of the real tokens,   v / |v|

    Args:
        hidden: `(batch, seq, d_model)`.
        padding_mask: Bool `(batch, seq)`, True = a real token.
        pooling: "mean"; or "cls", where v is the vector of [CLS].

    Returns:
        `(batch, d_model)`, vectors of length 1: a dot product of two is the
        cosine of the angle between them.

    References:
        Reimers & Gurevych 2019, §3.
    """
    if pooling == "cls":
        return tf.math.l2_normalize(hidden[:, 0], -1)
    real = tf.cast(padding_mask, hidden.dtype)[..., None]
    # The sum has the direction of the mean, and its length becomes 1.
    return tf.math.l2_normalize(tf.reduce_sum(hidden * real, axis=1), -1)


def make_embedder(
    model: keras.Model,
) -> Callable[[list[list[int]]], np.ndarray]:
    """Make a function from rows of ids to sentence vectors.

    Returns:
        A function of the rows from `encode_sentences`. It returns NumPy
        float32 `(sentences, d_model)`, vectors of length 1. It is compiled
        once, for batches of any shape.

    Raises:
        ValueError: if the pooling of the model is unknown here.
    """
    pad_id = model.config.pad_id
    if model.pooling not in ("mean", "cls"):
        raise ValueError(
            f"This model's pooling is {model.pooling[:99]!r}; only 'mean' "
            "and 'cls' are known here."
        )

    @tf.function(
        input_signature=[tf.TensorSpec((None, None), tf.int32)],
        autograph=False,
    )
    def embed(token_ids):
        hidden, _ = model(token_ids)
        real = padding_mask(token_ids, pad_id=pad_id)
        return sentence_vectors(hidden, real, model.pooling)

    return lambda rows: embed(
        tf.constant(fill(rows, len(rows), pad_id))
    ).numpy()


def embed_sentences(
    model: keras.Model,
    tokenizer: Any,
    sentences: Sequence[str],
    *,
    batch_size: int = 32,
    report: Callable[[int], Any] = lambda done: None,
) -> np.ndarray:
    """Turn many sentences into vectors, in batches of similar length.

    Args:
        model: A `Bert`. The folder that it was read from determines the
            pooling and the longest sentence.
        tokenizer: Its `WordPieceTokenizer`.
        sentences: A list of strings.
        batch_size: Number of sentences in a batch.
        report: Function of the number of sentences done so far.

    Returns:
        NumPy float32 `(sentences, d_model)`, vectors of length 1.

    Raises:
        TypeError, ValueError: Same as in `encode_sentences` and
            `make_embedder`, or if `batch_size` is out of range.
    """
    batch_size = whole("batch_size", batch_size)
    embed = make_embedder(model)
    rows = encode_sentences(
        sentences, tokenizer, max_len=model.sentence_len
    )
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    vectors = np.zeros((len(rows), model.config.d_model), "float32")
    for begin in range(0, len(order), batch_size):
        chosen = order[begin : begin + batch_size]
        vectors[chosen] = embed([rows[i] for i in chosen])
        report(begin + len(chosen))
    return vectors
