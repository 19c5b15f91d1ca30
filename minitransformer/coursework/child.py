"""The child process that runs a student's code; it knows no right answer.

It stands alone: it imports nothing of the package, and lends none of it to
the code it runs. It reads calls from its input, and writes what came of
each to its output; whatever the code prints goes elsewhere.

    python -I child.py FOLDER SECONDS MEMORY FILE_SIZE
"""

import contextlib
import importlib
import io
import json
import os
import struct
import sys
import time
import traceback

LENGTH = struct.Struct("<Q")
LENT = ("minitransformer",)  # what a submission may not import


def dump(value):
    """Write a tree of lists, dictionaries, arrays and plain values.

    Returns:
        Bytes, as `load` reads them: the length of a description in JSON,
        the description, and the arrays' bytes. Nothing in it can run.
    """
    import numpy as np

    arrays = []

    def walk(part):
        if isinstance(part, np.generic):
            part = part.item()
        if part is None or isinstance(part, (bool, int, float, str)):
            return {"plain": part}
        if isinstance(part, dict):
            return {"dict": [[str(k), walk(v)] for k, v in part.items()]}
        if isinstance(part, tuple):
            return {"tuple": [walk(v) for v in part]}
        if isinstance(part, list):
            return {"list": [walk(v) for v in part]}
        array = np.asarray(part)
        if array.dtype.name == "bfloat16":
            array = array.astype("float32")
        if array.dtype.kind not in "biuf":
            raise TypeError(
                f"{type(part).__name__} of {array.dtype}: neither an array "
                "of numbers nor a list, a dictionary, text or a number"
            )
        arrays.append(array.tobytes())
        return {"array": [array.dtype.str, list(array.shape)]}

    tree = json.dumps(walk(value)).encode()
    return b"".join([LENGTH.pack(len(tree)), tree, *arrays])


def load(data):
    """Read what `dump` wrote.

    Raises:
        ValueError: if it is something else.
    """
    import numpy as np

    def walk(part):
        nonlocal place
        [(kind, value)] = part.items()
        if kind == "plain":
            return value
        if kind == "dict":
            return {k: walk(v) for k, v in value}
        if kind in ("list", "tuple"):
            return {"list": list, "tuple": tuple}[kind](map(walk, value))
        dtype, shape = np.dtype(value[0]), value[1]
        if dtype.kind not in "biuf":
            raise ValueError(f"no numbers: {dtype}")
        count = int(np.prod(shape, dtype="int64"))
        array = np.frombuffer(data, dtype, count, place)
        place += array.nbytes
        return array.reshape(shape).copy()

    try:
        (size,) = LENGTH.unpack_from(data)
        place = LENGTH.size + size
        return walk(json.loads(data[LENGTH.size : place]))
    except Exception as error:
        raise ValueError(f"not a message: {error}") from error


class NotLent:
    """Refuse to import the package: its answers are not the student's."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in LENT:
            raise ImportError(f"{name} is not lent to an exercise")


def find_function(name):
    """Find a function by the name that `adapters.py` gives it."""
    where = importlib.import_module("adapters").WHERE
    module, _, function = where[name].partition(":")
    return getattr(importlib.import_module(module), function or name)


def kind_of(error):
    """Name an exception; of ValueErrors, and TensorFlow's, the kind."""
    name = type(error).__name__
    refused = (
        isinstance(error, ValueError) or name == "InvalidArgumentError"
    )
    return "ValueError" if refused else name


def where_it_failed(error, folder):
    """Name the last line of the student's own code in a traceback."""
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if os.path.isabs(frame.filename) and os.path.abspath(
            frame.filename
        ).startswith(folder + os.sep):
            name = os.path.relpath(frame.filename, folder)
            place = f"{name}, line {frame.lineno}: {frame.line}"
    return place


def answer(message, folder):
    """Make one call, and say what came of it."""
    name, args = message["function"], message["args"]
    before = dump(args)
    try:
        function = find_function(name)
        started = time.perf_counter()
        value = function(**args)
        seconds = time.perf_counter() - started
        return {
            "value": to_plain(value), "seconds": seconds,
            "mutated": dump(args) != before,
        }  # fmt: skip
    except Exception as error:
        return {
            "error": kind_of(error), "text": str(error)[:2000],
            "place": where_it_failed(error, folder),
        }  # fmt: skip


def to_plain(value):
    """Turn tensors of any library into arrays."""
    import numpy as np

    if isinstance(value, dict):
        return {k: to_plain(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(to_plain(v) for v in value)
    if hasattr(value, "__array__"):
        return np.asarray(value)
    if isinstance(value, list):
        return [to_plain(v) for v in value]
    return value


def limit(seconds, memory, file_size):
    """Lower what the system lets this process have, where it can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for which, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(which, (most, most))


def main():
    folder = os.path.abspath(sys.argv[1])
    limit(*map(int, sys.argv[2:]))
    source = sys.stdin.buffer
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed joins the errors
    sys.stdin = io.StringIO()
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    sys.path.insert(0, folder)
    sys.meta_path.insert(0, NotLent())
    with contextlib.suppress(OSError):
        os.chdir(folder)
    read = source.read
    while len(header := read(LENGTH.size)) == LENGTH.size:
        message = load(read(*LENGTH.unpack(header)))
        try:
            data = dump(answer(message, folder))
        except Exception as error:  # a result that cannot be written
            data = dump({
                "error": kind_of(error), "text": str(error)[:2000],
                "place": "",
            })  # fmt: skip
        sink.write(LENGTH.pack(len(data)) + data)
        sink.flush()


if __name__ == "__main__":
    main()
