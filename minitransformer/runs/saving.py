"""Saving: a model is a `config.json` and a `weights.safetensors`.

Both can be read without this package, and neither can run code (no pickle).
"""

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from minitransformer.runs.given import read_json
from minitransformer.runs.sizes import least_bytes, refuse_beyond_memory

CONFIG, WEIGHTS = "config.json", "weights.safetensors"
FLOATS = {"F64", "F32", "F16", "BF16"}  # the types that weights may have


def write_atomically(path: str | Path, data: str | bytes) -> None:
    """Write a file whole, or leave what was there.

    Args:
        path: The file; its folder must exist.
        data: Bytes, or text that is written as UTF-8.

    Raises:
        OSError: if the disk is full or the folder cannot be written to;
            the old file is still there.
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


@contextlib.contextmanager
def open_arrays(
    paths: Sequence[Path], rename: Callable[[str], str] = str
) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Open safetensors files, but read only their headers.

    The files are memory-mapped: the system reads a part of them only when
    it is used. So a header that claims a huge array costs no memory.

    Args:
        paths: The files; together they hold the weights of a model.
        rename: Function from a name in a file to the name that is used,
            or to "" for an array that is not needed.

    Yields:
        slices: A dictionary from names to arrays; `slices[name][...]`
            reads the numbers.
        checksum: The one that `save` wrote, or None.

    Raises:
        ValueError: if a file is damaged, two arrays get the same name, or
            an array that is needed does not hold floats.
    """
    from safetensors import SafetensorError, safe_open

    slices: dict[str, Any] = {}
    try:
        with contextlib.ExitStack() as stack:
            for path in paths:
                file = stack.enter_context(safe_open(path, "numpy"))
                for name in list(file.keys()):
                    if (new := rename(name)) in slices:
                        raise ValueError(f"{path.name} holds {new} twice.")
                    if new:
                        slices[new] = file.get_slice(name)
                kinds = {array.get_dtype() for array in slices.values()}
                if other := sorted(kinds - FLOATS):
                    raise ValueError(
                        f"{path.name} holds {', '.join(other)}, expected "
                        f"{', '.join(sorted(FLOATS))}."
                    )
            yield slices, (file.metadata() or {}).get("sha256")
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path.name} is damaged: {error}") from error


def shapes_of(arrays: Mapping[str, Any]) -> dict[str, tuple]:
    """List the shape of each array, variable or slice by its name."""
    return {
        name: tuple(a.get_shape() if hasattr(a, "get_shape") else a.shape)
        for name, a in arrays.items()
    }


def refuse_differences(has: Mapping, needs: Mapping) -> None:
    """Refuse arrays whose names or shapes differ from a model's weights.

    Args:
        has, needs: Dictionaries from names to shapes.

    Raises:
        ValueError: with the number of differences and the first three.
    """
    wrong = [f"{name} is missing" for name in needs.keys() - has]
    wrong += [f"{name} is unknown" for name in has.keys() - needs]
    wrong += [
        f"{name} has shape {has[name]}, needs {needs[name]}"
        for name in needs.keys() & has
        if has[name] != needs[name]
    ]
    if wrong:
        shown = [phrase[:72] for phrase in sorted(wrong)[:3]]
        shown += [f"and {len(wrong) - 3} more"] * (len(wrong) > 3)
        raise ValueError(
            f"These weights are another model's ({len(wrong)} differ): "
            + "; ".join(shown)
        )


def refuse_too_few(arrays: Mapping, settings: Mapping) -> None:
    """Refuse arrays that cannot fill a model, before the model is made."""
    found = sum(map(math.prod, shapes_of(arrays).values()))
    # The estimate is rough, so the limit is generous.
    if least_bytes(settings) > 16 * found + 2**28:
        raise ValueError(
            f"the weights are {found:,} numbers, far too few for the sizes "
            f"in {CONFIG}: the two files do not belong together."
        )


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
    refuse_differences(shapes_of(arrays), shapes_of(weights))
    for name in weights:
        with np.errstate(over="ignore"):  # too large: becomes infinite
            values = np.asarray(arrays[name], "float32")
        if not np.isfinite(values).all():
            raise ValueError(
                f"{name} holds NaN or infinite numbers: the training that "
                "made these weights diverged."
            )
    for name, variable in weights.items():
        variable.assign(arrays[name])


class SavedModel:
    """Give a Keras model `save` and `load`, and the methods Keras needs.

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
        # No autocast: float16 cannot hold every id.
        super().__init__(name=name, autocast=False)  # type: ignore
        self.config = config

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Call the model; `fit` gives all inputs as a tuple or a dict."""
        import numpy as np

        first = inputs[0] if inputs else ()
        if isinstance(first, dict):  # from the arguments' names
            inputs, options = (), first | options
        if isinstance(first, tuple | list):
            parts = all(hasattr(part, "shape") for part in first)
            lists = first if parts else map(np.asarray, inputs)
            inputs = tuple(lists)
        return super().__call__(*inputs, **options)  # type: ignore

    def build(self, x_shape: tuple) -> None:
        """Do nothing: the first call makes the weights."""

    def get_config(self) -> dict[str, Any]:
        """List the numbers and names that `from_config` needs."""
        return asdict(self.config)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a new model from what `get_config` listed."""
        return cls(cls.config_class(**config))  # type: ignore[call-arg]

    def save(
        self, filepath: str | Path, overwrite: bool = True, **options: Any
    ) -> None:
        """Write `config.json` and `weights.safetensors` into a folder.

        Args:
            filepath: The folder, made if it does not exist. A path that
                ends in `.keras`, `.h5` or `.hdf5` is Keras' own file.
            overwrite: Whether an earlier model there is replaced.
            **options: Passed on to Keras, for such a file only.

        Raises:
            TypeError: if options are given for a folder.
            ValueError: if a model is there and must stay.
        """
        from safetensors.numpy import save

        if str(filepath).endswith((".keras", ".h5", ".hdf5")):
            options["overwrite"] = overwrite
            super().save(filepath, **options)  # type: ignore
            return
        if options:
            raise TypeError(
                f"{next(iter(options))}= is for Keras' own files: leave it "
                "out, or give a path that ends in .keras."
            )
        if not overwrite and (Path(filepath) / CONFIG).exists():
            raise ValueError(
                f"{filepath} holds a model: give another folder, or "
                "overwrite=True."
            )
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

        The file may hold float16, which becomes float32 in the model.

        Raises:
            ValueError: if a file is missing, damaged, or another model's.
        """
        folder = Path(folder)
        for name in (CONFIG, WEIGHTS):
            if not (folder / name).is_file():
                raise ValueError(
                    f"{folder} holds no saved model: {name} is missing. "
                    "If its training was stopped, finish it with --resume."
                )
        settings = read_json(folder / CONFIG)
        try:
            with open_arrays([folder / WEIGHTS]) as (slices, checksum):
                refuse_too_few(slices, settings)
                model = cls.from_config(settings)
                needs = shapes_of(named_weights(model))
                refuse_differences(shapes_of(slices), needs)
                arrays = {name: part[...] for name, part in slices.items()}
            if checksum not in (None, digest(arrays)):
                raise ValueError(f"the checksum of {WEIGHTS} is wrong")
            assign_weights(model, arrays)
        except TypeError as error:
            raise ValueError(
                f"{folder / CONFIG} describes another kind of model: "
                f"{error}"
            ) from error
        except (ValueError, OSError) as error:
            raise ValueError(
                f"The model in {folder} cannot be loaded: {error}"
            ) from error
        return model
