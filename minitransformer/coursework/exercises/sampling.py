"""Temperature, top-k and top-p for a batch, and a draw."""

import numpy as np

from minitransformer.coursework.exercise import (
    Call,
    Exercise,
    Mistake,
    Property,
)

PAGE = "modules/writing/sampling.md"
NAME = "next_token_probabilities"


def shares(rng, vocab):
    """Draw one row of probabilities, descending, no two of them close."""
    row = np.exp(-np.cumsum(rng.uniform(0.25, 0.6, size=vocab)))
    return row / row.sum()


def alike(rng, row, batch):
    """Repeat a row, each in another order, the first a little surer.

    So where the first row's bar would do for the others, it is clearly
    below theirs, and no rounding decides.
    """
    rows = np.tile(row, (batch, 1))
    rows[0] *= np.where(row == row.max(), 1.02, 1)
    return shuffled(rng, rows / rows.sum(axis=-1, keepdims=True))


def shuffled(rng, rows):
    """Put each row in an order of its own."""
    return np.stack([rng.permutation(row) for row in rows])


def question(rows, temperature=1.0, top_k=None, top_p=None, shift=0.0):
    """Ask for logits whose softmax at this temperature is `rows`."""
    logits = (temperature or 1) * np.log(rows) + shift
    return Call(NAME, {
        "logits": logits.astype("float32"), "temperature": temperature,
        "top_k": top_k, "top_p": top_p,
    })  # fmt: skip


def needed(rows, top_p):
    """Count how many tokens each row needs to reach p."""
    sums = np.cumsum(-np.sort(-rows, axis=-1), axis=-1)
    return (sums < top_p).sum(axis=-1) + 1


def far_from(rows, top_p):
    """Whether no sum of likeliest tokens is near p."""
    sums = np.cumsum(-np.sort(-rows, axis=-1), axis=-1)
    return np.abs(sums - top_p).min() > 0.02


def lowest_bar_first(rows, counts):
    """Put the row first whose last token that stays is the least likely.

    So its bar leaves something of every row, and more than it should.
    """
    bars = [-np.sort(-r)[n - 1] for r, n in zip(rows, counts, strict=True)]
    return rows[np.argsort(bars)]


def surplus(rows, counts):
    """Count how many tokens more each row keeps by the first row's bar."""
    bar = np.sort(rows[0])[-counts[0]]
    return (rows >= bar).sum(axis=-1) - counts


def for_top_k(rng, vocab, top_k):
    """Draw three rows on which one row's bar shows."""
    while True:
        rows = np.stack([shares(rng, vocab) for _ in range(3)])
        steep = rows[1] ** rng.uniform(2, 5)
        rows[1] = steep / steep.sum()
        rows = lowest_bar_first(rows, [top_k] * 3)
        if surplus(rows, np.full(3, top_k)).any():
            return shuffled(rng, rows)


def for_top_p(rng, vocab):
    """Draw three rows, and a p that needs some of each."""
    while True:
        top_p = float(rng.uniform(0.5, 0.85))
        rows = np.stack([shares(rng, vocab) for _ in range(3)])
        rows = rows ** [[0.5], [0.7], [2]]  # flat ones, and a steep one
        rows = rows / rows.sum(axis=-1, keepdims=True)
        rows = lowest_bar_first(rows, needed(rows, top_p))
        counts = needed(rows, top_p)
        if (
            far_from(rows, top_p)
            and counts.min() > 1
            and counts.max() < vocab - 1
            and all(surplus(rows, counts + n).any() for n in (-1, 0, 1))
        ):
            return shuffled(rng, rows), top_p


def for_all(rng, vocab, temperature, top_k):
    """Draw four rows of the same numbers, and a p that needs the order."""
    while True:
        row = shares(rng, vocab)
        last = row[:top_k] ** temperature
        tries = (
            row[:top_k] / row[:top_k].sum(),  # as it should be
            row,  # top-p before top-k
            last / last.sum(),  # temperature after the cut
        )
        top_p = float(rng.uniform(0.4, 0.9))
        right, early, late = (int(needed(t[None], top_p)[0]) for t in tries)
        if (
            all(far_from(one[None], top_p) for one in tries)
            and 1 < right < min(top_k, early)
            and right != late
        ):
            return alike(rng, row, 4), top_p


