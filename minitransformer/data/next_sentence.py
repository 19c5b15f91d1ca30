"""Next sentence: two spans of text; does the second follow the first?

A BERT reads both at once, [CLS] first [SEP] second [SEP]. It learns two
tasks: to find hidden words, and to answer the question.
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
# After a mark such as ".", a space before a letter that is not small
# (Georgian text has no capitals); after marks of Chinese or Hindi, any one.
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
        A list of documents: lists of at least two sentences, which are
        lists of ids. Shorter documents are left out. A sentence ends at the
        end of a line, after a mark such as "." if a space and a letter
        other than a small one follow, and after a mark such as "。".

    Raises:
        ValueError: if there are documents, but all have one sentence.
    """
    documents, found = [], 0
    for document in regex.split(r"\n\s*\n", text):
        sentences = [
            ids
            for line in document.split("\n")
            for sentence in SENTENCE_END.split(line)
            if (ids := tokenizer.encode(sentence))
        ]
        found += len(sentences) > 0
        if len(sentences) > 1:
            documents.append(sentences)
    if found > 1 and not documents:
        raise ValueError(
            f"All {found:,} documents have a single sentence each, and two "
            "or more are needed: put each sentence on its own line."
        )
    return documents


def draw_pair(
    documents: list[Document], rng: np.random.Generator, *, max_tokens: int
) -> tuple[list[int], list[int], int]:
    """Draw two spans of text; the second follows the first, or does not.

    Args:
        documents: From `encode_documents`, at least two.
        rng: A NumPy generator.
        max_tokens: The most tokens of both together.

    Returns:
        first, second: Lists of ids.
        follows: 1 if the second comes right after the first in the same
            document, 0 if it is from another one. Each has probability ½.

    References:
        Devlin et al. 2019, §3.1, "Task #2", and appendix A.2.
    Differs from the paper: its code walks through each document; here a
        span begins anywhere, and the length of the first is drawn evenly.
        Long spans are cut at their outer ends, where they do not meet. All
        rows have one length; the paper trains on 128 tokens, then on 512.
    """
    sizes = np.array([len(document) - 1 for document in documents])
    chosen = rng.choice(len(documents), p=sizes / sizes.sum())
    document = documents[chosen]
    begin = int(rng.integers(len(document) - 1))  # the last must follow
    length = int(rng.integers(max_tokens)) + 1
    first, end = span(document[:-1], begin, length)
    follows = int(rng.integers(2))
    if not follows:
        other = rng.integers(len(documents) - 1)
        document = documents[other + (other >= chosen)]
        end = int(rng.integers(len(document)))
    second, _ = span(document, end, max_tokens)
    half = max_tokens // 2  # for each span, at least
    first = first[-max(half, max_tokens - len(second)) :]
    second = second[: max_tokens - len(first)]
    return first, second, follows


def span(
    document: Document, begin: int, length: int
) -> tuple[list[int], int]:
    """Join sentences from number `begin` on, until they have `length` ids.

    Returns:
        A list of ids, and the number of the next sentence.
    """
    ids: list[int] = []
    while begin < len(document) and len(ids) < length:
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
    """Draw endless batches to pre-train a BERT on.

    Args:
        documents: From `encode_documents`.
        tokenizer: A `WordPieceTokenizer`.
        max_len: Length of a row, special tokens included.
        batch_size: Number of pairs in a batch.
        seed: Integer; the same seed gives the same batches. Each batch has
            new masks.
        first: Number of the first batch. Batch n is the same, wherever the
            dataset starts.

    Returns:
        A `tf.data.Dataset` of `Batch`es for `BertPretraining`: inputs are
        token ids and segment ids `(batch, max_len)` and positions
        `(batch, predictions)`. Targets and weights are pairs: one for
        hidden words `(batch, predictions)`, one for the question
        `(batch, 1)`. The weights make both losses means of equal weight.

    Raises:
        ValueError: if there are not two documents, or `max_len` is below 5.
    """
    if len(documents) < 2:
        raise ValueError(
            "Pre-training needs two documents to learn from and two to "
            f"validate, of two sentences each, and found {len(documents)}: "
            "put an empty line between documents, and each sentence on its "
            "own line."
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
        # All questions together weigh as much as all hidden words.
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
