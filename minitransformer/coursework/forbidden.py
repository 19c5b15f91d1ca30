"""What a submission may not use, found in its source.

It is read, not run: a name in a string is not seen, so this catches what is
done in good faith. What the check itself needs does not depend on it.
"""

import ast
from collections.abc import Container, Iterator
from pathlib import Path

from minitransformer.coursework.exercise import HERE, read_toml
from minitransformer.coursework.judge import escaped

ALWAYS = ("minitransformer",)
ALLOWED = "minitransformer.coursework.checking"  # tries a file
NAMES = read_toml(HERE / "forbidden.toml")["names"]
LARGEST = 1 << 20  # bytes of a file that is read


def used_names(folder: Path) -> list[tuple[str, str]]:
    """List the names that the Python files of a folder bring in or use.

    Args:
        folder: The submission.

    Returns:
        Pairs of a place, as in "mine.py, line 3", and a name. A file that
        cannot be read is skipped: running it will tell.
    """
    files = list(own_files(Path(folder)))
    own = {
        part
        for path in files
        for part in path.relative_to(folder).with_suffix("").parts
    }
    used = []
    for path in files:
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (OSError, SyntaxError, ValueError):
            continue
        except (MemoryError, RecursionError):  # nested too deep
            continue
        where = escaped(path.relative_to(folder).as_posix())
        used += [
            (f"{where}, line {getattr(node, 'lineno', 0)}", name)
            for node in ast.walk(tree)
            for name in names_of(node, own)
        ]
    return used


def forbidden_names(
    used: list[tuple[str, str]], names: Container[str] = NAMES
) -> list[str]:
    """Choose what may not be used.

    Args:
        used: From `used_names`.
        names: The names, as they stand behind a dot or an import; those of
            the course if not given.

    Returns:
        Texts, one for each place; none where all is well.
    """
    return [
        f"{place}: {name}"
        for place, name in used
        if name in names
        or (name.partition(".")[0] in ALWAYS and name != ALLOWED)
    ]


def own_files(folder: Path) -> Iterator[Path]:
    """List the Python files of a folder, but for environments in it."""
    try:
        paths = sorted(folder.iterdir())
        if (folder / "pyvenv.cfg").is_file():
            return
    except OSError:  # it may not be read
        return
    for path in paths:
        if path.is_symlink():
            continue  # it may lead to the folder itself, or anywhere
        if path.is_dir():
            if not path.name.startswith("."):
                yield from own_files(path)
        elif (
            path.suffix == ".py"
            and path.is_file()  # no pipe, no device
            and path.stat().st_size <= LARGEST
        ):
            yield path


def names_of(node: ast.AST, own: Container[str]) -> list[str]:
    """List the names that a node of a syntax tree brings in or uses.

    Args:
        node: A node.
        own: Names of the student's modules: what comes from there is
            the student's, whatever it is called.
    """
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        if node.level or module.partition(".")[0] in own:
            return []
        return [module, *(alias.name for alias in node.names)]
    if isinstance(node, ast.Attribute):
        root = node.value
        while isinstance(root, ast.Attribute):
            root = root.value
        return [] if getattr(root, "id", None) in own else [node.attr]
    return []