def draw(rng, batch, vocab):
    """Ask for tokens, with each random number well inside its token's."""
    while True:
        rows = shuffled(rng, [shares(rng, vocab) for _ in range(batch)])
        tokens = rng.integers(0, vocab, (batch, 1))
        ends = np.take_along_axis(np.cumsum(rows, axis=-1), tokens, -1)
        size = np.take_along_axis(rows, tokens, -1)
        uniform = ends - size * rng.uniform(0.3, 0.7, (batch, 1))
        # One number for all must show, whatever it is compared with.
        shows = ((rows < uniform) != (rows < uniform[0])).any()
        several = len(set(tokens.ravel().tolist())) == batch
        if batch == 1 or (several and shows):
            return sampled(rows, uniform[:, 0])


def sampled(rows, uniform):
    return Call("sample", {
        "probabilities": np.asarray(rows, "float32"),
        "uniform": np.asarray(uniform, "float32"),
    })  # fmt: skip


def calls(rng):
    few, many = sorted(map(int, rng.choice(range(6, 10), 2, replace=False)))
    cool, hot = rng.uniform(0.4, 0.6), rng.uniform(1.6, 2.2)
    yield question(shuffled(rng, [shares(rng, 3)]))
    yield question(
        shuffled(rng, [shares(rng, few), shares(rng, few)]), float(cool)
    )
    yield question(
        shuffled(rng, [shares(rng, many), shares(rng, many)]), float(hot)
    )
    yield question(
        shuffled(rng, [shares(rng, few), shares(rng, few)]),
        shift=np.array([[1000.0], [-1000.0]]),
    )
    top_k = int(rng.integers(2, 4))
    yield question(for_top_k(rng, few, top_k), top_k=top_k)
    yield question(alike(rng, shares(rng, few), 2), top_k=few + 2)
    equal = np.array([4.0, 2, 2, 2, 1, 1])
    yield question(alike(rng, equal, 3), top_k=2)
    rows, top_p = for_top_p(rng, many)
    yield question(rows, top_p=top_p)
    sure = [[0.58, 0.22, 0.15, 0.05], [0.6, 0.2, 0.15, 0.05]]
    yield question(shuffled(rng, sure), top_p=0.3)
    for temperature in (cool, hot):
        top_k = int(rng.integers(4, 6))
        rows, top_p = for_all(rng, many, temperature, top_k)
        yield question(rows, float(temperature), top_k, top_p)
    equal = np.array([4.0, 4, 2, 1])
    yield question(shuffled(rng, [equal / 16] * 3), 0, 3, 0.9)

    yield draw(rng, 1, 3)
    yield draw(rng, 4, many)
    yield sampled(np.array([[0, 4, 2, 2], [2, 0, 4, 2]]) / 8, [0.0, 0.25])
    below = np.float32(1 - 2**-24)  # the largest float32 below 1
    yield sampled([[0.25, 0.5, 0.25 - 2**-20]], [below])


def slow(rng):
    rows = rng.dirichlet(np.ones(1000), 16) + 1e-6
    return question(rows, 0.9, 400, 0.8)


def sums_to_one(ask, rng):
    for options in ({}, {"top_k": 2}, {"top_p": 0.6}):
        call = question(np.array([[0.5, 0.3, 0.2]]), **options)
        total = np.sum(ask(NAME, **call.args))
        if abs(total - 1) > 1e-3:
            with_ = "".join(f", {k}={v}" for k, v in options.items())
            return (
                f"for the logits of 0.5, 0.3 and 0.2{with_}, they sum to "
                f"{total:.3g}"
            )
    return None


