"""Beam search."""

import numpy as np

from minitransformer.coursework.answers import beam_search as answer
from minitransformer.coursework.exercise import (
    Call,
    Exercise,
    Mistake,
    Property,
)

PAGE = "modules/writing/search.md"
NAME = "beam_search"
COUNT = "(5 + len(ids))"
E = "2.718281828459045"
KEPT = "reverse=True)[:beam_size]\n"

# For each step the probabilities of tokens behind others: "<" begins, "."
# ends. What is left over is spread evenly over all other tokens.
ONE = ({"<a": 0.7, "<.": 0.2},)
# The likeliest first token is a, and the likeliest sentence is "bd.".
BETTER_BEGINNING = (
    {"<a": 0.5, "<b": 0.45},
    {"ac": 0.4, "bd": 0.95},
    {"d.": 0.95},
)
# The best one begins with a, as the second best of its continuations.
TWO_OF_ONE = (
    {"<a": 0.6, "<b": 0.3},
    {"ac": 0.5, "ad": 0.45, "be": 0.5},
    {"d.": 0.95, "e.": 0.3},
)
# "." is likelier than "ac", but a long sentence is better than both.
SHORT_OR_LONG = (
    {"<.": 0.3, "<a": 0.65},
    {"ab": 0.5, "ac": 0.45},
    {"cd": 0.97},
    {"d.": 0.97},
)
# Whoever gives the place of "." to "ad" finds something better there.
KEEPS_ITS_PLACE = (
    {"<a": 0.5, "<.": 0.3},
    {"ac": 0.4, "ad": 0.35},
    {"de": 0.98},
    {"ed": 0.98},
    {"de": 0.98},
    {"e.": 0.98},
)
# "." has the best score for a while, and then it has not.
LATER_BETTER = (
    {"<a": 0.5, "<.": 0.3},
    {"ac": 0.4},
    {"cd": 0.97},
    {"dc": 0.97},
    {"cd": 0.97},
    {"d.": 0.97},
)
# What has not ended is better than what has.
NOT_ENDED = (
    {"<a": 0.8, "<.": 0.15},
    {"ab": 0.8},
    {"bc": 0.8},
)
# All have ended long before the last step.
ALL_ENDED = (
    {"<a": 0.6, "<b": 0.3},
    {"a.": 0.7, "b.": 0.9},
    {},
    {},
    {},
)


def story(rng, steps, beam_size, length_penalty):
    """Make a question of such steps, with a few more tokens."""
    names = sorted({c for step in steps for pair in step for c in pair})
    vocab_size = len(names) + int(rng.integers(6, 9))
    ids = dict(zip(names, rng.permutation(vocab_size), strict=False))
    table = rng.uniform(0.9, 1.1, (len(steps), vocab_size, vocab_size))
    named = np.zeros_like(table)
    for t, step in enumerate(steps):
        for (previous, following), share in step.items():
            table[t, ids[previous], ids[following]] = 0
            named[t, ids[previous], ids[following]] = share
    left = 1 - named.sum(axis=-1, keepdims=True)
    table = named + left * table / table.sum(axis=-1, keepdims=True)
    return make(table, beam_size, ids["<"], ids["."], length_penalty)


def chance(rng, time, vocab_size, beam_size, length_penalty):
    """Draw a question, in which no near tie decides anything."""
    while True:
        bos_id, eos_id = rng.permutation(vocab_size)[:2]
        table = np.exp(rng.normal(size=(time, vocab_size, vocab_size)))
        table[..., eos_id] *= 2
        table /= table.sum(axis=-1, keepdims=True)
        call = make(table, beam_size, bos_id, eos_id, length_penalty)
        exact = call.args["log_probabilities"]
        ids, _ = answer.beam_search(**call.args)
        moved = [exact + 1e-4 * rng.normal(size=exact.shape)
                 for _ in range(3)]  # fmt: skip
        if all(
            answer.beam_search(**call.args | {"log_probabilities": other})[
                0
            ]
            == ids
            for other in moved
        ):
            return call


def make(table, beam_size, bos_id, eos_id, length_penalty):
    return Call(NAME, {
        "log_probabilities": np.log(table).astype("float32"),
        "beam_size": int(beam_size),
        "bos_id": int(bos_id),
        "eos_id": int(eos_id),
        "length_penalty": float(length_penalty),
    })  # fmt: skip


def calls(rng):
    yield story(rng, ONE, 1, 0)
    yield story(rng, ONE, 1, 1)
    yield story(rng, BETTER_BEGINNING, 1, 1)
    yield story(rng, BETTER_BEGINNING, 2, 0)
    yield story(rng, BETTER_BEGINNING, 2, 0.6)
    yield story(rng, NOT_ENDED, 2, 1)
    yield story(rng, TWO_OF_ONE, 2, 0.6)
    yield story(rng, SHORT_OR_LONG, 2, 2)
    yield story(rng, KEEPS_ITS_PLACE, 2, 1)
    yield story(rng, LATER_BETTER, 2, 1)
    yield story(rng, ALL_ENDED, 2, 0.6)
    beam_size, time, vocab_size = np.cumsum(rng.integers(1, 3, 3)) + 2
    yield chance(rng, time, vocab_size, beam_size, 0.6)
    yield chance(rng, time + 1, vocab_size + 3, beam_size, 1.5)
    yield chance(rng, time - 1, vocab_size - 2, vocab_size, 0)  # all kept
    for length_penalty in (1, 1.5, 2, 2.5, 3, 3.5, 4, 5):
        yield chance(rng, time + 2, vocab_size, beam_size, length_penalty)


