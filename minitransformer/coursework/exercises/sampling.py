"""Temperature, top-k and top-p for a batch, and a draw."""

import numpy as np

from minitransformer.coursework import properties, questions as q

NAME = "next_token_probabilities"


def shares(rng, batch, vocab):
    """Draw rows of descending probabilities, none of them close."""
    steps = rng.uniform(0.25, 0.6, (batch, vocab))
    return even(np.exp(-np.cumsum(steps, axis=-1)))


def even(rows):
    """Make each row sum to one."""
    return rows / rows.sum(axis=-1, keepdims=True)


def alike(rng, row, batch):
    """Repeat a row in other orders; the first gets a sharper maximum.

    So the first row's threshold is clearly below those of the other rows,
    and rounding does not decide.
    """
    rows = np.tile(row, (batch, 1))
    rows[0] *= np.where(row == row.max(), 1.02, 1)
    return rng.permuted(even(rows), axis=-1)


def cut(rows, temperature=1.0, top_k=None, top_p=None, shift=0.0):
    """Ask for logits whose softmax at this temperature is `rows`."""
    logits = (temperature or 1) * np.log(rows) + shift
    return q.question(
        NAME,
        logits=logits.astype("float32"),
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
    )


def needed(rows, top_p):
    """Count the tokens that each row needs to reach p.

    Also return whether this is clear: no sum of probabilities is near p.
    """
    sums = np.cumsum(-np.sort(-rows, axis=-1), axis=-1)
    counts = (sums < top_p).sum(axis=-1) + 1
    return counts, np.abs(sums - top_p).min() > 0.02


def lowest_bar_first(rows, counts):
    """Put the row with the lowest threshold first.

    So its threshold keeps some tokens of every row, and too many.
    """
    bars = np.take_along_axis(-np.sort(-rows), counts[:, None] - 1, axis=-1)
    order = np.argsort(bars[:, 0])
    return rows[order], counts[order]


def surplus(rows, counts):
    """Count how many more tokens the first row's threshold keeps."""
    bar = np.sort(rows[0])[-counts[0]]
    return (rows >= bar).sum(axis=-1) - counts


def for_top_k(rng, vocab, top_k):
    """Draw three rows that need different thresholds."""
    while True:
        rows = shares(rng, 3, vocab)
        rows[1] = even(rows[1] ** rng.uniform(2, 5))
        rows, counts = lowest_bar_first(rows, np.full(3, top_k))
        if surplus(rows, counts).any():
            return rng.permuted(rows, axis=-1)


def for_top_p(rng, vocab):
    """Draw three rows, and a p that keeps some tokens of each."""
    while True:
        top_p = float(rng.uniform(0.5, 0.85))
        rows = even(shares(rng, 3, vocab) ** [[0.5], [0.7], [2]])
        counts, clear = needed(rows, top_p)
        rows, counts = lowest_bar_first(rows, counts)
        if (
            clear
            and counts.min() > 1
            and counts.max() < vocab - 1
            and all(surplus(rows, counts + n).any() for n in (-1, 0, 1))
        ):
            return rng.permuted(rows, axis=-1), top_p


def for_all(rng, vocab, temperature, top_k):
    """Draw four equal rows, and a p that shows the order of the cuts."""
    while True:
        [row] = shares(rng, 1, vocab)
        top_p = float(rng.uniform(0.4, 0.9))
        # The right order; top-p before top-k; temperature after the cut.
        tries = row[:top_k], row, row[:top_k] ** temperature
        found = [needed(even(each), top_p) for each in tries]
        (right, early, late), clear = zip(*found, strict=True)
        if all(clear) and 1 < right < min(top_k, early) and right != late:
            return alike(rng, row, 4), top_p


def draw(rng, batch, vocab):
    """Ask for tokens with random numbers far from the limits."""
    while True:
        rows = rng.permuted(shares(rng, batch, vocab), axis=-1)
        tokens = rng.integers(0, vocab, (batch, 1))
        ends = np.take_along_axis(np.cumsum(rows, axis=-1), tokens, -1)
        size = np.take_along_axis(rows, tokens, -1)
        uniform = ends - size * rng.uniform(0.3, 0.7, (batch, 1))
        # One random number for all rows must give another result.
        shows = ((rows < uniform) != (rows < uniform[0])).any()
        several = len(set(tokens.ravel().tolist())) == batch
        if batch == 1 or (several and shows):
            return sampled(rows, uniform[:, 0])


