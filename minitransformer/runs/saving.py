"""Saving: a model is a `config.json` and a `weights.safetensors`.

Both can be read without this package, and neither can run code (no pickle).
"""

import contextlib
import json
import os
from pathlib import Path

CONFIG, WEIGHTS = "config.json", "weights.safetensors"


def write_atomically(path, data):
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


def named_weights(model):
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


def assign_weights(model, arrays):
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
    wrong = [f"{name} is missing" for name in weights.keys() - arrays]
    wrong += [f"{name} is unknown" for name in arrays.keys() - weights]
    for name in weights.keys() & arrays.keys():
        has, needs = tuple(arrays[name].shape), tuple(weights[name].shape)
        if has != needs:
            wrong.append(f"{name} has shape {has}, needs {needs}")
    if wrong:
        raise ValueError(
            "These weights are another model's: " + "; ".join(sorted(wrong))
        )
    for name, variable in weights.items():
        variable.assign(arrays[name])


def save_model(model, config, folder):
    """Write a model's configuration and weights into a folder.

    Args:
        model: A built Keras model.
        config: A dictionary that JSON can hold.
        folder: Made if it does not exist.
    """
    from safetensors.numpy import save

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        name: variable.numpy()
        for name, variable in named_weights(model).items()
    }
    write_atomically(folder / WEIGHTS, save(arrays))
    write_atomically(folder / CONFIG, json.dumps(config, indent=2) + "\n")


def load_model(build, folder):
    """Read what `save_model` wrote.

    Args:
        build: Function from the configuration's dictionary to a new model.
        folder: Where it was saved.

    Returns:
        The model with its weights.

    Raises:
        ValueError: if a file is missing, cut short or not this model's.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ValueError(
                f"{folder} holds no saved model: {name} is not there. If "
                "its training was stopped, end it first, with --resume."
            )
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        arrays = load((folder / WEIGHTS).read_bytes())
    except (SafetensorError, ValueError) as error:
        raise ValueError(
            f"The model in {folder} is damaged: {error}"
        ) from error
    try:
        model = build(config)
    except TypeError as error:
        raise ValueError(
            f"{folder / CONFIG} describes another kind of model: {error}"
        ) from error
    assign_weights(model, arrays)
    return model
