"""Masked language modelling."""

import itertools

import numpy as np

from minitransformer.coursework import questions as q

NAME = "mask_tokens"
MASKED, RANDOM, KEPT = FATES = 0, 1, 2


def draw(rng, batch, seq, vocab_size, special_ids, cells):
    """Draw a question.

    Args:
        vocab_size: Number of ids; the last one is mask_id.
        special_ids: A list.
        cells: A list of (low lot, fate, id) that must occur in it; an id
            of None is an ordinary one. All else is random.
    """
    mask_id = vocab_size - 1
    ordinary = np.setdiff1d(np.arange(mask_id), special_ids)
    shape, size = (batch, seq), batch * seq
    low = rng.random(size) < 0.5
    fate = rng.choice(FATES, size)
    ids = rng.choice(ordinary, size)
    places = rng.permutation(size)[: len(cells)]
    for place, cell in zip(places, cells, strict=True):
        is_low, cell_fate, token = cell
        low[place], fate[place] = is_low, cell_fate
        if token is not None:
            ids[place] = token
    # Each random id differs from its token, by another step each.
    steps = 1 + (np.arange(size) + rng.integers(9)) % (len(ordinary) - 1)
    where = np.searchsorted(ordinary, ids) + steps
    random_ids = ordinary[where % len(ordinary)]
    lots = rng.uniform(np.where(low, 0, 0.16), np.where(low, 0.14, 0.99))
    # Far from the limits 0, 0.8 (masked), 0.9 (random) and 1 (kept).
    fates = rng.uniform(
        np.choose(fate, [0, 0.81, 0.91]),
        np.choose(fate, [0.79, 0.89, 0.99]),
    )
    return q.question(
        NAME,
        token_ids=ids.reshape(shape),
        special_ids=np.array(special_ids),
        mask_id=mask_id,
        lots=lots.reshape(shape).astype("float32"),
        fates=fates.reshape(shape).astype("float32"),
        random_ids=random_ids.reshape(shape),
    )


def calls(rng):
    batch, special, seq = 2 + np.cumsum(rng.integers(1, 3, 3))
    seq += 7
    vocab_size = int(seq + 20)
    yield draw(rng, 1, 1, 13, [3], [(True, MASKED, None)])
    yield draw(rng, 1, 2, 13, [3], [(True, MASKED, 3)] * 2)
    yield draw(rng, 1, 3, 13, [3], [(False, RANDOM, None)] * 3)
    yield draw(rng, 1, 2, 13, [3, 5], [(True, RANDOM, None)] * 2)
    yield draw(rng, 1, 2, 13, [3, 5], [(True, KEPT, None)] * 2)
    # Any id may be special: all but 0, then 0 among them, but not first.
    ids = rng.permutation(np.arange(1, vocab_size - 2)).tolist()
    for special_ids, ordinary in (
        (ids[:special], 0),
        ([*ids[1 - special :], 0], None),
    ):
        tokens = [None, ordinary, *special_ids]
        cells = itertools.product((True, False), FATES, tokens)
        cells = rng.permutation(np.array([*cells], object))
        length = seq + len(cells) // batch
        yield draw(rng, batch, length, vocab_size, special_ids, cells)


def slow(rng):
    return draw(rng, 256, 512, 300, [0, 7, 9], [])


def answers(ask, rng):
    """Ask small questions; yield the arguments and the results."""
    for batch, seq in ((1, 1), (1, 2), (2, 3), (3, 17)):
        for cells in [], [(True, MASKED, 7)] * min(batch * seq, 3):
            args = draw(rng, batch, seq, 13, [3, 7], cells).args
            yield args, *map(np.asarray, ask(NAME, **args))


def targets_are_the_tokens(ask, rng):
    for args, _, targets, _ in answers(ask, rng):
        tokens = args["token_ids"]
        for row, t in np.argwhere(targets != tokens):
            yield (
                f"in row {row}, token {t} is {tokens[row, t]}, but its "
                f"target is {targets[row, t]}"
            )


def special_ones_are_not_asked(ask, rng):
    for args, _, _, weights in answers(ask, rng):
        tokens, special = args["token_ids"], args["special_ids"]
        asked = (weights != 0) & np.isin(tokens, special)
        for row, t in np.argwhere(asked):
            yield (
                f"the special ids are {special.tolist()}, but in row {row} "
                f"token {t}, which is {tokens[row, t]}, has the weight "
                f"{weights[row, t]:g}"
            )


def the_rest_is_left(ask, rng):
    for args, inputs, _, weights in answers(ask, rng):
        tokens = args["token_ids"]
        for row, t in np.argwhere((weights == 0) & (inputs != tokens)):
            yield (
                f"in row {row}, token {t} has the weight 0, but changes "
                f"from {tokens[row, t]} to {inputs[row, t]}"
            )