def score_is_that_of_the_ids(ask, rng):
    for steps in (ONE, NOT_ENDED, BETTER_BEGINNING, LATER_BETTER):
        for length_penalty in (0, 1):
            args = story(rng, steps, 2, length_penalty).args
            ids, score = ask(NAME, **args)
            ids = [int(i) for i in ids]
            table = args["log_probabilities"]
            rows = zip(range(len(ids)), [args["bos_id"], *ids], ids,
                       strict=False)  # fmt: skip
            total = sum(table[t, before, i] for t, before, i in rows)
            right = total / ((5 + len(ids)) / 6) ** length_penalty
            if abs(score - right) > 1e-3:
                return (
                    f"with length_penalty={length_penalty} the ids {ids} "
                    f"have the score {right:.3f}, and you give {score:.3f}"
                )
    return None


def nothing_behind_the_end(ask, rng):
    for steps in (ONE, BETTER_BEGINNING, ALL_ENDED, LATER_BETTER):
        args = story(rng, steps, 2, 0).args
        ids, _ = ask(NAME, **args)
        ids, end = [int(i) for i in ids], args["eos_id"]
        if end in ids[:-1]:
            return f"the end is {end}, and in {ids} more tokens follow it"
    return None


def one_is_greedy(ask, rng):
    for steps in (ONE, NOT_ENDED, TWO_OF_ONE):
        args = story(rng, steps, 1, 0).args
        ids, _ = ask(NAME, **args)
        token, greedy = args["bos_id"], []
        for step in args["log_probabilities"]:
            token = int(step[token].argmax())
            greedy.append(token)
            if token == args["eos_id"]:
                break
        if [int(i) for i in ids] != greedy:
            return (
                "with beam_size=1 the likeliest token is taken each time, "
                f"which makes {greedy}; you give {[int(i) for i in ids]}"
            )
    return None


