"""What a submission may not use, found in its source.

It is read, not run: a name in a string is not seen, so this catches what is
done in good faith. What the check itself needs does not depend on it.
"""

import ast
from pathlib import Path

ALWAYS = ("minitransformer",)


def forbidden_names(folder, names):
    """List where the Python files of a folder use names they may not.

    Args:
        folder: The submission.
        names: The names, as they stand behind a dot or an import.

    Returns:
        Sentences, one for each place; none where all is well. A file that
        cannot be read is skipped: running it will tell.
    """
    files = list(own_files(Path(folder)))
    own = {path.stem for path in files}
    own |= {path.parent.name for path in files}
    places = []
    for path in files:
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        for node in ast.walk(tree):
            for name in names_of(node, own):
                if name in names or name.partition(".")[0] in ALWAYS:
                    where = path.relative_to(folder).as_posix()
                    places.append(f"{where}, line {node.lineno}: {name}")
    return places


def own_files(folder):
    """List the Python files of a folder, but for environments in it."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            hidden = path.name.startswith(".")
            if not hidden and not (path / "pyvenv.cfg").is_file():
                yield from own_files(path)
        elif path.suffix == ".py":
            yield path


def names_of(node, own):
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
        begin = ast.unparse(node).partition(".")[0]
        return [] if begin in own else [node.attr]
    return []
