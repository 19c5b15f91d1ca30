"""Objectives: what is asked of a model, as (inputs, targets, weights).

Weights say which targets count: 1 for a real one, 0 for filling.
"""

import numpy as np
import tensorflow as tf


def next_token(token_ids):
    """Ask for each token, given those before it.

        inputs[t] = token[t],   targets[t] = token[t + 1]

    Args:
        token_ids: Integers `(…, seq + 1)`.

    Returns:
        inputs: `(…, seq)`.
        targets: `(…, seq)`, one position ahead.
        weights: Ones `(…, seq)`, float32.

    References:
        Radford et al. 2018, §3.1, equation 1.
    """
    inputs, targets = token_ids[..., :-1], token_ids[..., 1:]
    return inputs, targets, tf.ones(tf.shape(targets))


def translation(source_ids, target_ids, *, pad_id):
    """Ask for each token of the target, given the source and those before.

        inputs = (source, target[t]),   targets[t] = target[t + 1]

    Args:
        source_ids: Integers `(batch, source)`.
        target_ids: Integers `(batch, target + 1)`: beginning, tokens, end
            and padding.
        pad_id: The tokenizer's id for padding.

    Returns:
        inputs: A pair, `(batch, source)` and `(batch, target)`.
        targets: `(batch, target)`, one position ahead.
        weights: `(batch, target)`, float32: 0 for padding.

    References:
        Sutskever et al. 2014, §2, equation 1; the true beginning is given
        ("teacher forcing", Williams & Zipser 1989).
    """
    inputs, targets = target_ids[:, :-1], target_ids[:, 1:]
    weights = tf.cast(tf.not_equal(targets, pad_id), tf.float32)
    return (source_ids, inputs), targets, weights


def masked_lm(token_ids, *, special_ids, mask_id, vocab_size, seed):
    """Hide some tokens, and ask which they were.

        15 % of a row's tokens are chosen, at least one; of these
        80 % become mask_id, 10 % a random token, 10 % stay as they are

    Args:
        token_ids: Integers `(batch, seq)`.
        special_ids: Ids that are never chosen, padding among them, and
            that no token becomes (but for `mask_id`).
        mask_id: What hides a token.
        vocab_size: Number of ids.
        seed: Two integers; the same two give the same choice.

    Returns:
        inputs: `(batch, seq)`, with some tokens hidden.
        targets: `(batch, seq)`, the tokens as they were.
        weights: `(batch, seq)`, float32: 1 for what was chosen.

    References:
        Devlin et al. 2019, §3.1, "Task #1", and appendix A.1.
    Differs from the paper: 15 % of the tokens that may be chosen, where
        [CLS] and [SEP] are counted, too; a random token is never a special
        one. Whether [UNK] is special is the caller's to say.
    """
    seeds = tf.random.split(seed, 4)
    special = tf.constant(special_ids, token_ids.dtype)
    may = tf.reduce_all(token_ids[..., None] != special, axis=-1)
    # The candidates draw lots, and the lowest are chosen.
    lots = tf.random.stateless_uniform(tf.shape(token_ids), seeds[0])
    lots = tf.where(may, lots, 2.0)
    rank = tf.argsort(tf.argsort(lots, axis=-1), axis=-1)
    candidates = tf.reduce_sum(tf.cast(may, tf.int32), -1, keepdims=True)
    chosen = may & (rank < how_many(candidates))

    ordinary = np.setdiff1d(np.arange(vocab_size), special_ids)
    which = tf.random.stateless_uniform(
        tf.shape(token_ids), seeds[1], 0, len(ordinary), tf.int32
    )
    random = tf.gather(tf.constant(ordinary, token_ids.dtype), which)
    fate = tf.random.stateless_uniform(tf.shape(token_ids), seeds[2])
    changed = tf.where(fate < 0.8, mask_id, random)
    changed = tf.where(fate < 0.9, changed, token_ids)
    inputs = tf.where(chosen, changed, token_ids)
    return inputs, token_ids, tf.cast(chosen, tf.float32)


def how_many(candidates):
    """Round 15 % of a number, of whole numbers alone; at least 1."""
    return tf.maximum((15 * candidates + 50) // 100, 1)


def chosen_only(targets, weights, *, count):
    """Keep the targets that count, and say where they stand.

    Args:
        targets, weights: `(batch, seq)`, as from `masked_lm`.
        count: How many to keep in a row; a row with fewer keeps some of
            weight 0.

    Returns:
        positions: Integers `(batch, count)`, from left to right.
        targets, weights: `(batch, count)`, theirs.
    """
    positions = tf.sort(tf.math.top_k(weights, count).indices, axis=-1)
    return (
        positions,
        tf.gather(targets, positions, batch_dims=1),
        tf.gather(weights, positions, batch_dims=1),
    )


def classification(token_ids, labels, *, pad_id):
    """Ask for a text's class.

    Args:
        token_ids: Integers `(batch, seq)`.
        labels: Integers `(batch, 1)`.
        pad_id: The tokenizer's id for padding.

    Returns:
        inputs: `(batch, seq)`, the token ids.
        targets: `(batch, 1)`, the labels.
        weights: `(batch, 1)`, float32: 0 for a row that is padding only.
    """
    weights = tf.cast(token_ids[:, :1] != pad_id, tf.float32)
    return token_ids, labels, weights
