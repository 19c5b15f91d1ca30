"""Coursework: exercises that name the mistake in your answer.

Start with `python -m minitransformer.coursework list`.
"""

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    # `python -m` first looks for modules in the current folder. This may be
    # a student's folder, with a `typing.py` in it.
    del sys.path[0]