EXERCISE = Exercise(
    title="Beam search",
    goal=(
        "Keep several beginnings of a sentence, let all their "
        "continuations compete, and find what a search that takes the "
        "likeliest token each time would miss."
    ),
    page=PAGE,
    functions={NAME: {"ids": "token", "score": ""}},
    calls=calls,
    forbidden=(
        "ctc_beam_search_decoder",
        "BeamSampler",
        "BeamSearchScorer",
    ),
    hints=(
        "Keep a list of pairs: the tokens of a beginning, and the sum of "
        "their log-probabilities. The score is worked out when it is "
        "needed.",
        "At each step make a new list of all candidates: each beginning "
        "with each token, and those that have ended as they are. Sort it "
        "by the score, and keep its first beam_size.",
        "A candidate that has ended keeps its length, and so its penalty, "
        "while the others grow. That is why a longer one may still pass "
        "it: go through all steps.",
    ),
    properties=(
        Property("nothing stands behind the end", nothing_behind_the_end),
        Property("the score is that of the ids", score_is_that_of_the_ids),
        Property("a beam of one is greedy search", one_is_greedy),
    ),
    like=("search.beam_search",),
    mistakes=(
        Mistake(
            "only one beginning is kept", "[:beam_size]", "[:1]",
            "Your search is greedy: after each step a single beginning is "
            "left, or all that are left are equal. Keep beam_size of them.",
            PAGE,
        ),
        Mistake(
            "each beginning keeps only its best continuation",
            "in enumerate(row):",
            "in (\n"
            "                [(row.argmax(), row.max())] if ids\n"
            "                else enumerate(row)\n"
            "            ):",
            "After the first step each beginning goes on with its "
            "likeliest token alone. All continuations of all compete, and "
            "several of the best may come from one beginning.",
            PAGE,
        ),
        Mistake(
            "probabilities are added",
            "total + float(more)", f"total + {E} ** float(more)",
            "You add probabilities. Those of a sentence are multiplied, "
            "and that is a sum of logarithms: add them as they are given.",
            PAGE,
        ),
        Mistake(
            "probabilities are multiplied",
            ("([], 0.0)", "total + float(more)"),
            ("([], 1.0)", f"total * {E} ** float(more)"),
            "Your score is a probability, divided by the penalty. It is "
            "the logarithm that is divided: add log-probabilities.",
            PAGE,
        ),
        Mistake(
            "previous and next are exchanged",
            "step[ids[-1] if ids else bos_id]",
            "step[:, ids[-1] if ids else bos_id]",
            "The table is [t, previous, next]: a row belongs to the token "
            "before. You read a column.",
            PAGE,
        ),
        Mistake(
            "each step reads the table of the first",
            "row = step[", "row = log_probabilities[0][",
            "The probabilities are different ones at each step: the first "
            "axis is the time.",
            PAGE,
        ),
        Mistake(
            "what has ended goes on",
            "if ids and ids[-1] == eos_id:", "if False:",
            "Tokens are written behind the end. A beginning whose last "
            "token is eos_id is a candidate as it is, and costs nothing "
            "more.",
            PAGE,
        ),
        Mistake(
            "what has ended is lost",
            "candidates.append((ids, total))", "pass",
            "A sentence that has ended drops out of the beam at the next "
            "step. It stays a candidate, with its score.",
            PAGE,
        ),
        Mistake(
            "what has ended is lost, until nothing is left",
            ("candidates.append((ids, total))", "max(beam, key=score)"),
            ("pass", "beam[0]"),
            "A sentence that has ended drops out of the beam at the next "
            "step, and when all have, the beam is empty. It stays a "
            "candidate, with its score.",
            PAGE,
        ),
        Mistake(
            "what has ended gives its place away",
            (
                "beam = [([], 0.0)]",
                "candidates.append((ids, total))",
                "max(beam,",
            ),
            (
                "done, beam = [], [([], 0.0)]",
                "done.append((ids, total))",
                "max(done + beam,",
            ),
            "You put aside what has ended and fill its place, so the beam "
            "grows wider than beam_size. Here it keeps its place, and has "
            "to defend it.",
            PAGE,
        ),
        Mistake(
            "the search stops when the best has ended",
            KEPT,
            KEPT + "        if beam[0][0][-1] == eos_id:\n"
            "            break\n",
            "You stop when the best candidate has ended. Longer ones have "
            "a larger penalty to be divided by, and may still pass it.",
            PAGE,
        ),
        Mistake(
            "the search stops at the first end",
            KEPT,
            KEPT + "        if any(b[0][-1] == eos_id for b in beam):\n"
            "            break\n",
            "You stop when one candidate has ended. Others may still "
            "become better: go through all steps.",
            PAGE,
        ),
        Mistake(
            "only what has ended can be the result",
            "max(beam, key=score)",
            "max(\n"
            "        [b for b in beam if b[0][-1] == eos_id] or beam,\n"
            "        key=score,\n"
            "    )",
            "You prefer what has ended to what has not. After the last "
            "step all that is in the beam counts, by its score alone.",
            PAGE,
        ),
        Mistake(
            "candidates compete by their sums",
            "candidates, key=score", "candidates, key=lambda b: b[1]",
            "You keep the candidates of the largest sums, and look at the "
            "penalty only in the end. They compete by their scores at "
            "each step.",
            PAGE,
        ),
        Mistake(
            "the result is the one of the best sum",
            "max(beam, key=score)", "max(beam, key=lambda b: b[1])",
            "Of what is left in the end you take the largest sum of "
            "log-probabilities. Take the best score.",
            PAGE,
        ),
        Mistake(
            "there is no length penalty",
            f"total / ({COUNT} / 6) ** length_penalty", "total",
            "The sums are compared as they are. Each token makes a sum "
            "smaller, so short sentences win: divide by the penalty.",
            PAGE,
        ),
        Mistake(
            "the score that is returned is the bare sum",
            "return best[0], score(best)", "return best[0], best[1]",
            "You return the sum of log-probabilities. The score is that "
            "sum, divided by the penalty.",
            PAGE,
        ),
        Mistake(
            "divided by the length",
            f"({COUNT} / 6)", "len(ids)",
            "You divide by n ^ length_penalty, as some libraries do. "
            "Here the penalty is ((5 + n) / 6) ^ length_penalty, which is "
            "milder.",
            PAGE,
        ),
        Mistake(
            "multiplied by the penalty", "total / (", "total * (",
            "You multiply by the penalty. Sums of logarithms are "
            "negative, so that makes long sentences worse: divide.",
            PAGE,
        ),
        Mistake(
            "bos_id is counted", COUNT, "(6 + len(ids))",
            "Your n is one too large: it counts the bos_id that all "
            "begin with, which nobody has written.",
            PAGE,
        ),
        Mistake(
            "eos_id is not counted", COUNT,
            "(5 + len([i for i in ids if i != eos_id]))",
            "Your n leaves out eos_id. The end is a token that was "
            "chosen, with a probability of its own: it counts.",
            PAGE,
        ),
        Mistake(
            "bos_id is returned",
            "return best[0],", "return [bos_id, *best[0]],",
            "Your ids begin with bos_id. It was given, not found: leave "
            "it out.",
            PAGE,
        ),
        Mistake(
            "eos_id is not returned",
            "return best[0],",
            "return [i for i in best[0] if i != eos_id],",
            "You cut off eos_id. It tells a sentence that has ended from "
            "one that was broken off: leave it there.",
            PAGE,
        ),
        Mistake(
            "filled up with eos_id",
            "return best[0],",
            "return best[0] + [eos_id] * (\n"
            "        len(log_probabilities) - len(best[0])\n"
            "    ),",
            "Your ids are always `time` long, with eos_id again and again "
            "behind the end. Cut them behind the first one.",
            PAGE,
        ),
    ),
)  # fmt: skip
