"""Run: one training, from its settings to its figures.

The way from a script to the first gradient: the script makes a `Run` and
claims its folder; `Run.train` calls `training.train`, which calls
`fast_steps.compile_steps`.
"""

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from minitransformer.figures import curve_svg
from minitransformer.learning.checkpoints import Checkpoints
from minitransformer.learning.losses import masked_cross_entropy
from minitransformer.learning.strategies import (
    is_chief,
    make_strategy,
    send_from_chief,
    sum_over_workers,
)
from minitransformer.learning.training import Row, train
from minitransformer.learning.validation import compile_evaluation
from minitransformer.runs.band import FREE, SOURCES, read_bands, verdict
from minitransformer.runs.commands import command, refuse, stop, tell
from minitransformer.runs.compilation import xla_works
from minitransformer.runs.folders import (
    CHECKPOINTS,
    SETTINGS,
    claim_folder,
    fresh_folder,
    lock_folder,
    read_settings,
    refuse_other_settings,
    refuse_used,
    write_settings,
)
from minitransformer.runs.logs import Log, read_log
from minitransformer.runs.progress import TrainingProgress
from minitransformer.runs.saving import write_atomically
from minitransformer.runs.signals import last_words


class Run:
    """One training and its folder.

    The constructor settles the settings; `claim` is the first to write.

    Args:
        flags: A dictionary of the flags that were given, with "resume",
            "overwrite", and "out" and "strategy" if they were given.
        defaults: A dictionary with a default for every setting.
        moved: Names of settings that may differ when a run is resumed,
            such as the path of a file that was moved.

    Attributes:
        settings: A dictionary with a value for each setting.
        folder: The run's folder; without "out" it is known after `claim`.
        resumes: Whether there is a run to resume.
        is_recipe: Whether all settings are defaults, except the seed and
            others that hardly change a loss.
        strategy: The `tf.distribute.Strategy` that trains.
        is_chief: Whether this process writes and reports.
        log: The `Log`, known after `train` has begun.
        checkpoints: The `Checkpoints`, known after `train` has begun.

    Raises:
        ValueError: if a flag makes no sense, or differs from the setting
            of the run that is resumed.
    """

    log: Log
    checkpoints: Checkpoints

    def __init__(
        self, flags: dict, defaults: dict, *, moved: Iterable[str] = ()
    ) -> None:
        flags = dict(flags)
        strategy = flags.pop("strategy", None)
        self.again = ["--strategy", strategy] if strategy else []
        self.strategy = make_strategy(strategy or "one")
        self.is_chief = is_chief(self.strategy)
        if not self.is_chief:
            tell("This is a worker; the chief shows progress.")
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        out = flags.pop("out", None)
        self.is_named, self.folder = out is not None, Path(out or "")
        resume, self.overwrite = flags.pop("resume"), flags.pop("overwrite")
        if resume and out is None:
            raise ValueError("Say which run to resume: --resume --out DIR.")
        if resume and self.overwrite:
            raise ValueError("Give --resume or --overwrite, not both.")
        self.resumes = resume and (self.folder / SETTINGS).is_file()
        if resume and not self.resumes:
            tell(f"nothing to resume in {out}: starting at step 0")
        if self.is_chief and out is not None and not self.resumes:
            refuse_used(self.folder, overwrite=self.overwrite)
        if self.is_chief and (self.folder / SETTINGS).is_file():
            lock_folder(self.folder)
        saved = read_settings(self.folder) if self.resumes else {}
        refuse_other_settings(self.folder, saved, flags, moved)
        # The one place where settings are merged: later ones win.
        self.settings = {**defaults, **saved, **flags}
        self.settings.pop("strategy", None)  # may change on resuming
        free = FREE - {*SOURCES}
        self.is_recipe = all(
            self.settings[name] == default
            for name, default in defaults.items()
            if name not in free | {"strategy"}
        )

    def claim(self, prefix: str, data: str) -> None:
        """Claim the run's folder, once the data has been read.

        Args:
            prefix: How the name of a new folder begins.
            data: The training data as text. It must be the same in all
                sessions of a run, and in all workers.

        Raises:
            ValueError: if the folder is in use, its log is damaged, the
                data has changed, the workers do not agree or cannot share
                a batch.
        """
        replicas = self.strategy.num_replicas_in_sync
        if self.settings["batch_size"] % replicas:
            raise ValueError(
                f"{replicas} replicas cannot share a batch of "
                f"{self.settings['batch_size']}: give --batch-size a "
                f"multiple of {replicas}."
            )
        checksum = hashlib.sha256(data.encode()).hexdigest()
        if self.settings.setdefault("text_sha256", checksum) != checksum:
            raise ValueError(
                f"The data of the run in {self.folder} has changed since "
                "it was started: restore it, or start another run with "
                "another --out."
            )
        if self.is_chief and self.resumes:
            read_log(self.folder)  # a damaged one is refused here
        refuse_other_workers(self.strategy, self.settings)
        if not self.is_chief:  # only the chief writes
            return
        if not self.is_named:
            self.folder = fresh_folder("runs", prefix)
        self.folder.mkdir(parents=True, exist_ok=True)
        lock_folder(self.folder)
        if self.resumes:
            write_settings(self.folder, self.settings)
        else:
            claim_folder(
                self.folder, self.settings, overwrite=self.overwrite
            )

    def describe(self) -> None:
        """Print the settings and the folder."""
        shown = [
            f"{name} {value}"
            for name, value in self.settings.items()
            if value is not None
            and not name.endswith("sha256")
            and name != "text"
        ]
        tell(f"settings    {', '.join(shown)}")
        tell(f"run         {self.folder}")

    def write(self, name: str, text: str) -> None:
        """Write a text into the run's folder, whole or not at all."""
        write_atomically(self.folder / name, text)

    @property
    def use_xla(self) -> bool:
        """Whether XLA compiles: if the settings ask for it and it works."""
        return self.settings["xla"] and xla_works()

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Explain what stops the training, and how to resume it.

        Raises:
            SystemExit: 1 if training failed, 130 after Ctrl-C.
        """
        again = command(
            sys.argv[0], "--out", self.folder, "--resume", *self.again
        )
        last_words.append(f"Stopped. Go on with\n  {again}")
        several = tf.distribute.MultiWorkerMirroredStrategy
        try:
            yield
        except KeyboardInterrupt as interrupt:
            where = "".join(interrupt.args)
            stop(f"Stopped{where}. Go on with\n  {again}", 130)
        except FloatingPointError as error:
            stop(f"error: {error}", 1)
        except (MemoryError, tf.errors.ResourceExhaustedError):
            stop(
                "error: The memory of this machine is full: give a smaller "
                "--batch-size or a smaller model, in another --out.",
                1,
            )
        except tf.errors.OpError:
            if not isinstance(self.strategy, several):
                raise
            stop(
                "error: Another worker stopped or cannot be reached, so "
                "this one stops as well. Start all of them again with\n"
                f"  {again}",
                1,
            )
        except OSError as error:
            stop(
                f"error: {self.folder} cannot be written to "
                f"({error.strerror or error}): make room, then resume from "
                "the last checkpoint with --resume.",
                1,
            )

    def train(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        batches: Callable[[int], tf.data.Dataset],
        valid: Iterable,
        *,
        loss: Callable = masked_cross_entropy,
        keep: int = 2,
        save_every: int = 250,
    ) -> None:
        """Train a model, from the run's last checkpoint on.

        Args:
            model, optimizer, batches, loss: The same as in `train`.
            valid: The batches to validate with; only the chief does.
            keep, save_every: How many checkpoints to keep, and the steps
                between them.

        Raises:
            KeyboardInterrupt: after Ctrl-C, once the checkpoint is saved.
            SystemExit: 2 if there are checkpoints, and none of them fits.
        """
        steps, start, checkpoints = self.settings["steps"], 0, None
        variables = [*model.trainable_variables, *optimizer.variables]
        mean_loss = compile_evaluation(model, use_xla=self.use_xla)

        def evaluate() -> float | None:
            return mean_loss(valid) if self.is_chief else None

        if self.is_chief:
            checkpoints = self.checkpoints = Checkpoints(
                self.folder / CHECKPOINTS, variables, keep, save_every
            )
            start = checkpoints.restore()
            if start > steps or (checkpoints.files() and not start):
                start = -1  # so that all workers hear of it
        start = int(sum_over_workers(self.strategy)([start])[0])
        if start < 0:
            refuse(
                f"{self.folder / CHECKPOINTS} has no checkpoint of this "
                "run: restore them, or begin again with --overwrite."
            )
        if start:
            send_from_chief(self.strategy, variables)
            tell(f"resuming    at step {start:,}")
        if self.is_chief:
            self.log = Log(self.folder, start)
            rows = self.log.rows
            if start == steps and not (rows and rows[-1].step == steps):
                # The last rows are lost: measure again.
                lost = Row(steps, None, evaluate(), None, None, None, 0.0)
                self.log.add(lost)
        with TrainingProgress(steps, start) as progress:

            def report(row: Row) -> None:
                if self.is_chief:
                    self.log.add(row)
                    progress.report(row)

            done = train(
                model,
                optimizer,
                batches,
                steps=steps,
                start=start,
                evaluate=evaluate,
                evaluate_every=self.settings["evaluate_every"],
                accumulate=self.settings["accumulate"],
                seed=self.settings["seed"],
                use_xla=self.use_xla,
                loss=loss,
                checkpoints=checkpoints,
                save_every=save_every,
                report=report,
            )
        if done < steps:
            raise KeyboardInterrupt(f" at step {done}, and saved")
        if self.is_chief:
            self.compare()

    def compare(self) -> None:
        """Print in one line whether the validation loss is usual."""
        try:
            bands = read_bands()
        except ValueError as error:  # no reason to lose a training
            tell(f"verdict     none: {error}")
            return
        line = verdict(
            self.settings,
            self.log.curve("valid_loss"),
            bands,
            is_recipe=self.is_recipe,
        )
        if line:
            tell(f"verdict     {line}")
        if "every seed" in line:
            name = "minitransformer.check_run"
            tell(f"  {command('-m', name, self.folder)} tells more")

    def draw_losses(self, unit: str) -> None:
        """Draw `loss.svg`: training and validation loss, in a unit."""
        svg = curve_svg(
            {
                "training": self.log.curve("loss"),
                "validation": self.log.curve("valid_loss"),
            },
            x_label="step",
            y_label=f"loss ({unit})",
            label="Training and validation loss",
        )
        self.write("loss.svg", svg)


def refuse_other_workers(
    strategy: tf.distribute.Strategy, settings: dict
) -> None:
    """Refuse workers whose settings or data differ from each other."""
    paths = "text", "pairs", "valid", "test"  # they may differ
    relevant = {k: v for k, v in settings.items() if k not in paths}
    text = json.dumps(relevant, sort_keys=True)
    digest = hashlib.sha256(text.encode()).digest()
    ours = np.frombuffer(digest, "uint8").astype("float64")
    try:
        count, added = sum_over_workers(strategy)([np.ones(()), ours])
    except tf.errors.OpError as error:
        raise ValueError(
            "Another worker stopped before training began: read what it "
            "printed, and start all of them again."
        ) from error
    if not np.array_equal(added, ours * count):
        raise ValueError(
            "The workers have different settings or texts: start all of "
            "them with the same flags and the same text."
        )
