"""Sentences: as rows of ids that a BERT reads, and as vectors to compare.

A BERT gives a vector for each token. Their mean stands for the sentence,
and two sentences that mean about the same have means that point the same
way, if the model was trained for it.
"""

import warnings

import numpy as np
import tensorflow as tf

from minitransformer.data.buckets import fill


def frame(first, second, tokenizer):
    """Put two texts, or one, between the special tokens.

    Args:
        first, second: Lists of ids; `second` may be empty.
        tokenizer: A `WordPieceTokenizer`.

    Returns:
        token_ids: [CLS] first [SEP], and second [SEP] if there is one.
        segment_ids: 0 for the first text, 1 for the second.
    """
    ids = [tokenizer.cls_id, *first, tokenizer.sep_id]
    more = [*second, tokenizer.sep_id] if second else []
    return ids + more, [0] * len(ids) + [1] * len(more)


def encode_sentences(sentences, tokenizer, *, max_len):
    """Turn sentences into rows of ids; what is too long is cut.

        [CLS] tokens [SEP]

    Args:
        sentences: A list of strings.
        tokenizer: A `WordPieceTokenizer`.
        max_len: The most tokens of a row.

    Returns:
        A list of lists of ids. A warning says, once, how many were cut.

    Raises:
        ValueError: if `max_len` is below 3.
    """
    if max_len < 3:
        raise ValueError(
            f"max_len={max_len}: a token, [CLS] and [SEP] need 3."
        )
    rows, cut = [], 0
    for sentence in sentences:
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


def sentence_vectors(hidden, padding_mask):
    """Reduce the tokens' vectors to one for the sentence.

        v = mean of the real tokens' vectors,   v / |v|

    Args:
        hidden: `(batch, seq, d_model)`.
        padding_mask: Bool `(batch, seq)`, True = a real token.

    Returns:
        `(batch, d_model)`, each of length 1: a dot product of two is the
        cosine of the angle between them.

    References:
        Reimers & Gurevych 2019, §3.
    """
    real = tf.cast(padding_mask, hidden.dtype)[..., None]
    # The mean is the sum over a number, and length 1 takes no notice of it.
    return tf.math.l2_normalize(tf.reduce_sum(hidden * real, axis=1), -1)


def make_embedder(model):
    """Make a function from rows of ids to the sentences' vectors.

    Args:
        model: A `Bert`.

    Returns:
        A function of lists of ids, as from `encode_sentences`; it returns
        NumPy float32 `(sentences, d_model)`, each of length 1. It is
        compiled once, for batches of any shape.
    """
    pad_id = model.config.pad_id

    @tf.function(
        input_signature=[tf.TensorSpec((None, None), tf.int32)],
        autograph=False,
    )
    def embed(token_ids):
        hidden, _ = model(token_ids)
        return sentence_vectors(hidden, token_ids != pad_id)

    return lambda rows: embed(
        tf.constant(fill(rows, len(rows), pad_id))
    ).numpy()


def embed_sentences(
    model, tokenizer, sentences, *, batch_size=32, report=lambda done: None
):
    """Turn many sentences into vectors, those of a length together.

    Args:
        model: A `Bert`.
        tokenizer: Its `WordPieceTokenizer`.
        sentences: A list of strings.
        batch_size: Number of sentences at a time.
        report: Function of the number of sentences done so far.

    Returns:
        NumPy float32 `(sentences, d_model)`, each of length 1.

    Raises:
        ValueError: if `batch_size` is not positive.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}: give at least 1.")
    embed = make_embedder(model)
    rows = encode_sentences(
        sentences, tokenizer, max_len=model.config.max_len
    )
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    vectors = np.zeros((len(rows), model.config.d_model), "float32")
    for begin in range(0, len(order), batch_size):
        chosen = order[begin : begin + batch_size]
        vectors[chosen] = embed([rows[i] for i in chosen])
        report(begin + len(chosen))
    return vectors
