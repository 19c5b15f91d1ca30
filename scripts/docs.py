"""Make the site from scratch: `python scripts/docs.py`. Then look at `site/`."""

import subprocess
import sys
from pathlib import Path

MODULES = [
    "scripts.book.names",  # the type stub and the reference
    "scripts.book.coursework_pages",
    "scripts.book.cells",  # runs the cells of pages that changed
    "scripts.book.build_site",
]

for module in MODULES:
    print(f"== python -m {module}", flush=True)
    words = [sys.executable, "-m", module]
    code = subprocess.call(words, cwd=Path(__file__).parents[1])
    if code:
        sys.exit(code)
