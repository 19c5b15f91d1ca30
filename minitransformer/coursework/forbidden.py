"""Find library functions that a submission may not use.

The source is read, not run. Names are followed through imports, assignments
and the student's own modules to their origin, and only names of a library
are refused: a student's own function may have any name. This finds honest
mistakes; it is not made against cheating.
"""

import ast
import contextlib
import functools
import sys
from collections.abc import Container, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from minitransformer.coursework.child import ALLOWED, LENT, skipped
from minitransformer.coursework.exercise import HERE, read_toml
from minitransformer.coursework.judge import escaped

NAMES = read_toml(HERE / "forbidden.toml")["names"]
LARGEST = 1 << 20  # largest file to read, in bytes
MOST = 1000  # largest number of folders in a submission
FIRST = {*sys.stdlib_module_names, "numpy"}  # come before own modules
UNREAD = "cannot be read, so it cannot be graded"


def used_names(folder: Path) -> list[tuple[str, str]]:
    """List the library names that the Python files of a folder use.

    Returns:
        Pairs of a place, "mine.py, line 3", and a full name,
        "keras.layers.Attention". A file that cannot be read has `UNREAD`
        in place of a name. A file that is not Python is left out, because
        it cannot run.
    """
    folder, used, sources = Path(folder), [], {}
    for path in own_files(folder, set()):
        where = path.relative_to(folder)
        try:
            large = path.stat().st_size > LARGEST
            if large or path.suffix != ".py" or not path.is_file():
                raise OSError  # also for a pipe or a device
            tree = ast.parse(path.read_bytes())  # as Python itself reads it
        except OSError:
            used.append((escaped(where.as_posix()), UNREAD))
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            continue
        else:
            sources[where.with_suffix("").parts] = tree
    modules: dict[str, Module] = {}
    for parts, tree in sources.items():
        Module(parts, tree, modules)
    for module in modules.values():
        used += module.uses()
    return used


def forbidden_names(
    used: list[tuple[str, str]], names: Container[str] = NAMES
) -> list[str]:
    """Choose the names that may not be used.

    Args:
        used: From `used_names`.
        names: Forbidden names, as they appear after a dot or an import.

    Returns:
        A text for each place.
    """
    return [
        f"{place}: {name}"
        for place, name in dict.fromkeys(used)
        if name == UNREAD
        or any(part in names for part in name.split("."))
        or (name.split(".")[0] in LENT and not within(name, ALLOWED))
    ]


def within(name: str, module: str) -> bool:
    """Tell whether a dotted name is a module, or is in it."""
    return f"{name}.".startswith(f"{module}.")


