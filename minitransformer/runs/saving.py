"""Saving: a model is a `config.json` and a `weights.safetensors`.

Both can be read without this package, and neither can run code (no pickle).
"""

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from minitransformer.runs.given import read_json
from minitransformer.runs.sizes import least_bytes, refuse_beyond_memory

CONFIG, WEIGHTS = "config.json", "weights.safetensors"
FLOATS = {"F64", "F32", "F16", "BF16"}  # the weights that are read


def write_atomically(path: str | Path, data: str | bytes) -> None:
    """Write a file whole, or leave what was there.

    Args:
        path: The file; its folder must exist.
        data: Bytes, or text that is written as UTF-8.

    Raises:
        OSError: if the disk is full or the folder cannot be written to; the
            file that was there is still there.
    """
    path = Path(path)
    data = data.encode() if isinstance(data, str) else data
    temporary = path.with_name(f".writing-{os.getpid()}-{path.name}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # on the disk before it gets its name
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def digest(arrays: Mapping[str, Any]) -> str:
    """Compute one checksum over arrays: names, types, shapes, bytes."""
    checksum = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        checksum.update(f"{name} {array.dtype} {array.shape}".encode())
        checksum.update(array.tobytes())
    return checksum.hexdigest()


def named_weights(model: Any) -> dict[str, Any]:
    """List a model's weights by name, frozen ones included.

    Args:
        model: A built Keras model.

    Returns:
        A dictionary from names such as "decoder/block_0/self_attention/
        query_dense/kernel" to Keras variables, in the model's order.
    """
    return {
        variable.path.removeprefix(f"{model.name}/"): variable
        for variable in model.weights  # without the states of Dropout
    }


def differences(has: Mapping, needs: Mapping) -> list[str]:
    """Compare the arrays of a file with the weights of a model.

    Args:
        has, needs: Dictionaries from names to shapes.

    Returns:
        A phrase for each difference, sorted; none if all fit.
    """
    wrong = [f"{name} is missing" for name in needs.keys() - has]
    wrong += [f"{name} is unknown" for name in has.keys() - needs]
    wrong += [
        f"{name} has shape {has[name]}, needs {needs[name]}"
        for name in needs.keys() & has
        if has[name] != needs[name]
    ]
    return sorted(wrong)


def refuse_differences(has: Mapping, needs: Mapping) -> None:
    """Raise ValueError with the first `differences`, if there are any."""
    if wrong := [phrase[:48] for phrase in differences(has, needs)]:
        more = [f"and {len(wrong) - 3} more"] if len(wrong) > 3 else []
        listed = "; ".join(wrong[:3] + more)
        raise ValueError(f"These weights are another model's: {listed}")


def assign_weights(model: Any, arrays: Mapping[str, Any]) -> None:
    """Give a model the values of named arrays, all of them or none.

    Args:
        model: A built Keras model.
        arrays: A dictionary from names, as `named_weights` makes them, to
            NumPy arrays.

    Raises:
        ValueError: if a name is missing or unknown, a shape differs, or a
            number is NaN or infinite.
    """
    import numpy as np

    weights = named_weights(model)
    has, needs = (
        {name: tuple(values.shape) for name, values in group.items()}
        for group in (arrays, weights)
    )
    refuse_differences(has, needs)
    for name in weights:
        with np.errstate(over="ignore"):  # it would be infinite
            values = np.asarray(arrays[name], "float32")
        if not np.isfinite(values).all():
            raise ValueError(
                f"{name} holds NaN or infinite numbers: the training that "
                "made these weights diverged."
            )
    for name, variable in weights.items():
        variable.assign(arrays[name])


class SavedModel:
    """Give a Keras model `save` and `load`, and what Keras' own need.

    Args:
        config: The model's configuration, a dataclass.
        name: The model's name.

    Attributes:
        config_class: That dataclass; `cls(config)` makes a model.

    Raises:
        TypeError: if `config` is of another class.
        ValueError: if the weights do not fit into this machine's memory.
    """

    config: Any
    config_class: Any

    def __init__(self, config: Any, name: str) -> None:
        if not isinstance(config, self.config_class):
            kind = self.config_class.__name__
            raise TypeError(f"config is {config!r:.60}: give a {kind}.")
        refuse_beyond_memory(least_bytes(asdict(config)))
        # Ids are no halves: no cast of inputs.
        super().__init__(name=name, autocast=False)  # type: ignore
        self.config = config

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Call the model; Keras' `fit` gives all inputs as one tuple."""
        import numpy as np

        first = inputs[0] if inputs else ()
        if isinstance(first, tuple | list):
            parts = all(hasattr(part, "shape") for part in first)
            lists = first if parts else map(np.asarray, inputs)
            inputs = tuple(lists)
        return super().__call__(*inputs, **options)  # type: ignore

    def build(self, x_shape: tuple) -> None:
        """Make nothing yet: the first call makes the weights."""

    def get_config(self) -> dict[str, Any]:
        """List the numbers and names that `from_config` needs."""
        return asdict(self.config)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a new model from what `get_config` listed."""
        return cls(cls.config_class(**config))  # type: ignore[call-arg]

    def save(self, filepath: str | Path, **options: Any) -> None:
        """Write `config.json` and `weights.safetensors` into a folder.

        Args:
            filepath: The folder, made if it does not exist; a model saved
                there before is replaced. A path that ends in `.keras` is
                Keras' own file, for `keras.saving.load_model`.
            **options: Keras' own, for such a file alone.
        """
        from safetensors.numpy import save

        if str(filepath).endswith((".keras", ".h5", ".hdf5")):
            super().save(filepath, **options)  # type: ignore
            return
        text = json.dumps(self.get_config(), indent=2) + "\n"
        arrays = {
            name: variable.numpy()
            for name, variable in named_weights(self).items()
        }
        data = save(arrays, metadata={"sha256": digest(arrays)})
        folder = Path(filepath)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / WEIGHTS, data)
        write_atomically(folder / CONFIG, text)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a model that `save` wrote into a folder.

        Raises:
            ValueError: if a file is missing, damaged, or another model's.
        """
        from safetensors import SafetensorError, safe_open

        folder = Path(folder)
        for name in (CONFIG, WEIGHTS):
            if not (folder / name).is_file():
                raise ValueError(
                    f"{folder} holds no saved model: {name} is not there. "
                    "If its training was stopped, end it first, with "
                    "--resume."
                )
        settings = read_json(folder / CONFIG)
        try:
            # The file is mapped: what its header tells costs no memory.
            with safe_open(folder / WEIGHTS, framework="numpy") as file:
                parts = {
                    name: file.get_slice(name) for name in list(file.keys())
                }
                kinds = {part.get_dtype() for part in parts.values()}
                if other := sorted(kinds - FLOATS):
                    raise ValueError(
                        f"{WEIGHTS} holds {', '.join(other)}, expected "
                        f"{', '.join(sorted(FLOATS))}"
                    )
                has = {
                    name: tuple(p.get_shape()) for name, p in parts.items()
                }
                found = sum(map(math.prod, has.values()))
                if least_bytes(settings) > 16 * found + 2**28:
                    raise ValueError(
                        f"{WEIGHTS} holds {found:,} numbers, far too few "
                        f"for the sizes in {CONFIG}"
                    )
                model = cls.from_config(settings)
                weights = named_weights(model).items()
                needs = {name: tuple(w.shape) for name, w in weights}
                refuse_differences(has, needs)
                arrays = {name: file.get_tensor(name) for name in has}
                expected = (file.metadata() or {}).get("sha256")
            if expected not in (None, digest(arrays)):
                raise ValueError(f"the checksum of {WEIGHTS} is wrong")
            assign_weights(model, arrays)
        except TypeError as error:
            raise ValueError(
                f"{folder / CONFIG} describes another kind of model: "
                f"{error}"
            ) from error
        except (SafetensorError, ValueError, OSError) as error:
            raise ValueError(
                f"The model in {folder} is damaged: {error}"
            ) from error
        return model
