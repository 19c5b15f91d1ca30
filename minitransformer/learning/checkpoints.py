"""Checkpoints: everything needed to resume training exactly."""

import contextlib
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np

from minitransformer.runs.saving import digest, shapes_of, write_atomically


class Checkpoints:
    """Keep the last states of a run, each in one safetensors file.

    A file appears whole or not at all, and has a checksum. If the newest
    one is damaged anyway, the previous one is used.

    Args:
        folder: Made if it does not exist.
        variables: Keras variables, the model's weights and the optimizer's
            state, in an order that stays the same.
        keep: Number of states to keep: at least two, or more to average.
        every: Steps between regular states. An irregular one, saved when
            training was stopped, is deleted after the next save.
    """

    def __init__(
        self,
        folder: str | Path,
        variables: Iterable[keras.Variable],
        keep: int = 2,
        every: int = 1,
    ) -> None:
        self.folder = Path(folder)
        self.keep, self.every = keep, every
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.glob(".writing-*"):
            path.unlink()  # a killed process left it
        self.variables = {f"{i:04d}": v for i, v in enumerate(variables)}

    def files(self) -> list[tuple[int, Path]]:
        """List (step, path) of each checkpoint, the newest first."""
        found = []
        for path in self.folder.glob("step-*.safetensors"):
            match = re.fullmatch(r"step-(\d+)", path.stem)
            if match:
                found.append((int(match[1]), path))
        return sorted(found, reverse=True)

    def save(self, step: int) -> None:
        """Write the state after `step` steps, then delete the oldest.

        Raises:
            OSError: if it cannot be written; the older ones remain.
        """
        from safetensors.numpy import save

        arrays = {
            name: np.asarray(v.numpy())
            for name, v in self.variables.items()
        }
        data = save(arrays, metadata={"sha256": digest(arrays)})
        write_atomically(self.folder / f"step-{step:08d}.safetensors", data)
        older = [file for file in self.files() if file[0] != step]
        regular = [path for n, path in older if n % self.every == 0]
        for _, path in older:
            if path not in regular[: self.keep - 1]:
                with contextlib.suppress(OSError):
                    path.unlink()

    def restore(self) -> int:
        """Set the variables to the newest undamaged state.

        Returns:
            Its number of steps; 0 if there is no such state.
        """
        for step, arrays in self.whole():
            for name, variable in self.variables.items():
                variable.assign(arrays[name])
            return step
        return 0

    def whole(self) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Yield (step, arrays) of each undamaged state, newest first."""
        for step, path in self.files():
            try:
                arrays = self.read(path)
            except (ValueError, OSError) as error:
                warnings.warn(
                    f"{path} is damaged ({error}): it is not used.",
                    stacklevel=2,
                )
                continue
            yield step, arrays

    def average(self, variables: Sequence[keras.Variable]) -> None:
        """Set variables to their mean over all undamaged states.

        Args:
            variables: The first ones of those saved: the model's weights.

        Raises:
            ValueError: if there is no undamaged state.

        References:
            Vaswani et al. 2017, §6.1: the last 5 checkpoints.
        """
        names = list(self.variables)[: len(variables)]
        states = [
            [arrays[name] for name in names] for _, arrays in self.whole()
        ]
        if not states:
            raise ValueError(f"{self.folder} has no checkpoint to average.")
        for variable, *values in zip(variables, *states, strict=True):
            variable.assign(np.mean(values, axis=0))

    def read(self, path: Path) -> dict[str, np.ndarray]:
        """Read one file, and check its checksum and shapes."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                expected = (file.metadata() or {}).get("sha256")
                arrays = {
                    name: file.get_tensor(name)
                    for name in file.keys()  # noqa: SIM118
                }
        except SafetensorError as error:
            raise ValueError(str(error)) from error
        if digest(arrays) != expected:
            raise ValueError("its checksum is wrong")
        if shapes_of(arrays) != shapes_of(self.variables):
            raise ValueError("it belongs to another model")
        return arrays
