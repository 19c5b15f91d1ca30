"""Commands: what all training scripts do around their training.

A mistake of the user's is one sentence and exit code 2; a training that
cannot go on, 1; Ctrl-C, 130, after saving and saying how to go on.
"""

import argparse
import math
import shlex
import sys
import warnings


def positive(text):
    """Read a flag's whole number, 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: give 1 or more")
    return number


def whole(text):
    """Read a flag's whole number, 0 or more."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text}: give 0 or more")
    return number


def above_zero(text):
    """Read a flag's number, more than 0."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: give more than 0")
    return number


def say(message):
    """Print to stderr, so that stdout holds results alone."""
    print(message, file=sys.stderr, flush=True)


def run_training(prepare, fit, finish):
    """Run the three parts of a training script, and name what went wrong.

    Args:
        prepare: Function without arguments; it does all that a mistake of
            the user's can stop, and returns a dictionary with at least the
            run's "folder" and "settings" (with "steps").
        fit: Function of that dictionary; it trains, and returns the number
            of steps made.
        finish: Function of that dictionary; it saves and shows the result.

    Returns:
        The exit code: 0, 1, 2 or 130.
    """
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: say(
            f"warning: {message}"
        )
        try:
            return run_parts(prepare, fit, finish)
        except KeyboardInterrupt:
            say("Stopped; what was not saved is lost.")
            return 130


def run_parts(prepare, fit, finish):
    """Do as `run_training` says, but for Ctrl-C at other moments."""
    try:
        task = prepare()
    except (ValueError, OSError) as error:
        say(f"error: {error}")
        return 2
    try:
        done = fit(task)
        if done < task["settings"]["steps"]:
            again = ["python", sys.argv[0], "--out", str(task["folder"])]
            say(
                f"Stopped at step {done}, and saved. Go on with\n  "
                f"{shlex.join(again)} --resume"
            )
            return 130
        finish(task)
    except FloatingPointError as error:
        say(f"error: {error}")
        return 1
    except OSError as error:
        say(
            f"error: {task['folder']} cannot be written to "
            f"({error.strerror or error}): make room, and add --resume to "
            "go on from the last checkpoint."
        )
        return 1
    return 0
