"""Beam search."""

import numpy as np

from minitransformer.coursework import questions as q
from minitransformer.coursework.answers import beam_search as answer

NAME = "beam_search"

# Each step has pairs of previous and next tokens with probabilities. "<" is
# bos_id and "." is eos_id; all other tokens share the rest equally.
ONE = "<a 0.7 <. 0.2"
# The likeliest first token is a, and the likeliest sentence is "bd.".
BETTER_START = "<a 0.5 <b 0.45, ac 0.4 bd 0.95, d. 0.95"
# The best one begins with a, as the second best of its continuations.
TWO_OF_ONE = "<a 0.6 <b 0.3, ac 0.5 ad 0.45 be 0.5, d. 0.95 e. 0.3"
# "." is likelier than "ac", but a long sentence is better than both.
SHORT_OR_LONG = "<. 0.3 <a 0.65, ab 0.5 ac 0.45, cd 0.97, d. 0.97"
# A search that gives the place of "." to "ad" finds a better sentence.
KEEPS_ITS_PLACE = (
    "<a 0.5 <. 0.3, ac 0.4 ad 0.35, de 0.98, ed 0.98, de 0.98, e. 0.98"
)
# "." has the best score at first, but not at the end.
LATER_BETTER = "<a 0.5 <. 0.3, ac 0.4, cd 0.97, dc 0.97, cd 0.97, d. 0.97"
# An unfinished hypothesis is better than a finished one.
NOT_ENDED = "<a 0.8 <. 0.15, ab 0.8, bc 0.8"
# All hypotheses finish long before the last step.
ALL_ENDED = "<a 0.6 <b 0.3, a. 0.7 b. 0.9, , , "


def story(rng, steps, beam_size, length_penalty):
    """Make a question from such steps, with a few more tokens."""
    words = [step.split() for step in steps.split(",")]
    pairs = (pair for step in words for pair in step[::2])
    names = sorted(set("".join(pairs)))
    vocab_size = len(names) + int(rng.integers(6, 9))
    ids = dict(zip(names, rng.permutation(vocab_size), strict=False))
    table = rng.uniform(0.9, 1.1, (len(words), vocab_size, vocab_size))
    named = np.zeros_like(table)
    for t, step in enumerate(words):
        for (before, after), share in zip(
            step[::2], step[1::2], strict=True
        ):
            table[t, ids[before], ids[after]] = 0
            named[t, ids[before], ids[after]] = float(share)
    left = 1 - named.sum(axis=-1, keepdims=True)
    table = named + left * table / table.sum(axis=-1, keepdims=True)
    return make(table, beam_size, ids["<"], ids["."], length_penalty)


def chance(rng, time, vocab_size, beam_size, length_penalty):
    """Draw a question without near ties."""
    while True:
        bos_id, eos_id = rng.permutation(vocab_size)[:2]
        table = np.exp(rng.normal(size=(time, vocab_size, vocab_size)))
        table[..., eos_id] *= 2
        table /= table.sum(axis=-1, keepdims=True)
        call = make(table, beam_size, bos_id, eos_id, length_penalty)
        exact = call.args["log_probabilities"]
        noise = 1e-4 * rng.normal(size=(3, *exact.shape))
        tries = [
            answer.beam_search(
                **q.changed(call, log_probabilities=table).args
            )
            for table in (exact, *(exact + noise))
        ]
        if all(ids == tries[0][0] for ids, _ in tries):
            return call


def make(table, beam_size, bos_id, eos_id, length_penalty):
    return q.question(
        NAME,
        log_probabilities=np.log(table).astype("float32"),
        beam_size=beam_size,
        bos_id=bos_id,
        eos_id=eos_id,
        length_penalty=float(length_penalty),
    )


def calls(rng):
    for steps, beam_size, length_penalty in (
        (ONE, 1, 0),
        (ONE, 1, 1),
        (BETTER_START, 1, 1),
        (BETTER_START, 2, 0),
        (BETTER_START, 2, 0.6),
        (NOT_ENDED, 2, 1),
        (TWO_OF_ONE, 2, 0.6),
        (SHORT_OR_LONG, 2, 2),
        (KEEPS_ITS_PLACE, 2, 1),
        (LATER_BETTER, 2, 1),
        (ALL_ENDED, 2, 0.6),
    ):
        yield story(rng, steps, beam_size, length_penalty)
    beam_size, time, vocab_size = np.cumsum(rng.integers(1, 3, 3)) + 2
    yield chance(rng, time, vocab_size, beam_size, 0.6)
    yield chance(rng, time + 1, vocab_size + 3, beam_size, 1.5)
    yield chance(rng, time - 1, vocab_size - 2, vocab_size, 0)  # all kept
    for length_penalty in (1, 1.5, 2, 2.5, 3, 3.5, 4, 5):
        yield chance(rng, time + 2, vocab_size, beam_size, length_penalty)


def answers(ask, rng, stories, beam_size, length_penalty=0):
    """Ask some stories; yield the arguments and the results."""
    for steps in stories:
        args = story(rng, steps, beam_size, length_penalty).args
        ids, score = ask(NAME, **args)
        yield args, [int(i) for i in ids], score


def score_is_that_of_the_ids(ask, rng):
    stories = ONE, NOT_ENDED, BETTER_START, LATER_BETTER
    for length_penalty in (0, 1):
        found = answers(ask, rng, stories, 2, length_penalty)
        for args, ids, score in found:
            tables, before = (
                args["log_probabilities"],
                [args["bos_id"], *ids],
            )
            rows = zip(tables, before, ids, strict=False)
            total = sum(table[before, i] for table, before, i in rows)
            right = total / ((5 + len(ids)) / 6) ** length_penalty
            if abs(score - right) > 1e-3:
                yield (
                    f"with length_penalty={length_penalty}, the ids {ids} "
                    f"have the score {right:.3f}, not {score:.3f}"
                )


def nothing_behind_the_end(ask, rng):
    stories = ONE, BETTER_START, ALL_ENDED, LATER_BETTER
    for args, ids, _ in answers(ask, rng, stories, 2):
        if args["eos_id"] in ids[:-1]:
            yield (
                f"eos_id is {args['eos_id']}, but in {ids} more tokens "
                "follow it"
            )


def one_is_greedy(ask, rng):
    stories = ONE, NOT_ENDED, TWO_OF_ONE
    for args, ids, _ in answers(ask, rng, stories, 1):
        greedy = [args["bos_id"]]
        for step in args["log_probabilities"]:
            greedy.append(int(step[greedy[-1]].argmax()))
            if greedy[-1] == args["eos_id"]:
                break
        if ids != greedy[1:]:
            yield (
                "with beam_size=1 the likeliest token is taken each time, "
                f"which gives {greedy[1:]}, but you return {ids}"
            )
