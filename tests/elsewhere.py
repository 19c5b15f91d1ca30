"""Run tests against a copy of the project, in a process of its own."""

import contextlib
import io
import os
import sys
from pathlib import Path


def run_tests(folder, arguments):
    """Run pytest in a folder that holds a copy; return its code and output.

    The process has TensorFlow already, and nothing of ours: see `prepare`.
    """
    here, root = Path(folder).resolve(), Path(__file__).resolve().parents[1]
    os.chdir(here)
    os.environ["PYTHONPATH"] = str(here)  # for the programs that tests start
    sys.path[:] = [str(here)] + [
        path
        for path in sys.path
        if root not in Path(path, "x").resolve().parents or "site-packages" in path
    ]
    import pytest

    import minitransformer

    assert here in Path(minitransformer.__file__).resolve().parents
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = pytest.main(arguments)
    return int(code), output.getvalue()


def prepare():
    """Make a context whose processes begin with TensorFlow imported."""
    import multiprocessing

    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "keras", "pytest"])
    return context
