"""Build the site: `python -m scripts.docs.build`, into the folder `site`.

Fonts are cut out of packages and notebooks made from the pages; what can be
wrong with a page stops the build. Other arguments are mkdocs' own.
"""

import subprocess
import sys
from importlib.metadata import distribution

from fontTools import subset

from scripts.docs import notebooks
from scripts.docs.source import ROOT

FONTS = ROOT / "docs" / "assets" / "fonts"
# Latin, Greek, punctuation, arrows, and what mathematics needs.
TEXT = "U+20-17F,U+391-3C9,U+2010-2030,U+2190-2193,U+2212,U+221A,U+2248"
MATH = f"{TEXT},U+2032,U+2070-209C,U+2100-214F,U+2208,U+2211,U+2225,U+2260-2265,U+22A4,U+22C5,U+22EF,U+1D434-1D467,U+1D6E2-1D71B"
SOURCES = {
    "text": ("font-source-sans-pro", "SourceSansPro-Regular.ttf", TEXT),
    "text-italic": ("font-source-sans-pro", "SourceSansPro-It.ttf", TEXT),
    "text-bold": ("font-source-sans-pro", "SourceSansPro-Semibold.ttf", TEXT),
    "math": ("ziamath", "STIXTwoMath-Regular.ttf", MATH),
}


def cut_fonts():
    """Cut the characters in use out of the packages' fonts."""
    FONTS.mkdir(parents=True, exist_ok=True)
    for name, (package, file, characters) in SOURCES.items():
        found = next(p for p in distribution(package).files if p.name == file)
        subset.main([
            str(found.locate()), f"--unicodes={characters}",
            "--flavor=woff2", f"--output-file={FONTS / name}.woff2",
        ])  # fmt: skip


if __name__ == "__main__":
    cut_fonts()
    notebooks.write()
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    sys.exit(subprocess.call([*command, *sys.argv[1:]], cwd=ROOT))
