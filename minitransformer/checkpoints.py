"""Checkpoints: all that training needs to go on, and nothing lost."""

import contextlib
import hashlib
import re
import warnings
from pathlib import Path

import numpy as np

from minitransformer.saving import write_atomically


def digest(arrays):
    """Compute one checksum over arrays: names, types, shapes, bytes."""
    checksum = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        checksum.update(f"{name} {array.dtype} {array.shape}".encode())
        checksum.update(array.tobytes())
    return checksum.hexdigest()


class Checkpoints:
    """Keep the last two states of a run, each in one safetensors file.

    A file appears whole or not at all, and carries a checksum; when the
    newest one is damaged all the same, the one before it serves.

    Args:
        folder: Made if it does not exist.
        variables: Keras variables: the model's weights and the optimizer's
            state. They are told apart by their order.
    """

    def __init__(self, folder, variables):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.glob(".writing-*"):
            path.unlink()  # a kill left it
        self.variables = {f"{i:04d}": v for i, v in enumerate(variables)}

    def files(self):
        """List the checkpoints' (step, path), the newest first."""
        found = []
        for path in self.folder.glob("step-*.safetensors"):
            match = re.fullmatch(r"step-(\d+)", path.stem)
            if match:
                found.append((int(match[1]), path))
        return sorted(found, reverse=True)

    def save(self, step):
        """Write the state after `step` steps, then delete all but two.

        Raises:
            OSError: if it cannot be written; the older ones are there.
        """
        from safetensors.numpy import save

        arrays = {
            name: np.asarray(v.numpy())
            for name, v in self.variables.items()
        }
        data = save(arrays, metadata={"sha256": digest(arrays)})
        write_atomically(self.folder / f"step-{step:08d}.safetensors", data)
        for _, path in self.files()[2:]:
            with contextlib.suppress(OSError):
                path.unlink()

    def restore(self):
        """Set the variables to the newest state that is whole.

        Returns:
            The number of steps it had made; 0, and nothing is set, if there
            is none.
        """
        for step, path in self.files():
            try:
                arrays = self.read(path)
            except (ValueError, OSError) as error:
                warnings.warn(
                    f"{path} is damaged ({error}): going back before it.",
                    stacklevel=2,
                )
                continue
            for name, variable in self.variables.items():
                variable.assign(arrays[name])
            return step
        return 0

    def read(self, path):
        """Read one file, and compare its checksum and shapes."""
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
        shapes = {
            name: tuple(v.shape) for name, v in self.variables.items()
        }
        if {name: a.shape for name, a in arrays.items()} != shapes:
            raise ValueError("it belongs to another model")
        return arrays
