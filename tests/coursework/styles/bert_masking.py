"""Masking, in other people's styles."""

import numpy as np
import tensorflow as tf


def with_loops(token_ids, special_ids, mask_id, lots, fates, random_ids):
    inputs = [list(row) for row in token_ids]
    weights = np.zeros(token_ids.shape, "float32")
    special = {int(i) for i in special_ids}
    for row in range(token_ids.shape[0]):
        for t in range(token_ids.shape[1]):
            if lots[row, t] >= 0.15 or int(token_ids[row, t]) in special:
                continue
            weights[row, t] = 1
            if fates[row, t] < 0.8:
                inputs[row][t] = mask_id
            elif fates[row, t] < 0.9:
                inputs[row][t] = random_ids[row, t]
    return np.array(inputs), token_ids.copy(), weights


def with_indices(token_ids, special_ids, mask_id, lots, fates, random_ids):
    inputs, targets = token_ids.copy(), token_ids.copy()
    may = np.ones(token_ids.shape, bool)
    for special in special_ids:
        may[token_ids == special] = False
    rows, columns = np.nonzero(may & (lots < 0.15))
    fate = fates[rows, columns]
    hide = fate < 0.8
    inputs[rows[hide], columns[hide]] = mask_id
    swap = (fate >= 0.8) & (fate < 0.9)
    where = rows[swap], columns[swap]
    inputs[where] = random_ids[where]
    weights = np.zeros(token_ids.shape)
    weights[rows, columns] = 1.0
    return inputs, targets, weights


def with_arithmetic(token_ids, special_ids, mask_id, lots, fates, random_ids):
    special = (token_ids[:, :, None] == special_ids).any(axis=-1)
    chosen = (lots < 0.15) * (1 - special)
    hidden = chosen * (fates < 0.8)
    random = chosen * (fates < 0.9) * (1 - hidden)
    kept = 1 - hidden - random
    inputs = kept * token_ids + hidden * mask_id + random * random_ids
    return inputs, token_ids + 0, np.float32(chosen)


def with_tensorflow(token_ids, special_ids, mask_id, lots, fates, random_ids):
    tokens = tf.constant(token_ids)
    special = tf.reduce_any(tokens[..., None] == special_ids, axis=-1)
    chosen = tf.logical_and(lots < 0.15, tf.logical_not(special))
    mask = tf.fill(tokens.shape, tf.cast(mask_id, tokens.dtype))
    new = tf.where(fates < 0.8, mask, random_ids)
    new = tf.where(fates < 0.9, new, tokens)
    inputs = tf.where(chosen, new, tokens)
    return inputs, tokens, tf.cast(chosen, tf.float32)


STYLES = {
    "loops": {"mask_tokens": with_loops},
    "indices": {"mask_tokens": with_indices},
    "arithmetic": {"mask_tokens": with_arithmetic},
    "tensorflow": {"mask_tokens": with_tensorflow},
}
