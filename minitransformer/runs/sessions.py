"""Sessions: what all training scripts do around their training.

A session settles the settings, claims a run's folder, trains on one device
or many, and goes on where an earlier one was stopped. It is handed on as a
dictionary, the `task`.
"""

import contextlib
import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from minitransformer.learning.checkpoints import Checkpoints
from minitransformer.learning.strategies import (
    is_chief,
    make_strategy,
    send_from_chief,
    sum_over_workers,
)
from minitransformer.learning.training import train
from minitransformer.runs.compilation import xla_works
from minitransformer.runs.logs import COLUMNS, Log
from minitransformer.runs.progress import TrainingProgress
from minitransformer.runs.runs import (
    CHECKPOINTS,
    SETTINGS,
    fresh_run,
    open_run,
    read_settings,
    write_settings,
)


def begin(given, defaults, *, moved):
    """Settle what trains, and the settings; nothing is written yet.

    Args:
        given: A dictionary of the flags that were given, with "strategy",
            "resume", "overwrite", and "out" if it was.
        defaults: A dictionary of all settings, for those not given.
        moved: Names of settings that may differ when a run is resumed,
            such as the path of a file that was moved.

    Returns:
        A task: a dictionary with "strategy", "chief" (whether this process
        writes and reports), "settings", "found" (the folder of the run that
        is resumed, or None), and what `claim` needs.

    Raises:
        ValueError: if a flag makes no sense.
    """
    given = dict(given)
    name = given.pop("strategy")
    strategy = make_strategy(name)
    out = given.pop("out", None)
    resume, overwrite = given.pop("resume"), given.pop("overwrite")
    if resume and out is None:
        raise ValueError("Say which run to resume: --resume --out DIR.")
    if not is_chief(strategy):
        print("a worker: the chief reports", flush=True)
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    settings, found = {**defaults, **given}, None
    if resume and (Path(out) / SETTINGS).is_file():
        found = Path(out)
        moves = {key: given.pop(key) for key in moved if key in given}
        settings = {**defaults, **read_settings(out), **moves}
    elif resume:
        print(f"nothing to resume in {out}: starting at step 0", flush=True)
    return {
        "strategy": strategy,
        "chief": is_chief(strategy),
        "found": found,
        "again": ["--strategy", name],
        "settings": settings,
        "given": given,
        "defaults": defaults,
        "out": out,
        "resume": resume,
        "overwrite": overwrite,
    }


def claim(task, *, prefix, data):
    """Claim the run's folder, once the data has been read.

    Args:
        task: From `begin`; it gets the run's "folder" and final "settings".
        prefix: What the names of new folders begin with.
        data: What is trained on, as text: a resumed run's must be the same,
            and so must all workers'.

    Raises:
        ValueError: if the folder is in use, the data has changed, or the
            workers cannot share a batch or do not agree.
    """
    strategy, batch_size = task["strategy"], task["settings"]["batch_size"]
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise ValueError(
            f"A batch of {batch_size} cannot be shared by {replicas} "
            f"replicas: give --batch-size a multiple of {replicas}."
        )
    out, settings = task["out"], task["settings"]
    folder = Path(out or "DIR")
    if task["chief"]:  # the only one that writes
        folder = fresh_run("runs", prefix) if out is None else Path(out)
        settings = task["defaults"] | open_run(
            folder,
            task["given"],
            task["defaults"],
            resume=task["resume"],
            overwrite=task["overwrite"],
        )
    checksum = hashlib.sha256(data.encode()).hexdigest()
    if settings.setdefault("text_sha256", checksum) != checksum:
        raise ValueError(
            f"What the run in {folder} was trained on has changed since it "
            "was started: start another run with another --out."
        )
    if task["chief"]:
        write_settings(folder, settings)
    same_everywhere(strategy, settings)
    task |= {"folder": folder, "settings": settings}


def same_everywhere(strategy, settings):
    """Compare the settings of all workers, the data's checksum included."""
    paths = "text", "pairs", "valid", "test"  # they may differ
    relevant = {k: v for k, v in settings.items() if k not in paths}
    digest = hashlib.sha256(json.dumps(relevant, sort_keys=True).encode())
    mine = np.frombuffer(digest.digest(), "uint8").astype("float64")
    count, ours = sum_over_workers(strategy)([np.ones(()), mine])
    if not np.array_equal(ours, mine * count):
        raise ValueError(
            "The workers have different settings or texts: start all of "
            "them with the same flags and the same text."
        )


@contextlib.contextmanager
def in_scope(strategy):
    """Make and train a model on what a strategy has.

    Raises:
        ConnectionError: if another worker is lost.
    """
    try:
        with strategy.scope():
            yield
    except tf.errors.OpError as error:
        multiworker = tf.distribute.MultiWorkerMirroredStrategy
        if not isinstance(strategy, multiworker):
            raise
        raise ConnectionError(
            "Another worker stopped or cannot be reached, so this one "
            "stops, too."
        ) from error


def resume_and_train(
    task,
    model,
    optimizer,
    batches,
    *,
    evaluate,
    keep=2,
    checkpoint_every=250,
    label_smoothing=0.0,
):
    """Train a task's model, from its last checkpoint on.

    Args:
        task: From `claim`; it gets the "log" and the "checkpoints".
        model, optimizer, batches: As for `train`.
        checkpoint_every, label_smoothing: As for it, too.
        evaluate: Function without arguments that returns the validation
            loss; only the chief calls it.
        keep: How many checkpoints to keep.

    Returns:
        The number of steps made.
    """
    settings, folder = task["settings"], task["folder"]
    chief = task["chief"]
    steps = settings["steps"]
    variables = [*model.trainable_variables, *optimizer.variables]
    checkpoints, start = None, 0
    if chief:
        checkpoints = Checkpoints(
            folder / CHECKPOINTS, variables, keep, checkpoint_every
        )
        start = checkpoints.restore()
    start = int(sum_over_workers(task["strategy"])([start])[0])
    if start:
        send_from_chief(task["strategy"], variables)
        print(f"resuming    at step {start:,}", flush=True)
    log = Log(folder, start) if chief else None
    task |= {"log": log, "checkpoints": checkpoints}
    lost = chief and (not log.rows or log.rows[-1]["step"] < steps)
    if start == steps and lost:  # the last rows: measure again
        lost = {"step": steps, "valid_loss": evaluate(), "seconds": 0.0}
        log.add({**dict.fromkeys(COLUMNS), **lost})
    with TrainingProgress(steps, start) as progress:

        def report(row):
            if chief:
                log.add(row)
                progress.report(row)

        return train(
            model,
            optimizer,
            batches,
            steps=steps,
            start=start,
            evaluate=lambda: evaluate() if chief else None,
            evaluate_every=settings["evaluate_every"],
            accumulate=settings["accumulate"],
            seed=settings["seed"],
            use_xla=settings["xla"] and xla_works(),
            label_smoothing=label_smoothing,
            checkpoints=checkpoints,
            checkpoint_every=checkpoint_every,
            report=report,
        )
