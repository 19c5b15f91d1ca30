"""Masked language modelling: hide some tokens to be predicted."""

import numpy as np


def mask_tokens(token_ids, special_ids, mask_id, lots, fates, random_ids):
    """Choose some tokens, and hide most of them.

    A token is chosen if its lot is below 0.15 and it is not a special
    one. The fate of a chosen token decides what the model reads there:

        fate < 0.8           mask_id
        0.8 ≤ fate < 0.9     the random id given for this place
        0.9 ≤ fate           the original token

    Args:
        token_ids: Integers `(batch, seq)`.
        special_ids: Integers `(special,)`, ids that are never chosen. The
            id of padding is one of them; it may be any number.
        mask_id: The id that hides a token.
        lots: Floats `(batch, seq)`, uniform from 0 up to 1.
        fates: Floats `(batch, seq)`, uniform from 0 up to 1. Only the
            fates of chosen tokens count.
        random_ids: Integers `(batch, seq)`, the random id of each place.
            It may be any id.

    Returns:
        inputs: Integers `(batch, seq)`: what the model reads.
        targets: Integers `(batch, seq)`: the original tokens, at all
            places.
        weights: Float32 `(batch, seq)`: 1 for each chosen token, changed
            or not, and 0 for all others.
    """
    chosen = (lots < 0.15) & ~np.isin(token_ids, special_ids)
    changed = np.where(fates < 0.8, mask_id, random_ids)
    changed = np.where(fates < 0.9, changed, token_ids)
    inputs = np.where(chosen, changed, token_ids)
    return inputs, token_ids, chosen.astype("float32")
