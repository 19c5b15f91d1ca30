"""Build the site into the folder `site`: `python -m scripts.book.build_site`.

The pages of the exercises are written, fonts are cut out of packages, the
translator of dates is copied, the reference is made from the docstrings and
the notebooks from the pages. Any error on a page stops the build. Arguments
are those of `mkdocs build`. Git ignores all that is made: run this once before
`mkdocs serve` alone.
"""

if __name__ == "__main__":  # before what takes longer to import
    from minitransformer.runs.signals import begin

    begin()

import argparse
import json
import re
import struct
import subprocess
import sys
import zlib
from importlib.metadata import distribution
from pathlib import Path

from fontTools import subset

from minitransformer.runs.signals import children
from scripts.book import coursework_pages, export_dates, names, notebooks
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


def draw_card(path):
    """Draw the picture that links to the site show: weights of causal attention."""
    width, height, squares = 1200, 630, 9
    size, gap, blue = height // (squares + 2), 5, (0x36, 0x4F, 0xC7)
    left = (width - squares * size) // 2

    def row(i):  # the weights are a pattern, not a trained head's
        line = bytes(blue) * left
        for j in range(i + 1):
            weight = (1 + (7 * i + 5 * j) % 6) / 6
            light = bytes(round(c + (255 - c) * weight) for c in blue)
            line += bytes(blue) * gap + light * (size - gap)
        return fill(line)

    def fill(line):
        return b"\0" + line + bytes(blue) * (width - len(line) // 3)

    rows = [fill(b"")] * size
    for i in range(squares):
        rows += [fill(b"")] * gap + [row(i)] * (size - gap)
    rows += [fill(b"")] * (height - len(rows))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")):
        checksum = zlib.crc32(kind + body)
        png += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png)


# How much more a page of the search counts than others; the first that fits.
BOOSTS = {
    r"modules/tokenizers/": 1,
    r"modules/attention/": 12,  # before multi-head attention
    r"modules/\w+/(#|$)": 8,  # the ladder
    r"modules/models/": 4,
    r"modules/runs/": 0.5,
    r"modules/": 2,
    r"faq/": 0.25,
    r"": 1,
}


def boost_chapters(folder):
    """Let the search find chapters before the pages that only mention them."""
    path = folder / "search" / "search_index.json"
    index = json.loads(path.read_text("utf-8"))
    for entry in index["docs"]:
        found = (boost for start, boost in BOOSTS.items() if re.match(start, entry["location"]))
        entry.setdefault("boost", next(found))  # a page's own comes first
    path.write_text(json.dumps(index, separators=(",", ":"), ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-d", "--site-dir", type=Path, default=ROOT / "site")
    flags, others = parser.parse_known_args()
    flags.site_dir = flags.site_dir.resolve()
    coursework_pages.write()
    cut_fonts()
    draw_card(ROOT / "docs" / "assets" / "images" / "card.png")
    export_dates.write()
    names.write_reference()
    notebooks.write()
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir"]
    children.append(subprocess.Popen([*command, str(flags.site_dir), *others], cwd=ROOT))
    code = children[0].wait()
    if not code:
        boost_chapters(flags.site_dir)
    sys.exit(code)
