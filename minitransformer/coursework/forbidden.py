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
    places = []
    for path in sorted(Path(folder).rglob("*.py")):
        if any(part.startswith(".") for part in path.parts[:-1]):
            continue  # a virtual environment
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        for node in ast.walk(tree):
            for name in names_of(node):
                if name in names or name.partition(".")[0] in ALWAYS:
                    where = path.relative_to(folder).as_posix()
                    places.append(f"{where}, line {node.lineno}: {name}")
    return places


def names_of(node):
    """List the names that a node of a syntax tree brings in or uses."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or "", *(alias.name for alias in node.names)]
    if isinstance(node, ast.Attribute):
        return [node.attr]
    return []
