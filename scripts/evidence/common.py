"""What several experiments need: to run a script, and to say how and where."""

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def train(script, *flags):
    """Start or resume a training script; exit if it was stopped or failed."""
    command = [sys.executable, str(ROOT / "scripts" / script), "--resume", *map(str, flags)]
    with subprocess.Popen(command) as process:
        try:
            code = process.wait()
        except KeyboardInterrupt:  # Ctrl-C reaches the script as well: it is saving
            code = process.wait() or 130
    if code:
        sys.exit("Stopped. Start this script again to resume.")


def finish(made, steps):
    """Exit if a training in this process was stopped: its results are not kept."""
    if made < steps:
        sys.exit(f"Stopped after {made} of {steps} steps. Start this script again to go on.")


def processor():
    """Name the processor, as Linux does or as Python does."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.is_file() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def about(command):
    """Return the command, the versions, the processor and the number of cores."""
    return {
        "command": command,
        "python": platform.python_version(),
        "tensorflow": version("tensorflow"),
        "keras": version("keras"),
        "machine": processor(),
        "cores": os.cpu_count(),
    }