def order_is_kept(ask, rng):
    rows = shuffled(rng, [shares(rng, 4)])
    for options in (
        {}, {"temperature": 0.5}, {"temperature": 2.0}, {"top_k": 2},
        {"top_p": 0.7},
    ):  # fmt: skip
        call = question(rows, **options)
        got = np.asarray(ask(NAME, **call.args))[0]
        for i, j in zip(
            *np.nonzero(rows[0][:, None] > rows[0]), strict=True
        ):
            if got[i] < got[j] - 1e-4:
                return (
                    f"with {options or 'temperature 1 and no cut'}, token "
                    f"{i} gets {got[i]:.3g} and token {j} gets "
                    f"{got[j]:.3g}, though token {i} has the larger logit"
                )
    return None


def alone_as_in_a_batch(ask, rng):
    rows = np.array([[0.7, 0.2, 0.1], [0.2, 0.38, 0.42]])
    for options in ({}, {"top_k": 2}, {"top_p": 0.6}):
        call = question(rows, **options)
        both = np.asarray(ask(NAME, **call.args))
        for i in range(2):
            logits = call.args["logits"][i : i + 1]
            alone = ask(NAME, **call.args | {"logits": logits})
            if not np.allclose(alone[0], both[i], atol=1e-3):
                return (
                    f"with {options or 'no cut'}, row {i} of two gets "
                    "other probabilities when it is alone"
                )
    return None


def shares_are_drawn(ask, rng):
    for counts in ([1, 1], [4, 3, 1], [0, 5, 3]):
        uniform = (np.arange(8) + 0.5) / 8
        row = np.array(counts) / sum(counts)
        tokens = ask("sample", **sampled([row] * 8, uniform).args)
        for token, share in enumerate(row):
            times = int(np.sum(np.equal(tokens, token)))
            if times != round(8 * share):
                return (
                    f"token {token} of the probabilities "
                    f"{', '.join(f'{p:.3g}' for p in row)} should be drawn "
                    f"by {round(8 * share)} of 8 numbers spread evenly "
                    f"over 0 … 1, and is drawn by {times}"
                )
    return None


