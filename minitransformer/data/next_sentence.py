"""Next sentence: two spans of text, and whether one follows the other.

A BERT reads both at once, [CLS] first [SEP] second [SEP], and learns from
them what a hidden word was and whether they belong together.
"""

import itertools
from typing import Any

import numpy as np
import regex
import tensorflow as tf

from minitransformer.data.buckets import fill
from minitransformer.data.objectives import (
    Batch,
    chosen_only,
    how_many,
    masked_lm,
)
from minitransformer.data.sentences import frame

Document = list[list[int]]  # sentences of ids
# Behind a mark, a space before a letter that is not small (Georgian has no
# capitals); behind a mark of Chinese, Hindi, …, with or without a space.
SENTENCE_END = regex.compile(
    r"(?<=[.!?:…]) (?=[[\p{L}¿¡«„“]--[\p{Ll}--\p{Georgian}]])"
    r"|(?<=[[\p{STerm}།]--[.!?]][」』”]?) ?(?=[\p{L}「『“《])",
    regex.V1,
)


def encode_documents(text: str, tokenizer: Any) -> list[Document]:
    """Cut a text into documents, and these into sentences of ids.

    Args:
        text: Documents with an empty line between them; a line is a
            paragraph.
        tokenizer: A `WordPieceTokenizer`.

    Returns:
        A list of documents: each is a list of at least two sentences, each
        a list of ids. Shorter documents are left out. A sentence ends with
        a line; behind a mark such as "." and before a space and a letter,
        unless it is a small one; and behind a mark such as "。" or "।".

    Raises:
        ValueError: if there are documents, but all have one sentence.
    """
    documents, found = [], 0
    for document in regex.split(r"\n\s*\n", text):
        sentences = [
            tokenizer.encode(sentence)
            for line in document.split("\n")
            for sentence in SENTENCE_END.split(line)
        ]
        sentences = [ids for ids in sentences if ids]
        found += len(sentences) > 0
        if len(sentences) > 1:
            documents.append(sentences)
    if found > 1 and not documents:
        raise ValueError(
            f"All {found:,} documents have a single sentence each, and two "
            "or more are needed: put each sentence on a line of its own."
        )
    return documents


def draw_pair(
    documents: list[Document], rng: np.random.Generator, *, max_tokens: int
) -> tuple[list[int], list[int], int]:
    """Draw two spans of text; the second follows the first, or does not.

    Args:
        documents: From `encode_documents`, two at least.
        rng: A NumPy generator.
        max_tokens: The most tokens of both together.

    Returns:
        first, second: Lists of ids.
        follows: 1 if the second stands behind the first in its document, 0
            if it is from another; each half of the time.

    References:
        Devlin et al. 2019, §3.1, "Task #2", and appendix A.2.
    Differs from the paper's code: spans begin anywhere, and the first one's
        length is drawn evenly, where the code walks through each document;
        what is too long is cut at the outer ends, so that the seam stays;
        all rows have one length, where the paper trains on 128 tokens and
        then on 512.
    """
    sizes = np.array([len(document) - 1 for document in documents])
    chosen = rng.choice(len(documents), p=sizes / sizes.sum())
    document = documents[chosen]
    begin = int(rng.integers(len(document) - 1))  # one is left to follow
    wanted = int(rng.integers(max_tokens)) + 1
    first, end = span(document[:-1], begin, wanted)
    follows = int(rng.integers(2))
    if not follows:
        other = rng.integers(len(documents) - 1)
        document = documents[other + (other >= chosen)]
        end = int(rng.integers(len(document)))
    second, _ = span(document, end, max_tokens)
    half = max_tokens // 2  # each is entitled to
    first = first[-max(half, max_tokens - len(second)) :]
    second = second[: max_tokens - len(first)]
    return first, second, follows


def span(
    document: Document, begin: int, wanted: int
) -> tuple[list[int], int]:
    """Join sentences from number `begin` on, to `wanted` tokens or more.

    Returns:
        A list of ids, with whole sentences, and where the next begins.
    """
    ids: list[int] = []
    while begin < len(document) and len(ids) < wanted:
        ids, begin = ids + document[begin], begin + 1
    return ids, begin


def pretraining_batches(
    documents: list[Document],
    tokenizer: Any,
    *,
    max_len: int,
    batch_size: int,
    seed: int,
    first: int = 0,
) -> tf.data.Dataset:
    """Draw batches to pre-train a BERT on, without end.

    Args:
        documents: From `encode_documents`.
        tokenizer: A `WordPieceTokenizer`.
        max_len: Length of a row, special tokens included.
        batch_size: Number of pairs in a batch.
        seed: Integer; the same seed gives the same batches, and each has
            new masks.
        first: Number of the first batch: batch n is the same batch whether
            the dataset starts at 0 or at n.

    Returns:
        A `tf.data.Dataset` of `Batch`es for `BertPretraining`: inputs are
        token ids and segment ids `(batch, max_len)` and positions
        `(batch, predictions)`; targets and weights are pairs, for words
        `(batch, predictions)` and for following `(batch, 1)`. The weights
        make both losses means that count alike.

    Raises:
        ValueError: if there are not two documents, or `max_len` is below 5.
    """
    if len(documents) < 2:
        raise ValueError(
            f"Pre-training needs two documents to learn from and two to "
            f"validate, of two sentences each, and found {len(documents)}: "
            "put an empty line between documents, and each sentence on a "
            "line of its own."
        )
    if max_len < 5:
        raise ValueError(
            f"max_len={max_len}: two words and [CLS], [SEP], [SEP] need 5."
        )
    predictions = int(how_many(max_len - 3))  # of a full row

    def draw():
        for number in itertools.count(first):
            rng = np.random.default_rng((seed, number))
            pairs = [
                draw_pair(documents, rng, max_tokens=max_len - 3)
                for _ in range(batch_size)
            ]
            framed = [frame(a, b, tokenizer) for a, b, _ in pairs]
            ids, segments = zip(*framed, strict=True)
            yield (
                number,
                fill(ids, batch_size, tokenizer.pad_id, max_len),
                fill(segments, batch_size, 0, max_len),
                [[follows] for *_, follows in pairs],
            )

    def ask(number, ids, segments, follows):
        inputs, words, word_weights = masked_lm(
            ids,
            special_ids=tokenizer.special_ids,
            mask_id=tokenizer.mask_id,
            vocab_size=tokenizer.vocab_size,
            seed=(seed, number),
        )
        positions, words, word_weights = chosen_only(
            words, word_weights, count=predictions
        )
        # Over the batch, as much weight as all the words have.
        share = tf.reduce_sum(word_weights) / batch_size
        return Batch(
            (inputs, segments, positions),
            (words, follows),
            (word_weights, tf.fill((batch_size, 1), share)),
        )

    row = batch_size, max_len
    shapes = (), row, row, (batch_size, 1)
    return tf.data.Dataset.from_generator(
        draw,
        output_signature=tuple(tf.TensorSpec(s, tf.int32) for s in shapes),
    ).map(ask)
