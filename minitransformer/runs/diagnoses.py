"""Diagnoses: the faults that an odd loss curve usually comes from."""

import math
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from minitransformer.runs.band import Band, last_common, slack, windows


class Finding(NamedTuple):
    """Something odd: its name, and what was found and is likely."""

    name: str
    words: str


def diagnose(
    rows: Sequence[Any],
    steps: int,
    *,
    uniform: float,
    band: Band | None = None,
    solvable: bool = False,
) -> list[Finding]:
    """Look for all faults that this file knows.

    Args:
        rows: The rows of a log.
        steps: The steps of the whole run, from its settings.
        uniform: The loss of a uniform guess, ln(vocab_size).
        band: The band of the run's recipe and text, if there is one.
        solvable: Whether a loss near 0 can be right: each date has one
            translation, but no text has only one continuation.

    Returns:
        A list of `Finding`; it is empty if nothing is odd.
    """
    if found := not_finite(rows):
        return [found]
    curve = windows(rows, steps)
    valid = [
        (r.step, r.valid_loss) for r in rows if r.valid_loss is not None
    ]
    looks = [
        start(curve, uniform),
        flat(curve, uniform),
        spikes(rows, uniform),
        overfitting(curve, valid, uniform),
    ]
    if not solvable:
        looks.append(solved(valid, uniform))
    if band:
        looks += [
            too_low(curve, band),
            leak(valid, band),
            too_high(curve, valid, band),
        ]
    return [found for found in looks if found]


def not_finite(rows: Sequence[Any]) -> Finding | None:
    """Find the first loss or gradient that is NaN or infinite."""
    for row in rows:
        for name in "loss", "valid_loss", "grad_norm":
            number = getattr(row, name)
            if number is not None and not math.isfinite(number):
                return Finding(
                    "NaN",
                    f"At step {row.step:,}, {name} is {number}. Usually "
                    "the learning rate is too high. Otherwise look for a "
                    "division by zero, the logarithm of 0, or a mask of "
                    "-inf over a whole row.",
                )
    return None


def start(
    curve: Sequence[tuple[int, float]], uniform: float
) -> Finding | None:
    """Compare the first row, at most ten steps, with a uniform guess."""
    step, loss = curve[0]
    if step > 10:
        return None
    found = f"The first row has the loss {loss:.2f}, and a uniform guess "
    found += f"costs {uniform:.2f}. "
    if loss > 1.15 * uniform:
        return Finding(
            "high start",
            f"{found}The untrained model prefers some tokens without a "
            "reason: look at its initialisation, above all at the scale "
            "of the logits.",
        )
    if loss < 0.75 * uniform:
        return Finding(
            "low start",
            f"{found}No model learns so much in {step} steps: look for "
            "targets that are not shifted, a mask that shows the answers, "
            "or weights that were trained before.",
        )
    return None


def solved(
    valid: Sequence[tuple[int, float]], uniform: float
) -> Finding | None:
    """Find a validation loss that no text allows."""
    if not valid or valid[-1][1] > 0.1 * uniform:
        return None
    step, loss = valid[-1]
    return Finding(
        "solved",
        f"At step {step:,} the validation loss is {loss:.2g}, less than a "
        f"tenth of a uniform guess, {uniform:.2f}. No text is so easy to "
        "predict: look for targets that are not shifted, or a mask that "
        "shows the answers.",
    )


def flat(
    curve: Sequence[tuple[int, float]], uniform: float
) -> Finding | None:
    """Find a loss near that of a uniform guess after 200 steps or more."""
    step, loss = curve[-1]
    if step < 200 or loss < 0.9 * uniform:
        return None
    return Finding(
        "flat",
        f"At step {step:,} the loss is still {loss:.2f}, and a uniform "
        f"guess costs {uniform:.2f}. Usually the learning rate is far too "
        "low or far too high, or a mask hides everything that the model "
        "should read.",
    )


def spikes(rows: Sequence[Any], uniform: float) -> Finding | None:
    """Find losses that jump far above the ten rows before them."""
    losses = [(r.step, r.loss) for r in rows if r.loss is not None]
    steps = []
    for i in range(10, len(losses)):
        before = [loss for _, loss in losses[i - 10 : i]]
        middle = statistics.median(before)
        rough = statistics.median(abs(loss - middle) for loss in before)
        step, loss = losses[i]
        if loss > middle + max(0.1 * uniform, 8 * rough):
            steps.append(step)
    if not steps:
        return None
    return Finding(
        "spikes",
        f"The training loss jumps up {len(steps)} times, first at step "
        f"{steps[0]:,}. Usually gradients are not clipped, the learning "
        "rate is too high, or some batches hold broken text.",
    )


def overfitting(
    curve: Sequence[tuple[int, float]],
    valid: Sequence[tuple[int, float]],
    uniform: float,
) -> Finding | None:
    """Find a validation loss that rises while the training loss falls."""
    if not valid:
        return None
    best, lowest = min(valid, key=lambda point: point[1])
    last = valid[-1][1]
    before = [loss for step, loss in curve if step <= best]
    if not before or last < lowest + 0.03 * uniform:
        return None
    if curve[-1][1] > before[-1]:
        return None
    return Finding(
        "overfitting",
        f"The validation loss was lowest at step {best:,}, {lowest:.2f}, "
        f"and rose to {last:.2f}, while the training loss fell from "
        f"{before[-1]:.2f} to {curve[-1][1]:.2f}. The model learns its "
        "text by heart: stop earlier, or use more text, a smaller model, "
        "or dropout.",
    )


def too_low(
    curve: Sequence[tuple[int, float]], band: Band
) -> Finding | None:
    """Find a training loss far below every seed of the band."""
    both = last_common(curve, band.training)
    if not both:
        return None
    loss, (step, _, low, high) = both
    if loss > low - max(0.1 * band.uniform, slack(both[1], band)):
        return None
    return Finding(
        "low training",
        f"At step {step:,} the training loss is {loss:.2f}, far below "
        f"every seed of the band, {low:.2f} to {high:.2f}. Usually the "
        "model reads the answers: look for targets that are not shifted, "
        "and a mask that is flipped or missing.",
    )


def leak(valid: Sequence[tuple[int, float]], band: Band) -> Finding | None:
    """Find a validation loss below every seed of the band."""
    both = last_common(valid, band.validation)
    if not both:
        return None
    loss, (step, _, low, high) = both
    if loss > low - slack(both[1], band):
        return None
    return Finding(
        "low validation",
        f"At step {step:,} the validation loss is {loss:.4g}, below every "
        f"seed of the band, {low:.4g} to {high:.4g}. Usually the "
        "validation text is also in the training text.",
    )


def too_high(
    curve: Sequence[tuple[int, float]],
    valid: Sequence[tuple[int, float]],
    band: Band,
) -> Finding | None:
    """Find losses above every seed of the band."""
    for name, ours, theirs in (
        ("validation", valid, band.validation),
        ("training", curve, band.training),
    ):
        both = last_common(ours, theirs)
        if not both:
            continue
        loss, (step, _, low, high) = both
        if loss > high + slack(both[1], band):
            return Finding(
                f"high {name}",
                f"At step {step:,} the {name} loss is {loss:.4g}, above "
                f"every seed of the band, {low:.4g} to {high:.4g}. Usually "
                "a mask hides too much, some weights get no gradient, or "
                "the learning rate differs.",
            )
    return None