def own_files(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """List the files of a folder that Python can import; follow links."""
    real = folder.resolve()
    if real in seen:  # a link to a parent folder
        return
    seen.add(real)
    try:
        paths = sorted(folder.iterdir()) if len(seen) < MOST else [folder]
    except OSError:
        paths = [folder]  # reported as a file that cannot be read
    for path in paths:
        if path == folder:
            yield path
        elif skipped(str(path)):
            continue
        elif path.is_dir():
            yield from own_files(path, seen)
        elif path.suffix in (".py", ".pyc", ".so", ".pyd"):
            yield path


class Module:
    """A student's file, its names, and what they mean.

    Args:
        parts: Its name, as in ("lib", "core").
        tree: Its syntax tree.
        modules: All modules of the submission by name; it adds itself.
    """

    def __init__(self, parts: tuple, tree: ast.Module, modules: dict):
        package = parts[:-1]
        name = package if parts[-1] == "__init__" else parts
        self.place = escaped("/".join(parts) + ".py")
        self.modules, self.nodes = modules, list(ast.walk(tree))
        self.bound: dict[str, Any] = {}  # to a full name, or an expression
        self.stars: list[str] = []
        self.found: list[tuple[Any, str]] = []
        modules[".".join(name)] = self
        for node in self.nodes:
            self.bind(node, package)

    def bind(self, node: Any, package: tuple) -> None:
        """Store the names of an import, an assignment or a `def`."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                self.found.append((node, alias.name))
                root = alias.name.partition(".")[0]
                name = alias.name if alias.asname else root
                self.bound.setdefault(alias.asname or root, name)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level]
            parts = [*(above if node.level else ()), node.module]
            source = ".".join(filter(None, parts))
            for alias in node.names:
                if alias.name == "*":
                    self.stars.append(source)
                self.found.append((node, f"{source}.{alias.name}"))
                name = alias.asname or alias.name
                self.bound.setdefault(name, f"{source}.{alias.name}")
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            self.bound.setdefault(node.name, None)
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)):
            single = [getattr(node, "target", None)]
            for target in getattr(node, "targets", single):
                if isinstance(target, (ast.Name, ast.Attribute)):
                    self.bound.setdefault(ast.unparse(target), node.value)

    def uses(self) -> Iterator[tuple[str, str]]:
        """List the library names that it imports or uses."""
        kinds = (ast.Attribute, ast.Call, ast.Subscript, ast.Name)
        for node, name in self.found:
            yield self.at(node), self.follow(name) or ""
        for node in self.nodes:
            bare = isinstance(node, ast.Name) and not self.stars
            if isinstance(node, kinds) and not bare:
                with contextlib.suppress(RecursionError):  # a.b.c. …
                    name = self.origin(node) or ""
                    if not within(ALLOWED, name):
                        yield self.at(node), name

    def at(self, node: Any) -> str:
        return f"{self.place}, line {node.lineno}"

    def origin(self, node: Any) -> str | None:
        """Find the full name of an expression's value, if it has one."""
        match node:
            case ast.Name(id=name):
                return self.look_up(name)
            case (
                ast.NamedExpr(value=value)
                | ast.Call(func=ast.Name(id="vars"), args=[value])
            ):
                return self.origin(value)
            case ast.Attribute(value=value, attr=name):
                if isinstance(value, ast.Name):
                    whole = f"{value.id}.{name}"  # such as self.layers
                    if whole in self.bound:
                        return self.look_up(whole)
            case (
                ast.Subscript(value=value, slice=key)
                | ast.Call(
                    func=ast.Name(id="getattr"), args=[value, key, *_]
                )
            ):
                name = text(key) or ""
            case ast.Call(func=function, args=[key, *_]):
                built_in = getattr(function, "id", "") == "__import__"
                module = "importlib.import_module"
                if built_in or self.origin(function) == module:
                    return self.follow(text(key) or "")
                return None
            case _:
                return None
        base = self.origin(value)
        if not base or not name or name == "__dict__":
            return base
        return self.follow(f"{base}.{name}".removeprefix("sys.modules."))

    def look_up(self, name: str) -> str | None:
        """Find the full name of a name in this file."""
        if name in self.bound:
            value = self.bound[name]
            if isinstance(value, ast.AST):
                return self.origin(value)
            return value and self.follow(value)
        for star in self.stars:  # the student's own modules come first
            module = self.modules.get(star)
            if module and name in module.bound:
                return module.look_up(name)
        found = [self.follow(f"{star}.{name}") for star in self.stars]
        return next(filter(None, found), None)

    def follow(self, name: str) -> str | None:
        """Follow a full name through the student's own modules.

        Returns:
            Its name in a library, or the name of an own module; None for a
            function or class that the student has written.
        """
        parts = name.split(".")
        for i in range(len(parts), 0, -1):
            module = self.modules.get(".".join(parts[:i]))
            if module and parts[0] not in FIRST:
                if i == len(parts):
                    return name
                found = module.look_up(parts[i])
                rest = "".join(f".{part}" for part in parts[i + 1 :])
                return found and self.follow(found + rest)
        own = any(parts[0] in known.split(".") for known in self.modules)
        return None if own and not installed(parts[0]) else name


@functools.cache
def installed(name: str) -> bool:
    """Tell whether a module of this name is installed, or Python's own."""
    return name in sys.stdlib_module_names or find_spec(name) is not None


def text(node: Any) -> str | None:
    """Read a literal text, or a sum of several."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = text(node.left), text(node.right)
        return None if None in parts else "".join(map(str, parts))
    value = getattr(node, "value", None)
    return value if isinstance(value, str) else None
