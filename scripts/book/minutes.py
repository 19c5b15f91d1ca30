"""Count the minutes that a page takes: `python -m scripts.book.minutes`.

A minute is 150 words of prose, or 12 lines of code that is not folded. Exercises
are left out, and the sum is rounded to five minutes. The minutes of a page stand
in its line `- **Minutes:** N`, and in the tables of `docs/learn.md`; a row
"together" has the sum of its table. The first sum stands on the landing page, as
"N minutes of reading". This script rewrites all of them. It leaves out the
exercises of the coursework, whose minutes are those of `course.toml`.
"""

import re
from functools import cache

from scripts.book.cells import DOCS
from scripts.book.notebooks import FENCE
from scripts.book.source import extract

WORDS, LINES = 150, 12  # per minute
PATH, LANDING = DOCS / "learn.md", DOCS / "index.md"
LINE = re.compile(r"(?<=^- \*\*Minutes:\*\* )\d+", re.M)
ROW = re.compile(r"^(\|.*?\| )(\d+)(?= \|$)", re.M)


@cache
def minutes(page):
    """Count the minutes of a page: the words, and the lines of its code."""
    text, lines = page.read_text("utf-8").partition("\n## Exercises\n")[0] + "\n", 0
    for fence in FENCE.finditer(text):
        code = fence["code"]
        if fence["kind"] == "source":
            lines += len(extract(code)[1])
        elif "folded" not in fence["kind"] and fence["kind"] != "math":
            lines += len(code.splitlines())
    prose = re.sub(r"<[^>]+>|\]\([^)]*\)", " ", FENCE.sub("", text))
    words = [word for word in prose.split() if re.search(r"\w", word)]
    return max(5, 5 * round((len(words) / WORDS + lines / LINES) / 5))


def path():
    """Return the text of `learn.md` with the counted minutes, and the first sum."""
    total, sums = 0, []

    def count(row):
        nonlocal total
        link = re.search(r"\]\(([\w/]+\.md)", row[1])
        if link:
            total += (number := minutes(DOCS / link[1]))
            return f"{row[1]}{number}"
        sums.append(total)
        total = 0
        return f"{row[1]}{sums[-1]}"

    return ROW.sub(count, PATH.read_text("utf-8")), sums[0]


def counted():
    """List each file with minutes, and its text with the right ones."""
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text("utf-8")
        if LINE.search(text) and page.parent != DOCS / "coursework":
            yield page, LINE.sub(str(minutes(page)), text)
    text, first = path()
    yield PATH, text
    landing = LANDING.read_text("utf-8")
    yield LANDING, re.sub(r"\d+(?= minutes of\s+reading)", str(first), landing)


if __name__ == "__main__":
    for file, text in counted():
        if text != file.read_text("utf-8"):
            file.write_text(text, "utf-8")
            print(file.relative_to(DOCS))