def sampled(rows, uniform):
    return q.question(
        "sample",
        probabilities=np.asarray(rows, "float32"),
        uniform=np.asarray(uniform, "float32"),
    )


def calls(rng):
    few, many = sorted(rng.choice(range(6, 10), 2, replace=False).tolist())
    cool, hot = float(rng.uniform(0.4, 0.6)), float(rng.uniform(1.6, 2.2))

    def shuffled(batch, vocab):
        return rng.permuted(shares(rng, batch, vocab), axis=-1)

    yield cut(shuffled(1, 3))
    yield cut(shuffled(2, few), cool)
    yield cut(shuffled(2, many), hot)
    yield cut(shuffled(2, few), shift=np.array([[1000.0], [-1000.0]]))
    top_k = int(rng.integers(2, 4))
    yield cut(for_top_k(rng, few, top_k), top_k=top_k)
    yield cut(alike(rng, shares(rng, 1, few)[0], 2), top_k=few + 2)
    yield cut(alike(rng, np.array([4.0, 2, 2, 2, 1, 1]), 3), top_k=2)
    rows, top_p = for_top_p(rng, many)
    yield cut(rows, top_p=top_p)
    sure = [[0.58, 0.22, 0.15, 0.05], [0.6, 0.2, 0.15, 0.05]]
    yield cut(rng.permuted(sure, axis=-1), top_p=0.3)
    for temperature in (cool, hot):
        top_k = int(rng.integers(4, 6))
        rows, top_p = for_all(rng, many, temperature, top_k)
        yield cut(rows, temperature, top_k, top_p)
    equal = np.array([[4.0, 4, 2, 1]] * 3) / 16
    yield cut(rng.permuted(equal, axis=-1), 0, 3, 0.9)

    yield draw(rng, 1, 3)
    yield draw(rng, 4, many)
    yield sampled(np.array([[0, 4, 2, 2], [2, 0, 4, 2]]) / 8, [0.0, 0.25])
    below = np.float32(1 - 2**-24)  # the largest float32 below 1
    yield sampled([[0.25, 0.5, 0.25 - 2**-20]], [below])


def slow(rng):
    rows = rng.dirichlet(np.ones(1000), 16) + 1e-6
    return cut(rows, 0.9, 400, 0.8)


def small(rng):
    rows = np.array([[0.7, 0.2, 0.1], [0.2, 0.38, 0.42]])
    return [cut(rows), cut(rows, top_k=2), cut(rows, top_p=0.6)]


sums_to_one = properties.rows_sum_to_one(small)
alone_as_in_a_batch = properties.rows_are_independent(small, "logits")


def order_is_kept(ask, rng):
    rows = rng.permuted(shares(rng, 1, 4), axis=-1)
    for options in (
        {},
        {"temperature": 0.5},
        {"temperature": 2.0},
        {"top_k": 2},
        {"top_p": 0.7},
    ):
        got = np.asarray(ask(NAME, **cut(rows, **options).args))[0]
        for i, j in np.argwhere(rows[0][:, None] > rows[0]):
            if got[i] < got[j] - 1e-4:
                yield (
                    f"with {options or 'temperature 1 and no cut'}, token "
                    f"{i} gets {got[i]:.3g} and token {j} gets "
                    f"{got[j]:.3g}, though token {i} has the larger logit"
                )


def shares_are_drawn(ask, rng):
    uniform = (np.arange(8) + 0.5) / 8
    for counts in ([4, 4], [4, 3, 1], [0, 5, 3]):
        row = np.array(counts) / 8
        tokens = ask("sample", **sampled([row] * 8, uniform).args)
        for token, count in enumerate(counts):
            times = int(np.sum(np.equal(tokens, token)))
            if times != count:
                yield (
                    f"with the probabilities {row.tolist()}, {times} of 8 "
                    f"evenly spread random numbers draw token {token}, "
                    f"expected {count}"
                )
