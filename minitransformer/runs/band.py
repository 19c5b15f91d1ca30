"""Bands: between which losses the runs of a recipe lie, seed by seed.

The folder `bands` beside this file holds one small file per recipe and
text. `scripts/evidence/bands.py` measures them, with five seeds each.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from minitransformer.runs.given import read_json

BANDS = Path(__file__).with_name("bands")
POINTS = 25  # of a curve; each is the mean of a window of steps
# A run may lie outside its band by this many times the band's width.
MARGIN = 1.5
SOURCES = "text", "pairs", "valid", "test"  # settings that name the data
# Settings that do not change the losses, or that the text decides.
FREE = {
    *SOURCES,
    *("seed", "recipe", "xla", "evaluate_every", "beam_size"),
    *("text_sha256", "vocabulary_sha256"),
}

# A step, then the median, the lowest and the highest loss of all seeds.
Point = tuple[int, float, float, float]


class Band(NamedTuple):
    """The curves of one recipe on one text, over several seeds.

    A file has a key for each field; the others say how it was made.
    """

    title: str  # "train_gpt.py on Python 3.11.7's documentation"
    settings: dict  # those that identify the recipe
    sources: dict  # what --text or --pairs was; None is the default
    text_sha256: str | None  # None: each seed makes data of its own
    seeds: list[int]
    uniform: float  # the loss of a uniform guess
    training: list[Point]
    validation: list[Point]
    learning_rate: list[tuple[int, float]]


def read_bands(folder: Path | None = None) -> list[Band]:
    """Read all bands of a folder; None is the package's own.

    Raises:
        ValueError: if a file is damaged.
    """
    bands = []
    for path in sorted((folder or BANDS).glob("*.json")):
        found = read_json(path)
        try:
            bands.append(Band(*(found[name] for name in Band._fields)))
        except KeyError as error:
            raise ValueError(
                f"{path} has no {error}: restore it."
            ) from None
    return bands


def differences(settings: Mapping, band: Band) -> list[str]:
    """List the settings in which a run and a band differ.

    A setting that only one of them has counts as off: 0, False or None.
    So a band stays valid when a script gets a flag that is off.
    """
    names = (settings.keys() | band.settings.keys()) - FREE
    return [
        f"{name} {settings.get(name)}, not {band.settings.get(name)}"
        for name in sorted(names)
        if (settings.get(name) or None) != (band.settings.get(name) or None)
    ]


def same_text(settings: Mapping, band: Band) -> bool:
    """Tell whether a run's data are those of the band."""
    if band.text_sha256:
        return settings.get("text_sha256") == band.text_sha256
    return same_source(settings, band)


def same_source(settings: Mapping, band: Band) -> bool:
    """Tell whether a run's data come from the same place.

    The place may hold another text: Python's documentation differs
    between versions of Python.
    """
    names = settings.keys() | band.sources.keys()
    return all(
        settings.get(name) == band.sources.get(name)
        for name in names & {*SOURCES}
    )


def find_band(settings: Mapping, bands: Sequence[Band]) -> Band | None:
    """Find the band of a run: of its recipe, and of its text if possible.

    Args:
        settings: The run's settings.
        bands: From `read_bands`.

    Returns:
        The band of the same text; else one whose text has the same
        source; else None.
    """
    fitting = [band for band in bands if not differences(settings, band)]
    for same in same_text, same_source:
        for band in fitting:
            if same(settings, band):
                return band
    return None


def windows(rows: Iterable[Any], steps: int) -> list[tuple[int, float]]:
    """Average a training loss over windows of steps.

    One row is the mean of at most ten batches, too rough to compare.

    Args:
        rows: Rows of a log.
        steps: The steps of the whole run, from its settings.

    Returns:
        A list of (step, loss): the first row, then the mean of each 25th
        of the run, at the window's last step.
    """
    groups: dict[int, list[tuple[int, float]]] = {}
    for row in rows:
        if row.loss is not None:
            number = -(-row.step * POINTS // steps)  # rounded up
            group = groups.setdefault(number, [])
            group.append((row.step, row.loss))
    first = [group[0] for group in [*groups.values()][:1]]
    means = {
        group[-1][0]: sum(loss for _, loss in group) / len(group)
        for group in groups.values()
    }
    return sorted({**means, **dict(first)}.items())


def slack(point: Point, band: Band) -> float:
    """Say how far beyond its band a loss may lie and still be usual."""
    _, _, low, high = point
    return max(MARGIN * (high - low), 0.002 * band.uniform)


def last_common(
    curve: Iterable[tuple[int, float]], points: Iterable[Point]
) -> tuple[float, Point] | None:
    """Find the last step that a run and a band both measured."""
    at = {point[0]: point for point in points}
    both = [(loss, at[step]) for step, loss in curve if step in at]
    return both[-1] if both else None


def verdict(
    settings: Mapping,
    valid: Sequence[tuple[int, float]],
    bands: Sequence[Band],
    *,
    is_recipe: bool = False,
) -> str:
    """Say in one line whether a validation loss is usual.

    Args:
        settings: The run's settings.
        valid: The run's (step, validation loss).
        bands: From `read_bands`.
        is_recipe: Whether the settings are a script's own, so that a
            missing band is worth a line.

    Returns:
        The line; "" for settings of the user that no band has.
    """
    band = find_band(settings, bands)
    common = band and last_common(valid, band.validation)
    if not band or not common:
        missing = "there is no band for this recipe and text yet"
        return missing if is_recipe else ""
    loss, point = common
    step, _, low, high = point
    space = slack(point, band)
    usual = "as usual for this recipe"
    if not same_text(settings, band):
        usual = f"this text is not that of the band, {band.title}"
    elif loss < low - space:
        usual = "lower than every seed of this recipe"
    elif loss > high + space:
        usual = "higher than every seed of this recipe"
    steps = f" at step {step:,}" if step != settings["steps"] else ""
    return (
        f"validation {loss:.4g}{steps}: {usual} ({low:.4g} to {high:.4g}, "
        f"{len(band.seeds)} seeds)"
    )
