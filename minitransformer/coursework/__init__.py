"""Coursework: exercises that say which mistake was made.

`python -m minitransformer.coursework list` is where to begin.
"""

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    # `python -m` looks for modules where it is started, first of all: in a
    # student's folder, which may hold a `typing.py`.
    del sys.path[0]
