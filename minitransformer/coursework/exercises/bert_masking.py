"""Masked language modelling."""

import itertools

import numpy as np

from minitransformer.coursework.exercise import (
    Call,
    Exercise,
    Mistake,
    Property,
)

PAGE = "modules/data/objectives.md"
NAME = "mask_tokens"
MASKED, RANDOM, KEPT = 0, 1, 2  # fates


def question(rng, batch, seq, vocab_size, special_ids, cells):
    """Draw a question.

    Args:
        vocab_size: Number of ids; the last one hides tokens.
        special_ids: A list.
        cells: What shall be in it: a list of (chosen by lot, fate, id),
            where an id of None is an ordinary one. The rest is chance.
    """
    mask_id = vocab_size - 1
    ordinary = np.setdiff1d(np.arange(mask_id), special_ids)
    shape = batch, seq
    size = batch * seq
    low = rng.random(size) < 0.5
    fate = rng.choice(3, size)
    ids = rng.choice(ordinary, size)
    places = rng.permutation(size)[: len(cells)]
    for place, (is_low, which, token) in zip(places, cells, strict=True):
        low[place], fate[place] = is_low, which
        if token is not None:
            ids[place] = token
    # Random ids that differ from their tokens, by another step each.
    steps = 1 + (np.arange(size) + rng.integers(9)) % (len(ordinary) - 1)
    where = np.searchsorted(ordinary, ids) + steps
    random_ids = ordinary[where % len(ordinary)]
    chance = rng.random(size)
    lots = np.where(low, 0.14 * chance, 0.16 + 0.83 * chance)
    chance = rng.random(size)
    fates = np.select(
        [fate == MASKED, fate == RANDOM],
        [0.79 * chance, 0.81 + 0.08 * chance], 0.91 + 0.08 * chance,
    )  # fmt: skip
    return Call(NAME, {
        "token_ids": ids.reshape(shape),
        "special_ids": np.array(special_ids),
        "mask_id": int(mask_id),
        "lots": lots.reshape(shape).astype("float32"),
        "fates": fates.reshape(shape).astype("float32"),
        "random_ids": random_ids.reshape(shape),
    })  # fmt: skip


def calls(rng):
    batch, special, seq = np.array([2, 2, 9]) + np.cumsum(
        rng.integers(1, 3, 3)
    )
    vocab_size = int(seq + 20)
    yield question(rng, 1, 1, 13, [3], [(True, MASKED, None)])
    yield question(rng, 1, 2, 13, [3], [(True, MASKED, 3)] * 2)
    yield question(rng, 1, 3, 13, [3], [(False, RANDOM, None)] * 3)
    yield question(rng, 1, 2, 13, [3, 5], [(True, RANDOM, None)] * 2)
    yield question(rng, 1, 2, 13, [3, 5], [(True, KEPT, None)] * 2)
    # Any id may be special, 0 or not.
    for first in (1, 0):
        special_ids = rng.permutation(np.arange(first, vocab_size - 2))
        special_ids = special_ids[:special].tolist()
        if not first and 0 in special_ids[:1]:
            special_ids = special_ids[::-1]
        if not first and 0 not in special_ids:
            special_ids[-1] = 0
        tokens = [None, 0 if first else None, *special_ids]
        cells = itertools.product((True, False), (0, 1, 2), tokens)
        cells = rng.permutation(np.array([*cells], object))
        size = len(cells)
        yield question(
            rng, batch, seq + size // batch, vocab_size, special_ids, cells
        )


def slow(rng):
    return question(rng, 256, 512, 300, [0, 7, 9], [])


def some_questions(rng):
    for batch, seq in ((1, 1), (1, 2), (2, 3), (3, 17)):
        yield question(rng, batch, seq, 13, [3, 7], []).args
        cells = [(True, MASKED, 7)] * min(batch * seq, 3)
        yield question(rng, batch, seq, 13, [3, 7], cells).args


def targets_are_the_tokens(ask, rng):
    for args in some_questions(rng):
        _, targets, _ = ask(NAME, **args)
        tokens = args["token_ids"]
        for row, t in np.argwhere(np.asarray(targets) != tokens)[:1]:
            return (
                f"in row {row} the token {t} was {tokens[row, t]}, and its "
                f"target is {targets[row][t]}"
            )
    return None


def special_ones_are_not_asked(ask, rng):
    for args in some_questions(rng):
        _, _, weights = ask(NAME, **args)
        tokens, special = args["token_ids"], args["special_ids"]
        wrong = (np.asarray(weights) != 0) & np.isin(tokens, special)
        for row, t in np.argwhere(wrong)[:1]:
            return (
                f"special are {special.tolist()}, and in row {row} the "
                f"token {t}, which is {tokens[row, t]}, has the weight "
                f"{weights[row][t]:g}"
            )
    return None


def the_rest_is_left(ask, rng):
    for args in some_questions(rng):
        inputs, _, weights = ask(NAME, **args)
        tokens = args["token_ids"]
        wrong = (np.asarray(weights) == 0) & (np.asarray(inputs) != tokens)
        for row, t in np.argwhere(wrong)[:1]:
            return (
                f"in row {row} the token {t} has the weight 0, but it was "
                f"{tokens[row, t]} and has become {inputs[row][t]}"
            )
    return None


