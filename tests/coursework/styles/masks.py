"""Masks, written in several ways; all of them are right."""

import numpy as np
import tensorflow as tf

from minitransformer import masks


def loops_padding(token_ids, pad_id):
    rows = [[[[i != pad_id for i in row]]] for row in token_ids.tolist()]
    return np.array(rows, bool)


def loops_causal(query_len, key_len):
    mask = np.zeros((query_len, key_len), bool)
    for i in range(query_len):
        for j in range(key_len - query_len + i + 1):
            mask[i, j] = True
    return mask


def loops_decoder(token_ids, pad_id):
    batch, seq = token_ids.shape
    mask = np.zeros((batch, 1, seq, seq), bool)
    for b in range(batch):
        for i in range(seq):
            for j in range(i + 1):
                mask[b, 0, i, j] = token_ids[b, j] != pad_id
    return mask


def triangle_padding(token_ids, pad_id):
    return ~np.isin(np.expand_dims(token_ids, (1, 2)), [pad_id])


def triangle_causal(query_len, key_len):
    ones = np.ones((query_len, key_len))
    return np.tril(ones, key_len - query_len).astype(bool)


def triangle_decoder(token_ids, pad_id):
    real = np.where(token_ids == pad_id, 0, 1)
    outer = np.einsum("bi,bj->bij", np.ones_like(real), real)
    return np.tril(outer)[:, None] > 0


def rows_causal(query_len, key_len):
    """Cut the last rows of a square."""
    square = np.arange(key_len) < np.arange(1, key_len + 1)[:, None]
    return square[-query_len:]


def rows_decoder(token_ids, pad_id):
    seq = token_ids.shape[1]
    return np.minimum(triangle_padding(token_ids, pad_id), rows_causal(seq, seq))


def tensorflow_padding(token_ids, pad_id):
    real = tf.not_equal(tf.constant(token_ids), pad_id)
    return tf.reshape(real, (real.shape[0], 1, 1, -1))


def tensorflow_causal(query_len, key_len):
    square = tf.linalg.band_part(tf.ones((key_len, key_len)), -1, 0)
    return tf.cast(square[key_len - query_len :], tf.bool)


def tensorflow_decoder(token_ids, pad_id):
    seq = token_ids.shape[1]
    return tf.logical_and(tensorflow_causal(seq, seq), tensorflow_padding(token_ids, pad_id))


def package_padding(token_ids, pad_id):
    real = masks.padding_mask(token_ids, pad_id=pad_id)
    return masks.widen_padding_mask(real)


def package_decoder(token_ids, pad_id):
    causal = masks.causal_mask(token_ids.shape[1])
    return causal & package_padding(token_ids, pad_id)


STYLES = {
    "loops": {
        "padding_mask": loops_padding,
        "causal_mask": loops_causal,
        "decoder_mask": loops_decoder,
    },
    "triangle": {
        "padding_mask": triangle_padding,
        "causal_mask": triangle_causal,
        "decoder_mask": triangle_decoder,
    },
    "rows of a square": {
        "padding_mask": triangle_padding,
        "causal_mask": rows_causal,
        "decoder_mask": rows_decoder,
    },
    "tensorflow": {
        "padding_mask": tensorflow_padding,
        "causal_mask": tensorflow_causal,
        "decoder_mask": tensorflow_decoder,
    },
    "package": {
        "padding_mask": package_padding,
        "causal_mask": masks.causal_mask,
        "decoder_mask": package_decoder,
    },
}
