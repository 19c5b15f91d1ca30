"""Check a run: are its losses usual, and if not, what is likely wrong?

python -m minitransformer.check_run runs/gpt-001

It compares the run with the band of its recipe, five seeds or more, and
draws both into check.svg. Exit code 0: nothing odd. 1: something odd.
2: the run could not be checked, or only in part.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from minitransformer.runs.commands import refuse, tell, user_errors
from minitransformer.runs.flags import Parser

CHART = "check.svg"
SHOWN = 8  # rows of the table


class Checked(NamedTuple):
    """A run as its folder shows it."""

    folder: Path
    settings: dict
    rows: list
    problem: str  # why only a part of the log was read, or ""


def main(argv: Sequence[str] | None = None) -> int:
    """Check the run in the folder that is named."""
    parser = Parser(
        prog="python -m minitransformer.check_run",
        description=(__doc__ or "").partition("\n\npython")[0],
    )
    parser.add_argument("run", help="a run's folder, such as runs/gpt-001")
    folder = Path(parser.parse_args(argv).run)
    with user_errors():
        from minitransformer.data.copies import compare_texts
        from minitransformer.runs import band as bands
        from minitransformer.runs.diagnoses import diagnose

        run = read_run(folder)
        known = bands.read_bands()
        band = bands.find_band(run.settings, known)
        same = band and bands.same_text(run.settings, band)
        uniform = band.uniform if band else uniform_loss(folder)
        if band:
            refuse_other_log(run, band)
        valid = curve(run.rows, "valid_loss")
        training = bands.windows(run.rows, run.settings["steps"])
        tell(f"run         {folder}, step {run.rows[-1].step:,}")
        if band:
            tell(f"band        {band.title}, {len(band.seeds)} seeds")
        show_table(training, valid, band)
        if line := bands.verdict(run.settings, valid, known):
            tell(f"verdict     {line}")
        found = diagnose(
            run.rows,
            run.settings["steps"],
            uniform=uniform,
            band=band if same else None,
            solvable="pairs" in run.settings,
        )
        words = [finding.words for finding in found]
        words += filter(None, [compare_texts(run.settings)])
        for sentence in words or ["nothing odd was found"]:
            tell(f"diagnosis   {sentence}")
        draw(run, training, valid, band)
        if run.problem:
            refuse(run.problem)
        if not band:
            refuse(no_band(run.settings, known))
        return 1 if words else 0
    return 2


def read_run(folder: Path) -> Checked:
    """Read a run's settings and its log.

    Raises:
        ValueError: if it is no run, a file is damaged, or its log has no
            row with a loss.
    """
    from minitransformer.runs.folders import SETTINGS, read_settings
    from minitransformer.runs.given import read_bytes
    from minitransformer.runs.logs import LOG, read_log

    if not (folder / SETTINGS).is_file():
        raise ValueError(
            f"{folder} is not a run, because it has no {SETTINGS}: give "
            "the folder of a training, such as runs/gpt-001."
        )
    settings, path = read_settings(folder), folder / LOG
    if not path.is_file():
        raise ValueError(
            f"{folder} has no {LOG}: train for some steps first. "
            "finetune_bert.py writes no log; see its results.json."
        )
    rows = read_log(folder)
    if not curve(rows, "loss") or type(settings.get("steps")) is not int:
        raise ValueError(
            f"{path} has no row with a loss, or the settings name no "
            "steps: train for at least ten steps first."
        )
    last, peak = rows[-1].step, settings.get("learning_rate", 1e9)
    if type(peak) not in (int, float):
        raise ValueError(
            f"{folder / SETTINGS} is damaged: the learning_rate is "
            f"{peak!r:.40}, expected a number."
        )
    rates = [rate for _, rate in curve(rows, "learning_rate")]
    if last > settings["steps"] or max(rates, default=0) > 1.001 * peak:
        raise ValueError(
            f"{path} is the log of another recipe: it goes to step "
            f"{last:,} with rates up to {max(rates, default=0):.2g}, and "
            f"the settings say {settings['steps']:,} steps and a rate of "
            f"{peak:.2g}. Put the run's own log back."
        )
    problem = ""
    if not read_bytes(path).endswith(b"\n"):
        problem = (
            f"The last line of {path} is half written: only the rows up to "
            f"step {last:,} were checked."
        )
    return Checked(folder, settings, rows, problem)


def curve(rows: Sequence[Any], name: str) -> list[tuple[int, float]]:
    """List the (step, number) of a column, where it was measured."""
    points = [(row.step, getattr(row, name)) for row in rows]
    return [point for point in points if point[1] is not None]


def refuse_other_log(run: Checked, band: Any) -> None:
    """Refuse a log whose learning rates are not the recipe's.

    The rates follow from the settings alone, so all seeds have the same.
    """
    rates = dict(band.learning_rate)
    for step, rate in curve(run.rows, "learning_rate"):
        expected = rates.get(step, rate)
        if abs(rate - expected) > 1e-3 * expected + 1e-9:
            raise ValueError(
                f"The log in {run.folder} is that of another recipe: at "
                f"step {step:,} its learning rate is {rate:.3g}, expected "
                f"{expected:.3g}. Put the run's own log back."
            )


def uniform_loss(folder: Path) -> float:
    """Compute the loss of a uniform guess, from the run's vocabulary."""
    import math

    from minitransformer.tokenizers import load_tokenizer
    from minitransformer.tokenizers.sentencepieces import (
        SentencePieceTokenizer,
    )

    target = folder / "target.model"  # a translator's
    if target.is_file():
        tokenizer = SentencePieceTokenizer.load(target)
    else:
        tokenizer = load_tokenizer(folder)
    # A BERT also answers one question with two answers.
    answers = 2 if (folder / "vocab.txt").is_file() else 1
    return math.log(answers * tokenizer.vocab_size)


