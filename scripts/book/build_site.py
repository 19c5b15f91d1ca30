"""Build the site into the folder `site`: `python -m scripts.book.build_site`.

The pages of the exercises are written, fonts are cut out of packages, the
reference is made from the docstrings and the notebooks from the pages. Any
error on a page stops the build. Arguments are those of `mkdocs build`. Git
ignores all that is made: run this once before `mkdocs serve` alone.
"""

if __name__ == "__main__":  # before what takes longer to import
    from minitransformer.runs.signals import begin

    begin()

import subprocess
import sys
from importlib.metadata import distribution

from fontTools import subset

from minitransformer.runs.signals import children
from scripts.book import coursework_pages, names, notebooks
from scripts.book.source import ROOT

FONTS = ROOT / "docs" / "assets" / "fonts"
# Latin, Greek, punctuation and arrows; then what mathematics needs.
TEXT = "20-17F,391-3C9,2010-2030,2190-2193,2212,221A,2248"
MATH = f"{TEXT},2032,2070-209C,2100-214F,2208,2211,2225,2260-2265,22A4,22C5,22EF,1D434-1D467,1D6E2-1D71B"
SOURCES = {
    "text": ("font-source-sans-pro", "SourceSansPro-Regular.ttf", TEXT),
    "text-italic": ("font-source-sans-pro", "SourceSansPro-It.ttf", TEXT),
    "text-bold": ("font-source-sans-pro", "SourceSansPro-Semibold.ttf", TEXT),
    "math": ("ziamath", "STIXTwoMath-Regular.ttf", MATH),
}


def cut_fonts():
    """Cut the characters in use out of the packages' fonts."""
    FONTS.mkdir(parents=True, exist_ok=True)
    # Drop the fonts' names, as their licence asks, and keep the licence.
    options = subset.Options(flavor="woff2", name_IDs=[0, 13, 14])
    notices = set()
    for name, (package, file, characters) in SOURCES.items():
        found = next(p for p in distribution(package).files or [] if p.name == file)
        font = subset.load_font(str(found.locate()), options)
        cut = subset.Subsetter(options)
        cut.populate(unicodes=subset.parse_unicodes(characters))
        cut.subset(font)
        subset.save_font(font, str(FONTS / f"{name}.woff2"), options)
        notices.add("\n".join(font["name"].getDebugName(i) for i in (0, 13, 14)))
    (FONTS / "licences.txt").write_text("\n\n".join(sorted(notices)), "utf-8")


if __name__ == "__main__":
    coursework_pages.write()
    cut_fonts()
    names.write_reference()
    notebooks.write()
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    children.append(subprocess.Popen([*command, *sys.argv[1:]], cwd=ROOT))
    sys.exit(children[0].wait())
