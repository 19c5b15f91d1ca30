"""The child process that runs a student's code, without the right answers.

It imports nothing from the package, and keeps the student's code from
importing it, except an empty `check_here`. It reads calls from its input,
and writes the outcome of each call to its output. Printed text goes to the
standard error.

    python -I child.py FOLDER SECONDS MEMORY FILE_SIZE
"""

import contextlib
import importlib
import io
import itertools
import json
import os
import struct
import sys
import time
import traceback
from collections.abc import Callable
from importlib.abc import Loader
from importlib.util import spec_from_loader
from typing import IO, Any

import numpy as np
from safetensors.numpy import load as load_arrays, save as save_arrays

SIZE = struct.Struct("<Q")  # comes before each message in a pipe
LENT = ("minitransformer",)  # a submission may not import this
ALLOWED = "minitransformer.coursework.checking"  # does nothing here
# Events of Python's audit that start or end a process, or change files.
STARTS = {"subprocess.Popen", "pty.spawn", "os.fork", "os.forkpty"}
STARTS |= {
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "os.killpg",
}
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link"}
CHANGES |= {"os.symlink", "os.truncate", "os.chmod", "os.chown", "os.utime"}
SKIPPED = ("site-packages", "node_modules", "__pycache__", "__MACOSX")
# Widths of numbers that a safetensors file or NumPy cannot hold.
STORED_AS = {"bfloat16": "float32", "float128": "float64"}


def dump(value: Any) -> bytes:
    """Write a tree of lists, dictionaries, arrays and plain values.

    Returns:
        A safetensors file, which cannot hold code. Its metadata holds the
        tree as JSON, with `{"array": "0"}` in place of the first array, or
        `{"numbers": "0"}` in place of a list of plain numbers.
    """
    arrays: dict[str, np.ndarray] = {}

    def walk(part):
        if isinstance(part, np.generic):
            part = part.item()
        if part is None or isinstance(part, (bool, int, float, str)):
            return part
        if isinstance(part, dict):
            return {"dict": {str(k): walk(v) for k, v in part.items()}}
        if isinstance(part, tuple):
            return {"tuple": [walk(v) for v in part]}
        kind = "array"
        if isinstance(part, list):
            numbers = as_numbers(part)
            if numbers is None:
                return [walk(v) for v in part]
            kind, part = "numbers", numbers
        array = np.asarray(part, order="C")
        if array.dtype.name in STORED_AS:
            array = array.astype(STORED_AS[array.dtype.name])
        if array.dtype.kind not in "biuf":
            raise TypeError(
                f"{type(part).__name__} of {array.dtype}: neither an array "
                "of numbers nor a list, a dictionary, text or a number"
            )
        name = str(len(arrays))
        arrays[name] = array
        return {kind: name}

    return save_arrays(arrays, {"tree": json.dumps(walk(value))})


def as_numbers(rows: list) -> np.ndarray | None:
    """Make an array of numbers in (nested) lists, or None."""
    first: Any = rows
    for _ in range(32):  # a list may hold itself
        if isinstance(first, list) and first:
            first = first[0]
    if isinstance(first, (bool, int, float, np.number)):
        with contextlib.suppress(ValueError, OverflowError):
            array = np.asarray(rows)
            return array if array.dtype.kind in "bif" else None
    return None


def load(data: bytes) -> Any:
    """Read a message of `dump`; a ValueError if it is something else."""

    def walk(part):
        if isinstance(part, list):
            return [walk(v) for v in part]
        if not isinstance(part, dict):
            return part
        [(kind, value)] = part.items()
        if kind == "dict":
            return {k: walk(v) for k, v in value.items()}
        if kind == "tuple":
            return tuple(walk(v) for v in value)
        # `pop`: a small message cannot ask for many copies of an array.
        array = arrays.pop(value)
        return array.tolist() if kind == "numbers" else array.copy()

    try:
        (size,) = SIZE.unpack_from(data)
        header = json.loads(data[SIZE.size : SIZE.size + size])
        arrays = load_arrays(data)
        return walk(json.loads(header["__metadata__"]["tree"]))
    except Exception as error:
        raise ValueError(f"not a message: {error}") from error


def send(pipe: IO[bytes], message: bytes) -> None:
    """Write a message, its size before it."""
    pipe.write(SIZE.pack(len(message)))
    pipe.write(message)
    pipe.flush()


def receive(pipe: IO[bytes], largest: int = 1 << 62) -> Any:
    """Read a message; None at the end of the pipe.

    Raises:
        OverflowError: if it has more than `largest` bytes; it is not read.
        ValueError: if it is not a message.
    """
    header = pipe.read(SIZE.size)
    if len(header) < SIZE.size:
        return None
    (size,) = SIZE.unpack(header)
    if size > largest:
        raise OverflowError(size)
    return load(pipe.read(size))


class NotLent(Loader):
    """Refuse imports of the package, which holds the answers.

    Only `check_here` can be imported, and it does nothing, so that a
    student's file may end by checking itself.
    """

    def find_spec(self, name: str, *_: Any) -> Any:
        if f"{ALLOWED}.".startswith(f"{name}."):
            return spec_from_loader(name, self, is_package=True)
        if name.partition(".")[0] in LENT:
            raise ImportError(f"{name} is not allowed in an exercise")
        return None

    def exec_module(self, module: Any) -> None:
        module.check_here = lambda *_, **__: None


