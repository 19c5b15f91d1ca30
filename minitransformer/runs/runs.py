"""Runs: a folder for each training, that nothing overwrites unasked.

A run holds `settings.json` (every flag, resolved), the model's
`config.json` and `weights.safetensors`, the tokenizer's file, `log.csv`,
figures, and `checkpoints/` for resuming.
"""

import json
from pathlib import Path

from minitransformer.runs.saving import write_atomically

SETTINGS, CHECKPOINTS = "settings.json", "checkpoints"


def fresh_run(parent, prefix):
    """Make the next free folder: `gpt-001`, `gpt-002`, ….

    Args:
        parent: The folder of all runs, made if it does not exist.
        prefix: What its name begins with.

    Returns:
        The new folder's path.
    """
    number = 1
    while True:
        folder = Path(parent) / f"{prefix}-{number:03d}"
        try:
            folder.mkdir(parents=True)  # fails if another one was faster
            return folder
        except FileExistsError:
            number += 1


def newest_run(parent, holds):
    """Find the run that was written to last.

    Args:
        parent: The folder of all runs.
        holds: Names of files; the run has one of them, at least.

    Raises:
        ValueError: if there is none.
    """
    runs = [
        path.parent
        for path in Path(parent).glob("*/config.json")
        if any((path.parent / name).is_file() for name in holds)
    ]
    if not runs:
        raise ValueError(
            f"There is no finished run in {parent}: train one first, or "
            "name a folder with --run."
        )
    return max(runs, key=lambda run: (run / "config.json").stat().st_mtime)


def open_run(folder, given, defaults, *, resume, overwrite):
    """Claim a folder for a run, and settle its settings.

    Args:
        folder: The run's folder, made if it does not exist.
        given: A dictionary of the settings the user gave.
        defaults: A dictionary of all settings, for those not given.
        resume: Go on with the run that is there; its settings hold, and
            those given must be the same.
        overwrite: Delete the run that is there.

    Returns:
        A dictionary with a value for each setting; it is in
        `settings.json`, too.

    Raises:
        ValueError: if the folder is in use, or the settings differ.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: give a folder with --out.")
    if resume and overwrite:
        raise ValueError("Give --resume or --overwrite, not both.")
    path = folder / SETTINGS
    if resume and path.is_file():
        return resumed_settings(folder, given)
    used = path.is_file()
    if used and not overwrite:
        raise ValueError(
            f"{folder} holds a run already: add --resume to go on with it, "
            "--overwrite to replace it, or give another --out."
        )
    if not used and folder.is_dir() and holds_files(folder):
        raise ValueError(
            f"{folder} holds something that is no run: give another --out."
        )
    folder.mkdir(parents=True, exist_ok=True)
    if used:
        delete_run(folder)
    settings = {**defaults, **given}
    write_settings(folder, settings)
    return settings


def resumed_settings(folder, given):
    """Read a run's settings; those given must be the same."""
    settings = read_settings(folder)
    for name, value in given.items():
        if name in settings and settings[name] != value:
            flag = "--" + name.replace("_", "-")
            raise ValueError(
                f"The run in {folder} was started with {flag} "
                f"{settings[name]}, not {value}: leave the flag out, or "
                "start another run with another --out."
            )
    return settings


def holds_files(folder):
    """Tell whether there is a file, but for what a killed write left."""
    return any(
        path.is_file() and not path.name.startswith(".writing-")
        for path in folder.rglob("*")
    )


def read_settings(folder):
    """Read a run's settings.

    Raises:
        ValueError: if the file is damaged.
    """
    path = Path(folder) / SETTINGS
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def write_settings(folder, settings):
    """Write a run's settings."""
    text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
    write_atomically(Path(folder) / SETTINGS, text)


def delete_run(folder):
    """Delete what a run writes, and nothing else; its settings stay."""
    written = [
        "config.json",
        "weights.safetensors",
        "characters.json",
        "sentencepiece.model",
        "log.csv",
        "loss.svg",
        "attention.svg",
        "sample.txt",
        "source.model",
        "target.model",
        "alignment.svg",
        "translations.tsv",
        "vocab.txt",
        "labels.json",
        "results.json",
        "accuracy.svg",
        "bpe.json",
    ]
    folder = Path(folder)
    paths = [folder / name for name in written]
    paths += (folder / CHECKPOINTS).glob("step-*.safetensors")
    paths += (folder / "tensorboard").glob("events.out.tfevents.*")
    for path in paths:
        path.unlink(missing_ok=True)
