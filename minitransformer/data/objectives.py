"""Objectives: the questions for a model, as inputs, targets, weights."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from minitransformer.masks import padding_mask


class Batch(NamedTuple):
    """Inputs of a model, right answers, and which of these count.

    Each is a tensor, or a tuple of several.
    """

    inputs: Any
    targets: Any
    weights: Any  # 1 for a target that counts, 0 for any other


def next_token(token_ids: tf.Tensor) -> Batch:
    """Ask for each token, given the tokens before it.

        inputs[t] = token[t],   targets[t] = token[t + 1]

        [5, 6, 7, 8]  →  inputs [5, 6, 7], targets [6, 7, 8]

    Args:
        token_ids: Integers `(…, seq + 1)`.

    Returns:
        inputs, targets: `(…, seq)`.
        weights: Ones `(…, seq)`, float32.

    References:
        Radford et al. 2018, §3.1, equation 1.
    """
    inputs, targets = token_ids[..., :-1], token_ids[..., 1:]
    return Batch(inputs, targets, tf.ones(tf.shape(targets)))


def translation(
    source_ids: tf.Tensor, target_ids: tf.Tensor, *, pad_id: int
) -> Batch:
    """Ask for each target token, given the source and the tokens before.

        inputs = (source, target[t]),   targets[t] = target[t + 1]

    With bos_id 2, eos_id 3 and pad_id 0:

        target [2, 5, 3, 0]  →  inputs  [2, 5, 3]
                                targets [5, 3, 0], weights [1, 1, 0]

    Args:
        source_ids: Integers `(batch, source)`.
        target_ids: Integers `(batch, target + 1)`: bos_id, tokens, eos_id
            and padding.
        pad_id: The tokenizer's id for padding.

    Returns:
        inputs: A pair, `(batch, source)` and `(batch, target)`.
        targets, weights: `(batch, target)`.

    References:
        Sutskever et al. 2014, §2, equation 1. The inputs are always the
        right tokens ("teacher forcing", Williams & Zipser 1989).
    """
    inputs, targets = target_ids[:, :-1], target_ids[:, 1:]
    real = padding_mask(targets, pad_id=pad_id)
    return Batch((source_ids, inputs), targets, tf.cast(real, tf.float32))


def masked_lm(
    token_ids: tf.Tensor,
    *,
    special_ids: Sequence[int],
    mask_id: int,
    vocab_size: int,
    seed: Any,
) -> Batch:
    """Hide some tokens, and ask for them.

        15 % of a row's tokens are chosen, at least one; of these
        80 % become mask_id, 10 % a random token, 10 % stay unchanged

    With mask_id 4, where 8 is chosen and hidden:

        [2, 7, 8, 9, 3]  →  inputs  [2, 7, 4, 9, 3]
                            targets [2, 7, 8, 9, 3]
                            weights [0, 0, 1, 0, 0]

    Args:
        token_ids: Integers `(batch, seq)`.
        special_ids: Ids that are never chosen, such as padding. No token
            becomes one of them, except `mask_id`.
        mask_id: The id that hides a token.
        vocab_size: Number of ids.
        seed: Two integers; the same two give the same choice.

    Returns:
        inputs, targets, weights: `(batch, seq)`.

    References:
        Devlin et al. 2019, §3.1, "Task #1", and appendix A.1.
    Differs from the paper: 15 % of the ordinary tokens; the paper also
        counts [CLS] and [SEP]. A random token is never a special one. The
        caller decides whether [UNK] is special.
    """
    seeds = tf.random.split(seed, 4)
    special = tf.constant(special_ids, token_ids.dtype)
    allowed = tf.reduce_all(token_ids[..., None] != special, axis=-1)
    # Each token draws a number; those with the lowest ones are chosen.
    drawn = tf.random.stateless_uniform(tf.shape(token_ids), seeds[0])
    drawn = tf.where(allowed, drawn, 2.0)
    rank = tf.argsort(tf.argsort(drawn, axis=-1), axis=-1)
    count = tf.reduce_sum(tf.cast(allowed, tf.int32), -1, keepdims=True)
    chosen = allowed & (rank < how_many(count))

    ordinary = np.setdiff1d(np.arange(vocab_size), special_ids)
    index = tf.random.stateless_uniform(
        tf.shape(token_ids), seeds[1], 0, len(ordinary), tf.int32
    )
    random = tf.gather(tf.constant(ordinary, token_ids.dtype), index)
    share = tf.random.stateless_uniform(tf.shape(token_ids), seeds[2])
    changed = tf.where(share < 0.8, mask_id, random)
    changed = tf.where(share < 0.9, changed, token_ids)
    inputs = tf.where(chosen, changed, token_ids)
    return Batch(inputs, token_ids, tf.cast(chosen, tf.float32))


def how_many(candidates: Any) -> tf.Tensor:
    """Round 15 % of a number to an integer, at least 1: 20 gives 3."""
    return tf.maximum((15 * candidates + 50) // 100, 1)


def chosen_only(
    targets: tf.Tensor, weights: tf.Tensor, *, count: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Keep the targets that count, and give their positions.

    Args:
        targets, weights: `(batch, seq)`, from `masked_lm`.
        count: Targets to keep per row; a row with fewer keeps some of
            weight 0 as well.

    Returns:
        positions, targets, weights: `(batch, count)`, from left to right.
    """
    positions = tf.sort(tf.math.top_k(weights, count).indices, axis=-1)
    return (
        positions,
        tf.gather(targets, positions, batch_dims=1),
        tf.gather(weights, positions, batch_dims=1),
    )


def classification(
    token_ids: tf.Tensor, labels: tf.Tensor, *, pad_id: int
) -> Batch:
    """Ask for a text's class.

    Args:
        token_ids: Integers `(batch, seq)`, the inputs.
        labels: Integers `(batch, 1)`, the targets.
        pad_id: The tokenizer's id for padding. The weights `(batch, 1)`
            are 0 for a row that is padding only.
    """
    real = padding_mask(token_ids[:, :1], pad_id=pad_id)
    return Batch(token_ids, labels, tf.cast(real, tf.float32))