def skipped(path: str) -> bool:
    """Tell whether the check reads no source in a file or a folder."""
    name = os.path.basename(path)
    mark = os.path.join(path, "pyvenv.cfg")  # of an environment
    return name.startswith(".") or name in SKIPPED or os.path.isfile(mark)


def unread(path: str, folder: str) -> bool:
    """Tell whether a file of the folder is one that the check skips."""
    path = path if path.startswith("<") else os.path.abspath(path)
    if not path.startswith(folder + os.sep):
        return False
    names = os.path.relpath(path, folder).split(os.sep)
    parts = itertools.accumulate([folder, *names], os.path.join)
    own = itertools.islice(parts, 1, None)
    return not path.endswith(".py") or any(map(skipped, own))


def guard(folder: str) -> Callable[[str, tuple], None]:
    """Make an audit hook that limits a submission.

    The submission may not read the package's files, write outside its
    folder and its home, start or end a process, or run code in its folder
    that the check has not read. Python cannot remove an audit hook.
    """
    real, own_id = os.path.realpath, os.getpid()
    own_code = real(__file__)
    places = folder, os.environ.get("HOME", folder), "/dev"
    package = os.path.dirname(os.path.dirname(own_code)) + os.sep
    copies = "/minitransformer/coursework/", "/minitransformer/__init__."
    lent = [package, *(copy.replace("/", os.sep) for copy in copies)]
    writable = tuple(real(place) + os.sep for place in places)

    def hook(event: str, args: tuple) -> None:
        if event == "exec" and unread(args[0].co_filename, folder):
            raise PermissionError(f"not checked: {args[0].co_filename}")
        if event == "compile" and args[0] and str(args[1])[:1] == "<":
            caller = sys._getframe(1).f_code.co_filename
            if caller.startswith(folder + os.sep):
                raise PermissionError("code in a text is not checked")
        if event in STARTS or (event == "os.kill" and args[0] != own_id):
            raise PermissionError(f"not allowed in an exercise: {event}")
        if event != "open" and event not in CHANGES:
            return
        for name in args[:1] if event == "open" else args[:2]:
            if not isinstance(name, (str, bytes, os.PathLike)):
                continue
            path = real(os.fsdecode(name))
            other = path.startswith("/proc/") and path.split("/")[2]
            writes = event != "open" or args[2] & (os.O_WRONLY | os.O_RDWR)
            if (
                (any(part in path for part in lent) and path != own_code)
                or (path.startswith(folder) and path.endswith(".pyc"))
                or (other and other.isdigit() and other != str(own_id))
                or (writes and not f"{path}{os.sep}".startswith(writable))
            ):
                raise PermissionError(f"not allowed in an exercise: {path}")

    return hook


def find_function(name: str) -> Any:
    """Find a function by the name that `adapters.py` gives it."""
    where = importlib.import_module("adapters").WHERE
    if name not in where:
        raise LookupError(f"adapters.py has no entry for {name}")
    module, _, function = where[name].partition(":")
    return getattr(importlib.import_module(module), function or name)


def kind_of(error: Exception) -> str:
    """Name an exception; TensorFlow's own count as ValueError."""
    name = type(error).__name__
    if isinstance(error, ValueError) or name == "InvalidArgumentError":
        return "ValueError"
    return name


def where_it_failed(error: Exception, folder: str) -> str:
    """Name the last line of a traceback that is in the folder."""
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith(folder + os.sep):
            name = os.path.relpath(frame.filename, folder)
            place = f"{name}, line {frame.lineno}: {frame.line}"
    return place


def answer(question: dict, folder: str) -> bytes:
    """Make one call and write its outcome as a message."""
    args = question["args"]
    try:
        before = dump(args)
        function = find_function(question["function"])
        started = time.perf_counter()
        value = function(**args)
        seconds = time.perf_counter() - started
        mutated = dump(args) != before
        result = {"value": value, "seconds": seconds, "mutated": mutated}
        return dump(result)
    except Exception as error:  # of the function, or of `dump`
        text, place = str(error)[:2000], where_it_failed(error, folder)
        return dump({"error": kind_of(error), "text": text, "place": place})


def limit(seconds: int, memory: int, file_size: int) -> None:
    """Set limits for this process, where the system has them."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = {"CPU": seconds, "AS": memory, "FSIZE": file_size, "CORE": 0}
    for name, largest in limits.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):
            kind = getattr(resource, f"RLIMIT_{name}")
            resource.setrlimit(kind, (largest, largest))


def main() -> None:
    folder = os.path.abspath(sys.argv[1])
    limit(*map(int, sys.argv[2:]))
    source = sys.stdin.buffer
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # printed text goes to the standard error
    sys.stdin = io.StringIO()
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, "utf-8", "replace")
    # Python's own modules come first: no `typing.py` may hide them.
    home = os.path.dirname(os.__file__)
    first = [p.startswith(home) and "-packages" not in p for p in sys.path]
    standard = list(itertools.compress(sys.path, first))
    others = [p for p in sys.path if p not in standard]
    sys.path[:] = [*standard, folder, *others]
    sys.meta_path.insert(0, NotLent())
    sys.addaudithook(guard(folder))
    with contextlib.suppress(OSError):
        os.chdir(folder)
    while (question := receive(source)) is not None:
        send(sink, answer(question, folder))


if __name__ == "__main__":
    main()
