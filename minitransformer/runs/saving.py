"""Saving: a model is a `config.json` and a `weights.safetensors`.

Both can be read without this package, and neither can run code (no pickle).
"""

import codecs
import contextlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

CONFIG, WEIGHTS = "config.json", "weights.safetensors"
UTF_16 = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE


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


def read_bytes(path: str | Path, limit: int = 2**31) -> bytes:
    """Read a file that a user named, and never wait for one.

    Args:
        path: An ordinary file; a link to one will do.
        limit: The most bytes it may have.

    Raises:
        ValueError: if it is missing, a folder, a pipe or a device, too
            large, or unreadable.
    """
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise ValueError(f"{path} is a folder: give a file.")
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path} is no ordinary file: give one.")
        if status.st_size > limit:
            raise ValueError(
                f"{path} has {status.st_size:,} bytes, and at most "
                f"{limit:,} are read: is it the right file?"
            )
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: give a file.") from None
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{path} cannot be read: {reason}.") from error


def read_text(path: str | Path, limit: int = 250_000_000) -> str:
    """Read a text file that a user named.

    Args:
        path, limit: Same as in `read_bytes`.

    Returns:
        The text, without a byte-order mark and with line ends as "\\n".

    Raises:
        ValueError: Same as in `read_bytes`, or if it is not text in UTF-8,
            or in UTF-16 with a mark.
    """
    data = read_bytes(path, limit)
    encoding = "UTF-16" if data.startswith(UTF_16) else "UTF-8"
    if b"\0" * (3 if encoding == "UTF-16" else 1) in data:
        raise ValueError(
            f"{path} is not text: it has NUL characters. If it is UTF-16 "
            "without a byte-order mark, or UTF-32, save it as UTF-8."
        )
    try:
        text = data.decode(encoding).lstrip("\ufeff")
    except UnicodeDecodeError as error:
        at = error.start
        near = data[at : at + 1].decode("cp1252", "replace")
        raise ValueError(
            f"{path} is not {encoding} (byte {at}, which is {near!r} in "
            "Windows-1252, cp1252): save it as UTF-8."
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: str | Path, kind: type = dict) -> Any:
    """Read a JSON file that a user named.

    Args:
        path: Same as in `read_text`; at most 64 MiB.
        kind: What it must hold, a dict or a list.

    Raises:
        ValueError: Same as in `read_text`, or if it is not such JSON.
    """
    text = read_text(path, 2**26)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(value, kind):
        raise ValueError(
            f"{path} holds a {type(value).__name__}, expected a "
            f"{kind.__name__}: it is another kind of file."
        )
    return value


def check_strings(values: Iterable[str], name: str) -> list[str]:
    """Refuse what is not a list of strings; one string is none.

    Raises:
        TypeError: if it is something else, which would be read letter by
            letter, or fail later.
    """
    if isinstance(values, str | bytes):
        raise TypeError(
            f"{name} is one string: put it in a list, [{values[:30]!r}]."
        )
    values = list(values)
    for i, value in enumerate(values):
        if not isinstance(value, str):
            raise TypeError(
                f"{name}[{i}] is {type(value).__name__}: give a string."
            )
    return values


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


def assign_weights(model: Any, arrays: Mapping[str, Any]) -> None:
    """Give a model the values of named arrays, all of them or none.

    Args:
        model: A built Keras model.
        arrays: A dictionary from names, as `named_weights` makes them, to
            NumPy arrays.

    Raises:
        ValueError: if a name is missing or unknown or a shape differs; each
            is listed.
    """
    weights = named_weights(model)
    has, needs = (
        {name: tuple(values.shape) for name, values in group.items()}
        for group in (arrays, weights)
    )
    if wrong := differences(has, needs):
        raise ValueError(
            "These weights are another model's: " + "; ".join(wrong)
        )
    for name, variable in weights.items():
        variable.assign(arrays[name])


def check_sizes(config: Any) -> None:
    """Refuse a configuration that no model can have.

    Args:
        config: A dataclass; its integers are sizes, except ids (`…_id`).

    Raises:
        ValueError: if a size is not positive, the heads do not divide the
            width, or the dropout rate is not in [0, 1).
    """
    for name, value in vars(config).items():
        if type(value) is int and value < 1 and not name.endswith("_id"):
            raise ValueError(f"{name}={value}: give at least 1.")
    num_heads = getattr(config, "num_heads", 1)
    if config.d_model % num_heads:
        raise ValueError(
            f"d_model={config.d_model} is not divisible by num_heads="
            f"{num_heads}: choose a multiple of {num_heads}."
        )
    if not 0 <= config.dropout_rate < 1:
        raise ValueError(
            f"dropout_rate={config.dropout_rate}: give a share from 0 up "
            "to, but not including, 1."
        )


class SavedModel:
    """Give a Keras model `save` and `load`.

    Attributes:
        config: The model's configuration, a dataclass.
        config_class: That dataclass; `cls(config)` makes a model.
    """

    config: Any
    config_class: Callable[..., Any]

    def build(self, x_shape: tuple) -> None:
        """Make nothing yet: the first call makes the weights."""

    def settings(self) -> dict[str, Any]:
        """List the numbers and names that `from_settings` needs."""
        return asdict(self.config)

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> Self:
        """Make a new model from what `settings` listed."""
        return cls(cls.config_class(**settings))  # type: ignore[call-arg]

    def save(self, folder: str | Path) -> None:
        """Write `config.json` and `weights.safetensors` into a folder.

        Args:
            folder: Made if it does not exist; a model saved there before is
                replaced.
        """
        from safetensors.numpy import save

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            name: variable.numpy()
            for name, variable in named_weights(self).items()
        }
        text = json.dumps(self.settings(), indent=2) + "\n"
        write_atomically(folder / WEIGHTS, save(arrays))
        write_atomically(folder / CONFIG, text)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a model that `save` wrote.

        Raises:
            ValueError: if a file is missing, damaged, or another model's.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        folder = Path(folder)
        for name in (CONFIG, WEIGHTS):
            if not (folder / name).is_file():
                raise ValueError(
                    f"{folder} holds no saved model: {name} is not there. "
                    "If its training was stopped, end it first, with "
                    "--resume."
                )
        try:
            settings = json.loads((folder / CONFIG).read_text("utf-8"))
            arrays = load((folder / WEIGHTS).read_bytes())
        except (SafetensorError, ValueError) as error:
            raise ValueError(
                f"The model in {folder} is damaged: {error}"
            ) from error
        try:
            model = cls.from_settings(settings)
        except TypeError as error:
            raise ValueError(
                f"{folder / CONFIG} describes another kind of model: "
                f"{error}"
            ) from error
        assign_weights(model, arrays)
        return model
