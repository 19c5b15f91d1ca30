"""Coursework: exercises that say which mistake was made.

`python -m minitransformer.coursework list` is where to begin.
"""
