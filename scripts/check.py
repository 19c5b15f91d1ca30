"""Check the code: `python scripts/check.py`. Arguments go to pytest."""

import subprocess
import sys
from pathlib import Path

COMMANDS = ["ruff check", "ruff format --check", "mypy", "pytest"]

for command in COMMANDS:
    print(f"== {command}", flush=True)
    words = [sys.executable, "-m", *command.split()]
    if command == "pytest":
        words += sys.argv[1:]
    code = subprocess.call(words, cwd=Path(__file__).parents[1])
    if code:
        sys.exit(code)
