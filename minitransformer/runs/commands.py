"""Commands: what all training scripts do around their training.

A mistake of the user's is one sentence and exit code 2; a training that
cannot go on, 1; Ctrl-C, 130, after saving and saying how to go on.
"""

import argparse
import math
import os
import shlex
import subprocess
import sys
import warnings
from pathlib import Path


def positive(text):
    """Read a flag's whole number, 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: give 1 or more")
    return number


def seed(text):
    """Read a seed: a whole number that 31 bits can hold."""
    number = int(text)
    if not 0 <= number < 2**31:
        raise argparse.ArgumentTypeError(f"{text}: give 0 to 2147483647")
    return number


def above_zero(text):
    """Read a flag's number, more than 0."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: give more than 0")
    return number


def add_run_flags(parser, prefix):
    """Add the flags that say where a training runs, and on what.

    Args:
        parser: An argparse parser.
        prefix: What the names of new runs begin with.
    """
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="the run's folder; default: "
        f"runs/{prefix}-001 or the next one that is free",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        default=False,
        help="go on with the run in --out, with its settings",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        default=False,
        help="replace the run in --out",
    )
    parser.add_argument(
        "--strategy",
        choices=["one", "mirrored", "multiworker", "tpu"],
        default="one",
        help="what trains: one device, all GPUs, the "
        "workers that TF_CONFIG lists, or a TPU (default: one)",
    )


def say(message):
    """Print to stderr, so that stdout holds results alone."""
    print(message, file=sys.stderr, flush=True)


def command(*parts):
    """Spell a command so that it can be pasted into this system's shell.

    Args:
        *parts: A script of this repository and its arguments.
    """
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    words = [str(python), *map(str, parts)]
    if os.name == "nt":
        return subprocess.list2cmdline(words)
    return shlex.join(words)


def speak_utf8():
    """Let stdout take any text, whatever the system's encoding is."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")


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
    speak_utf8()
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: say(
            f"warning: {message}"
        )
        try:
            task = prepare()
        except KeyboardInterrupt:
            say("Stopped; nothing had begun.")
            return 130
        except (ValueError, OSError) as error:
            say(f"error: {error}")
            return 2
        return run_task(task, fit, finish)


def run_task(task, fit, finish):
    """Do what `run_training` does once the run's folder is there."""
    again = command(
        sys.argv[0],
        "--out",
        task["folder"],
        "--resume",
        *task.get("again", []),
    )
    try:
        done = fit(task)
        if done < task["settings"]["steps"]:
            say(f"Stopped at step {done}, and saved. Go on with\n  {again}")
            return 130
        finish(task)
    except KeyboardInterrupt:
        say(f"Stopped. Go on with\n  {again}")
        return 130
    except FloatingPointError as error:
        say(f"error: {error}")
        return 1
    except ConnectionError as error:
        say(f"error: {error} Start all of them again with\n  {again}")
        return 1
    except OSError as error:
        say(
            f"error: {task['folder']} cannot be written to "
            f"({error.strerror or error}): make room, and add --resume to "
            "go on from the last checkpoint."
        )
        return 1
    return 0