EXERCISE = Exercise(
    title="Temperature, top-k, top-p",
    goal=(
        "Make probabilities of logits, sharper or flatter, cut to the "
        "likely tokens, each row on its own; then draw a token from each."
    ),
    page=PAGE,
    functions={
        NAME: {"probabilities": "batch vocab"},
        "sample": {"token_ids": "batch"},
    },
    calls=calls,
    slow=slow,
    forbidden=(
        "TopKSampler",
        "TopPSampler",
        "TopKLogitsWarper",
        "TopPLogitsWarper",
        "TemperatureLogitsWarper",
    ),
    hints=(
        "Divide by the temperature, then make one softmax. Look at a "
        "temperature of 0 before you divide.",
        "A cut is a bar for each row, (batch, 1), and `np.where`. The bar "
        "of top-k is the k-th largest probability of the row. After a cut, "
        "divide by the sum of what is left.",
        "For top-p, sort each row downwards and add up what comes *before* "
        "each token: it is needed if that is still less than p. The least "
        "likely token that is needed sets the bar. For the draw, count how "
        "many of the cumulative sums are ≤ u.",
    ),
    properties=(
        Property("each row sums to one", sums_to_one),
        Property("rows do not know one another", alone_as_in_a_batch),
        Property("a larger logit is no less likely", order_is_kept),
        Property("likely tokens are drawn often", shares_are_drawn),
    ),
    like=("sampling.choose",),
    mistakes=(
        Mistake(
            "logits are multiplied by the temperature",
            "logits / temperature", "logits * temperature",
            "A low temperature should make the likely likelier: divide by "
            "it. At 1 nobody sees the difference.",
            PAGE,
        ),
        Mistake(
            "the temperature has no effect",
            "softmax(logits / temperature)", "softmax(logits)",
            "The result is the same at each temperature. If you divide "
            "probabilities by it and share them out anew, it is gone "
            "again: divide the logits.",
            PAGE,
        ),
        Mistake(
            "softmax before the temperature",
            "softmax(logits / temperature)",
            "softmax(softmax(logits) / temperature)",
            "The probabilities are divided by the temperature, and go "
            "through a second softmax. Divide the logits, and take one.",
            PAGE,
        ),
        Mistake(
            "the temperature comes after the cut",
            ("softmax(logits / temperature)", "    return probabilities\n"),
            (
                "softmax(logits)",
                "    return keep(probabilities ** (1 / temperature), 0)\n",
            ),
            "Top-p looks at the probabilities at temperature 1, so it "
            "keeps too few or too many. The temperature comes first.",
            PAGE,
        ),
        Mistake(
            "temperature 0 gives NaN",
            "if temperature == 0:", "if False:",
            "At temperature 0 the logits are divided by 0. It means the "
            "likeliest token: treat it apart.",
            PAGE,
        ),
        Mistake(
            "equals share at temperature 0",
            "return np.eye(vocab, dtype=logits.dtype)"
            "[logits.argmax(axis=-1)]",
            "return keep(softmax(logits), "
            "softmax(logits).max(axis=-1, keepdims=True))",
            "At temperature 0 two equal logits get half each. All "
            "probability belongs to the first of them.",
            PAGE,
        ),
        Mistake(
            "the softmax overflows",
            "np.exp(logits - logits.max(axis=-1, keepdims=True))",
            "np.exp(logits)",
            "exp() of a large logit is infinite, and infinite by infinite "
            "is NaN. Take each row's largest logit from it first.",
            "modules/attention.md",
        ),
        Mistake(
            "top-k has the first row's bar for all",
            "[:, -k, None]", "[:1, -k, None]",
            "The k-th largest of the first row is used for every row. It "
            "is right for a batch of one only: each row has its own bar.",
            PAGE,
        ),
        Mistake(
            "top-k keeps one too many",
            "k = min(top_k, vocab)", "k = min(top_k + 1, vocab)",
            "The bar is the next token after the k-th. Sorted upwards, the "
            "k-th largest is at -k.",
            PAGE,
        ),
        Mistake(
            "top-k beyond the vocabulary",
            "k = min(top_k, vocab)", "k = top_k",
            "A top_k larger than the vocabulary is looked up behind the "
            "end. It should cut nothing.",
            PAGE,
        ),
        Mistake(
            "only the first of equals stays in top-k",
            "keep(probabilities, kth)",
            "keep(np.where(np.argsort(np.argsort(-probabilities, "
            "kind='stable')) < k, probabilities, 0), 0)",
            "Of several tokens that are equal to the k-th, only the first "
            "ones are kept. All of them stay: compare with the k-th value, "
            "and do not count places.",
            PAGE,
        ),
        Mistake(
            "only the last of equals stays in top-k",
            "keep(probabilities, kth)",
            "keep(np.where(np.argsort(np.argsort(probabilities, "
            "kind='stable')) >= vocab - k, probabilities, 0), 0)",
            "Of several tokens that are equal to the k-th, only the last "
            "ones are kept. All of them stay: compare with the k-th value, "
            "and do not count places.",
            PAGE,
        ),
        Mistake(
            "top-p comes before top-k",
            ("keep(probabilities, kth)", "    return probabilities\n"),
            (
                "np.where(probabilities < kth, 0, probabilities)",
                "    return keep(probabilities, 0)\n",
            ),
            "Top-p adds up the probabilities as they were before top-k. "
            "Share out what top-k leaves first, so that it sums to one.",
            PAGE,
        ),
        Mistake(
            "the cut rows do not sum to one",
            "return kept / kept.sum(axis=-1, keepdims=True)", "return kept",
            "What was cut is missing from the sum. Divide by the sum of "
            "what is left, after each cut.",
            PAGE,
        ),
        Mistake(
            "top-p does not share out anew",
            "keep(probabilities, bar)",
            "np.where(probabilities < bar, 0, probabilities)",
            "After top-p the rows do not sum to one. Divide by the sum of "
            "what is left.",
            PAGE,
        ),
        Mistake(
            "top-p has the first row's bar for all",
            ".min(axis=-1)[:, None]", ".min(axis=-1)[:1, None]",
            "The bar of the first row is used for every row. It is right "
            "for a batch of one only: each row has its own.",
            PAGE,
        ),
        Mistake(
            "top-p has the first row's order for all",
            (
                "np.sort(probabilities, axis=-1)[:, ::-1]",
                "keep(probabilities, bar)",
            ),
            (
                "probabilities[:, np.argsort(-probabilities[0])]",
                "keep(np.where((before < top_p)[:, np.argsort(np.argsort("
                "-probabilities[0]))], probabilities, 0), 0)",
            ),
            "Every row is added up in the order of the first row. Each has "
            "an order of its own.",
            PAGE,
        ),
        Mistake(
            "top-p leaves the sorted order",
            "keep(probabilities, bar)", "keep(ordered, bar)",
            "The probabilities come back sorted, so they belong to other "
            "tokens. Bring them back into the order of the logits.",
            PAGE,
        ),
        Mistake(
            "top-p cuts by places of the sorted order",
            "keep(probabilities, bar)",
            "keep(np.where(before < top_p, probabilities, 0), 0)",
            "Which tokens stay was found in the sorted order, and is "
            "applied to the unsorted tokens. Bring it back into their "
            "order first.",
            PAGE,
        ),
        Mistake(
            "top-p drops the token that reaches p",
            "before < top_p", "before + ordered < top_p",
            "The token that brings the sum to p is cut, so the rest stays "
            "below p; and where the first token reaches p alone, nothing "
            "is left. Add up what comes before each token.",
            PAGE,
        ),
        Mistake(
            "top-p drops the token that reaches p, but for the first",
            ("before < top_p", "keep(probabilities, bar)"),
            (
                "before + ordered < top_p",
                "keep(probabilities, np.minimum(bar, ordered[:, :1]))",
            ),
            "The token that brings the sum to p is cut, so the rest stays "
            "below p. Add up what comes before each token.",
            PAGE,
        ),
        Mistake(
            "top-p keeps one too many",
            "before < top_p", "np.roll(before, 1, axis=-1) < top_p",
            "One token is kept after the sum has reached p. Shift the sums "
            "by one token, not by two.",
            PAGE,
        ),
        Mistake(
            "one random number for all rows",
            "uniform[:, None]", "uniform[:1, None]",
            "Every row is drawn with uniform[0]. Row b has uniform[b].",
            PAGE,
        ),
        Mistake(
            "drawn tokens are one too far",
            ".sum(axis=-1)\n", ".sum(axis=-1) + 1\n",
            "Each drawn token is the one after the right one. Token i is "
            "drawn while u is below p₀ + … + pᵢ, its own included.",
            PAGE,
        ),
        Mistake(
            "drawn tokens are one too early",
            ".sum(axis=-1)\n", ".sum(axis=-1) - 1\n",
            "Each drawn token is the one before the right one, and −1 "
            "comes out for the first.",
            PAGE,
        ),
        Mistake(
            "the likeliest is taken, not drawn",
            "return (cumulative <= uniform[:, None]).sum(axis=-1)",
            "return probabilities.argmax(axis=-1)",
            "The random number is not used: the likeliest token comes each "
            "time.",
            PAGE,
        ),
        Mistake(
            "the probabilities are not added up",
            "np.cumsum(probabilities, axis=-1)", "probabilities",
            "The random number is compared with single probabilities. "
            "Compare it with their cumulative sums.",
            PAGE,
        ),
        Mistake(
            "a token of probability 0 can be drawn",
            "cumulative <= uniform", "cumulative < uniform",
            "Where u is equal to a cumulative sum, the token that ends "
            "there is drawn; with u = 0 it may have the probability 0. "
            "Its sum must be larger than u.",
            PAGE,
        ),
        Mistake(
            "a draw behind the last token",
            "cumulative = cumulative / cumulative[:, -1:]", "pass",
            "Rounding can leave the whole sum just below 1, and u may be "
            "between. Then your token is behind the end of the vocabulary.",
            PAGE,
        ),
    ),
)  # fmt: skip