def show_table(
    training: Sequence[tuple[int, float]],
    valid: Sequence[tuple[int, float]],
    band: Any,
) -> None:
    """Print some steps of both curves, beside the band's."""
    curves = dict(training), dict(valid)
    known = [
        {step: (low, high) for step, _, low, high in points}
        for points in (
            (band.training, band.validation) if band else ((), ())
        )
    ]
    steps = sorted({*curves[0], *curves[1]})
    every = -(-len(steps) // SHOWN)
    shown = {*steps[::every], *steps[-1:], *curves[1]}
    if len(curves[1]) > SHOWN:
        shown -= {*[*curves[1]][:-1]} - {*steps[::every]}
    title = f"{'step':>8}"
    for name in "training", "validation":
        title += f"{name:>13}{'the seeds' if band else '':>18}"
    tell(title.rstrip())
    for step in sorted(shown):
        line = f"{step:8,}"
        for ours, theirs in zip(curves, known, strict=True):
            loss = f"{ours[step]:.4g}" if step in ours else ""
            seeds = ""
            if step in theirs:
                seeds = "{:.4g} to {:.4g}".format(*theirs[step])
            line += f"{loss:>13}{seeds:>18}"
        tell(line.rstrip())


def draw(
    run: Checked,
    training: Sequence[tuple[int, float]],
    valid: Sequence[tuple[int, float]],
    band: Any,
) -> None:
    """Draw both curves, and each band as an outline, into `check.svg`."""
    from minitransformer.figures import curve_svg, drawable
    from minitransformer.runs.saving import write_atomically

    curves = {"training": training, "validation": valid}
    if band:
        for name, points in (
            ("training", band.training),
            ("validation", band.validation),
        ):
            lows = [(step, low) for step, _, low, _ in points]
            highs = [(step, high) for step, _, _, high in points]
            curves[f"{name}, seeds"] = [*lows, *highs[::-1], *lows[:1]]
    if not any(drawable(p) for points in curves.values() for p in points):
        return  # all are NaN or infinite
    svg = curve_svg(
        {name: points for name, points in curves.items() if points},
        x_label="step",
        y_label="loss (nats)",
        label="Training and validation loss of a run, and the range of "
        "its recipe's seeds",
    )
    write_atomically(run.folder / CHART, svg)
    tell(f"drawn       {run.folder / CHART}")


def no_band(settings: dict, known: Sequence) -> str:
    """Say that there is no band, and which one is the closest."""
    from minitransformer.runs.band import differences

    sentence = "There is no band for these settings and this text"
    apart = [(differences(settings, band), band) for band in known]
    if apart:
        found, band = min(apart, key=lambda pair: len(pair[0]))
        sentence += f"; the closest is {band.title}"
        if found:
            sentence += f", with other settings: {', '.join(found)}"
    return f"{sentence}. So only the curve itself was checked."


if __name__ == "__main__":
    sys.exit(main())