EXERCISE = Exercise(
    title="Masked language modelling",
    goal=(
        "Hide some of the tokens of a text, and say which a model is asked "
        "for. All chance is drawn before, so the result is certain."
    ),
    page=PAGE,
    functions={
        NAME: {
            "inputs": "batch seq",
            "targets": "batch seq",
            "weights": "batch seq",
        }
    },
    calls=calls,
    slow=slow,
    forbidden=(
        "MaskedLMMaskGenerator",
        "DataCollatorForLanguageModeling",
        "DataCollatorForWholeWordMask",
    ),
    hints=(
        "First find who is chosen, as bools (batch, seq), and change "
        "nothing yet. The weights are these bools as numbers.",
        "np.where(condition, a, b) takes from a where it is true, and from "
        "b elsewhere: a new array, and nothing that was given changes.",
        "np.isin(token_ids, special_ids) finds the special ones. Make what "
        "all places would become, then take it where a token is chosen.",
    ),
    properties=(
        Property("targets are the tokens as they were",
                 targets_are_the_tokens),
        Property("special tokens are never asked for",
                 special_ones_are_not_asked),
        Property("what is not asked for is not changed", the_rest_is_left),
    ),
    like=("objectives.masked_lm",),
    mistakes=(
        Mistake(
            "random ids are taken in turn, not from their places",
            "mask_id, random_ids)",
            "mask_id, random_ids.ravel()[\n"
            "        np.cumsum(chosen & (0.8 <= fates) & (0.9 > fates))"
            ".reshape(chosen.shape) - 1])",
            "You use up the random ids from the first one on. Each place "
            "has its own: it gets that one, or none.",
            PAGE,
        ),
        Mistake(
            "special tokens are chosen, too",
            " & ~np.isin(token_ids, special_ids)", "",
            "The lot alone decides, so special tokens are chosen. There is "
            "nothing to learn from guessing padding or [SEP].",
            PAGE,
        ),
        Mistake(
            "only special tokens are chosen", "~np.isin(", "np.isin(",
            "Your condition is the wrong way round: it picks special "
            "tokens, and leaves the others alone.",
            PAGE,
        ),
        Mistake(
            "only the first special id is spared",
            "~np.isin(token_ids, special_ids)",
            "(token_ids != special_ids[0])",
            "There are several special ids, and a token must differ from "
            "all of them. You look at the first one alone.",
            PAGE,
        ),
        Mistake(
            "the special id is taken to be 0",
            "~np.isin(token_ids, special_ids)", "(token_ids != 0)",
            "You spare the id 0, whatever it is. Which ids are special, "
            "padding among them, is given in special_ids.",
            PAGE,
        ),
        Mistake(
            "chosen is who has a high lot", "lots < 0.15", "lots > 0.15",
            "Chosen are lots below 0.15, which are 15 % of all. You "
            "choose the other 85 %.",
            PAGE,
        ),
        Mistake(
            "every chosen token is hidden",
            ("fates < 0.8", "np.where(fates < 0.9, changed, token_ids)"),
            ("fates < 2.0", "changed"),
            "All chosen tokens become mask_id. A fate of 0.8 or more makes "
            "a random token of them, or leaves them.",
            PAGE,
        ),
        Mistake(
            "random and kept tokens are exchanged",
            (
                "np.where(fates < 0.8, mask_id, random_ids)",
                "np.where(fates < 0.9, changed, token_ids)",
            ),
            (
                "np.where(fates < 0.8, mask_id, token_ids)",
                "np.where(fates < 0.9, changed, random_ids)",
            ),
            "From 0.8 to 0.9 the token becomes a random one, and from 0.9 "
            "on it stays. You have it the other way round.",
            PAGE,
        ),
        Mistake(
            "no chosen token stays",
            "np.where(fates < 0.9, changed, token_ids)", "changed",
            "From a fate of 0.9 on a chosen token stays as it was. Yours "
            "becomes a random one there, too.",
            PAGE,
        ),
        Mistake(
            "no token becomes a random one",
            "mask_id, random_ids)", "mask_id, token_ids)",
            "From a fate of 0.8 up to 0.9 the random id of the place is "
            "put in. Yours stays as it was there, too.",
            PAGE,
        ),
        Mistake(
            "tokens that are not chosen change, too",
            "inputs = np.where(chosen, changed, token_ids)",
            "inputs = changed",
            "The fates are looked at for all tokens. They count for those "
            "that are chosen; all others stay.",
            PAGE,
        ),
        Mistake(
            "weights only where the input differs",
            "chosen.astype", "(inputs != token_ids).astype",
            "A chosen token that stays is asked for as well: its weight is "
            "1. Comparing inputs and targets does not find it.",
            PAGE,
        ),
        Mistake(
            "weights only where a token is hidden",
            "chosen.astype", "(inputs == mask_id).astype",
            "Chosen tokens that became random ones, or stayed, are asked "
            "for as well: their weight is 1.",
            PAGE,
        ),
        Mistake(
            "all weights are 1",
            "chosen.astype", "np.ones(lots.shape).astype",
            "Only what was chosen is asked for; elsewhere the model can "
            "see the answer. Those weights are 0.",
            PAGE,
        ),
        Mistake(
            "all ordinary tokens have weight 1",
            "chosen.astype", "(~np.isin(token_ids, special_ids)).astype",
            "Only what was chosen is asked for; elsewhere the model can "
            "see the answer. You weigh whatever might have been chosen.",
            PAGE,
        ),
        Mistake(
            "the targets are made after the masking",
            "return inputs, token_ids,", "return inputs, inputs,",
            "Your targets are the inputs: the answer to [MASK] would be "
            "[MASK]. If you assigned into token_ids, copy it first: a "
            "second name for an array is no second array.",
            PAGE,
        ),
        Mistake(
            "targets are −100 where nothing is asked",
            "return inputs, token_ids,",
            "return inputs, np.where(chosen, token_ids, -100),",
            "PyTorch's loss skips targets of −100. Here the weights say "
            "what counts, and targets are the tokens at all places.",
            PAGE,
        ),
    ),
)  # fmt: skip
