"""Count lines: how large is the package, and how much must a student read?

    python -m scripts.book.sizes

All counts are of files that git tracks. "Lines" are all lines of a file. "Code"
leaves out empty lines, docstrings, and lines with nothing but a comment.

The way from token ids to a trained, talking GPT is counted twice. The short way
is what `docs/guides/one_page.md` runs: windows of ids, a GPT, `plain_step`, and
`generate`, with whatever they import, directly or through other files
(`SHORT`). The way of the programs adds texts, tokenizers, fast steps, runs and
their folders, devices, checkpoints, logs and figures: `scripts/train_gpt.py`
and `scripts/generate.py` with all flags at their defaults (`PROGRAMS`). Files
that the defaults never use are left out (`OTHER`).
"""

import ast
import subprocess
from pathlib import Path

from minitransformer import _MODULE_OF
from scripts.book.source import ROOT, code_lines

SHORT = [
    "minitransformer/data/datasets.py",
    "minitransformer/models/gpt.py",
    "minitransformer/learning/plain_step.py",
    "minitransformer/writing/generation.py",
]
PROGRAMS = ["scripts/train_gpt.py", "scripts/generate.py"]
# Other tokenizers and other models, with what only they need.
OTHER = ["sentencepieces", "merges", "bpe", "wordpiece"]
OTHER += ["lstm_seq2seq", "transformer", "bert", "pretrained", "llama", "llama_files"]


def tracked(*patterns: str) -> list[Path]:
    """List the files of the repository that match a pattern of git's."""
    command = ["git", "ls-files", "--", *patterns]
    names = subprocess.check_output(command, cwd=ROOT, text=True)
    return [ROOT / name for name in names.splitlines()]


def lines(paths: list[Path]) -> int:
    """Count all lines of some files."""
    return sum(len(path.read_text("utf-8").splitlines()) for path in paths)


def code(paths: list[Path]) -> int:
    """Count lines of code: no empty lines, docstrings or comments."""
    return sum(
        not line.lstrip().startswith("#") for path in paths for line in code_lines(path).values()
    )


def file_of(module: str | None) -> Path | None:
    """Find the file of `package.module`, or None."""
    stem = ROOT.joinpath(*(module or "").split("."))
    paths = stem.with_suffix(".py"), stem / "__init__.py"
    return next((path for path in paths if path.is_file()), None)


def imported(path: Path) -> set[Path | None]:
    """List the files that a file imports, anywhere in it."""
    found: set[Path | None] = set()

    def add_public(name: str) -> None:
        found.add(file_of("minitransformer"))
        found.add(file_of(f"minitransformer.{_MODULE_OF.get(name)}"))

    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if node.module == "minitransformer":
                    add_public(alias.name)
                else:
                    submodule = file_of(f"{node.module}.{alias.name}")
                    found.add(submodule or file_of(node.module))
        elif isinstance(node, ast.Attribute) and (
            getattr(node.value, "id", "") == "mt"  # mt.GPT
        ):
            add_public(node.attr)
    return found


def files_on_the_way(names: list[str]) -> list[Path]:
    """List some files and all that they import, for a GPT."""
    found: set[Path] = set()
    todo: list[Path | None] = [ROOT / name for name in names]
    while todo:
        path = todo.pop()
        if path and path not in found and path.stem not in OTHER:
            found.add(path)
            todo += imported(path)
    return sorted(path for path in found if code([path]))


def main() -> None:
    """Print a table of sizes, and the files of a GPT."""
    package = tracked("minitransformer/*.py")
    course = tracked("minitransformer/coursework/*.py")
    training = tracked("scripts/train_*.py", "scripts/finetune_*.py")
    pages = tracked("docs/modules/coursework/*.md")
    print(f"{lines(package) - lines(course):6,} package without coursework")
    print(f"{lines(course):6,} coursework")
    print(f"{lines(training):6,} training scripts")
    print(f"{lines(pages):6,} pages about the coursework's machinery")
    for way, names in (("short way", SHORT), ("programs", PROGRAMS)):
        found = files_on_the_way(names)
        print(f"\n{len(found)} files, {code(found):,} code lines to a talking GPT, {way}:")
        for path in found:
            print(f"{code([path]):6,} {path.relative_to(ROOT).as_posix()}")


if __name__ == "__main__":
    main()
