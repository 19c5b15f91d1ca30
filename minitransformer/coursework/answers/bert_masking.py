"""Masked language modelling: hide some tokens, and ask which they were."""

import numpy as np


def mask_tokens(token_ids, special_ids, mask_id, lots, fates, random_ids):
    """Choose some tokens, and hide most of them.

    A token is chosen if its lot is below 0.15 and it is none of the
    special ones. The fate of a chosen token decides what the model reads
    in its place:

        fate < 0.8           mask_id
        0.8 ≤ fate < 0.9     the random id that is given for this place
        0.9 ≤ fate           the token as it was

    Args:
        token_ids: Integers `(batch, seq)`.
        special_ids: Integers `(special,)`: what is never chosen. Padding
            is one of them; it may have any number.
        mask_id: The id that hides a token.
        lots: Floats `(batch, seq)`, drawn evenly from 0 up to 1.
        fates: Floats `(batch, seq)`, drawn evenly from 0 up to 1. Those
            of tokens that are not chosen mean nothing.
        random_ids: Integers `(batch, seq)`: for each place the id that it
            gets if its fate is a random one, whichever id that is.

    Returns:
        inputs: Integers `(batch, seq)`: what the model reads.
        targets: Integers `(batch, seq)`: the tokens as they were, at all
            places.
        weights: Float32 `(batch, seq)`: 1 for what was chosen, also where
            the token has stayed, and 0 for all else.
    """
    chosen = (lots < 0.15) & ~np.isin(token_ids, special_ids)
    changed = np.where(fates < 0.8, mask_id, random_ids)
    changed = np.where(fates < 0.9, changed, token_ids)
    inputs = np.where(chosen, changed, token_ids)
    return inputs, token_ids, chosen.astype("float32")
