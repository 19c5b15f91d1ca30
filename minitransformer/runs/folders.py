"""Folders: one per run, never overwritten unless you ask.

A run's folder holds `settings.json` (every flag, resolved), the model's
`config.json` and `weights.safetensors`, the tokenizer's file, `log.csv`,
figures, and `checkpoints/` for resuming.
"""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from minitransformer.runs.given import read_json
from minitransformer.runs.saving import write_atomically

SETTINGS, CHECKPOINTS = "settings.json", "checkpoints"
LOCK = ".lock"
held: dict[Path, Any] = {}  # the open files that this process locks
# The files of runs: `--overwrite` deletes only these.
WRITTEN = """
config.json weights.safetensors characters.json sentencepiece.model bpe.json
vocab.txt tokenizer_config.json source.model target.model labels.json
log.csv results.json loss.svg attention.svg alignment.svg accuracy.svg
check.svg sample.txt translations.tsv
""".split()  # noqa: SIM905


def fresh_folder(parent: str | Path, prefix: str) -> Path:
    """Make the next free folder in `parent`: `gpt-001`, `gpt-002`, …."""
    number = 1
    while True:
        folder = Path(parent) / f"{prefix}-{number:03d}"
        try:
            folder.mkdir(parents=True)  # fails if the folder exists
            return folder
        except FileExistsError:
            number += 1


def newest_run(parent: str | Path, holds: Iterable[str]) -> Path:
    """Find the run that finished last.

    Args:
        parent: The folder of all runs.
        holds: Names of files; the run has at least one of them.

    Raises:
        ValueError: if there is no such run.
    """
    runs = [
        path.parent
        for path in Path(parent).glob("*/config.json")
        if any((path.parent / name).is_file() for name in holds)
    ]
    if not runs:
        raise ValueError(
            f"There is no finished run in {parent}: train one first, name "
            "a folder with --run, or try --run shipped."
        )
    return max(runs, key=lambda run: (run / "config.json").stat().st_mtime)


def refuse_used(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that is not free for a new run.

    Raises:
        ValueError: if it holds other files, or a run that may not go.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: give a folder with --out.")
    used = (folder / SETTINGS).is_file()
    if used and not overwrite:
        raise ValueError(
            f"{folder} holds a run already: add --resume to continue it, "
            "--overwrite to replace it, or give another --out."
        )
    if not used and folder.is_dir() and holds_files(folder):
        raise ValueError(
            f"{folder} is not empty and is not a run: give another --out."
        )


def claim_folder(
    folder: Path, settings: dict, *, overwrite: bool = False
) -> None:
    """Make a folder for a new run; replace an earlier run if allowed.

    Raises:
        ValueError: if the folder is in use.
        OSError: if the folder cannot be written to; the earlier run is
            still there.
    """
    refuse_used(folder, overwrite=overwrite)
    new = folder / ".writing-new"
    new.mkdir(parents=True, exist_ok=True)
    write_settings(new, settings)  # fails before anything is deleted
    delete_run(folder)
    os.replace(new / SETTINGS, folder / SETTINGS)
    new.rmdir()


def lock_folder(folder: Path) -> None:
    """Keep other processes from training in a run's folder.

    The lock ends with this process, even if the process is killed.

    Raises:
        ValueError: if another process has locked it.
    """
    path = folder.resolve() / LOCK
    if path in held:
        return
    file = path.open("a")
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        file.close()
        raise ValueError(
            f"Another training is running in {folder}: wait for its end, "
            "stop it, or give another --out."
        ) from None
    except OSError:
        pass  # some network disks have no locks
    held[path] = file


def holds_files(folder: Path) -> bool:
    """Tell whether there are files, except those of a killed run."""
    return any(
        path.is_file()
        and path.name != LOCK
        and ".writing-" not in str(path.relative_to(folder))
        for path in folder.rglob("*")
    )


def delete_run(folder: Path) -> None:
    """Delete only the files that runs write; the settings stay."""
    paths = [folder / name for name in WRITTEN]
    paths += (folder / CHECKPOINTS).glob("step-*.safetensors")
    paths += (folder / "tensorboard").glob("events.out.tfevents.*")
    for path in paths:
        path.unlink(missing_ok=True)


def read_settings(folder: str | Path) -> dict:
    """Read a run's settings; raise ValueError for a damaged file."""
    return read_json(Path(folder) / SETTINGS)


def write_settings(folder: str | Path, settings: dict) -> None:
    """Write a run's settings."""
    text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
    # File names need not be UTF-8: other bytes become \udc… in JSON.
    data = text.encode("utf-8", "backslashreplace")
    write_atomically(Path(folder) / SETTINGS, data)


def refuse_other_settings(
    folder: Path, saved: dict, flags: dict, moved: Iterable[str]
) -> None:
    """Refuse flags that differ from a run's saved settings.

    Args:
        folder, saved: The run's folder, and its settings.
        flags: A dictionary of the flags that were given.
        moved: Names of settings that may differ.
    """
    for name, value in flags.items():
        if name in saved and name not in moved and saved[name] != value:
            flag = "--" + name.replace("_", "-")
            raise ValueError(
                f"The run in {folder} was started with {flag} "
                f"{saved[name]}, not {value}: leave the flag out, or "
                "start another run with another --out."
            )
