"""The files that a user's code is in: its own, and the modules beside it that it imports, directly or not."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curriculum.blame import is_own


@dataclass(frozen=True)
class Import:
    """A module that a file imports: its dotted name, the number of dots before that, and the line."""

    name: str
    level: int
    line: int


def imports_in(data: bytes) -> Iterator[Import]:
    """Find what the text of a Python file may import, within functions too; nothing if it cannot be read.

    `from a import b` may import `a.b` as well as `a`.
    """
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError):  # reported when it is imported
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, 0, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield Import(module, node.level, node.lineno)
            yield from (Import(f"{module}.{alias.name}".lstrip("."), node.level, node.lineno) for alias in node.names)


def code_hash(path: Path, data: bytes, module: str = "") -> str:
    """Compute the SHA-256 of a file with the bytes `data`, or of all files of its code if it imports others.

    The code of a file is it and what it imports from its own folder. That of a `module`, a dotted name, is what it imports from
    the folder that its package is in, or from the package alone if that is installed.
    """
    depth = module.count(".") + (path.name == "__init__.py") if module else 0
    root = path.parents[min(depth, len(path.parents) - 1)]
    within = root / path.relative_to(root).parts[0] if module and not is_own(str(path)) else root
    own = _digest(data)
    found, left = {path: own}, [(path, data)]
    while left:
        file, text = left.pop()
        others = {other for wanted in imports_in(text) for other in _files_of(wanted, file, root)}
        for other in (other for other in others if other not in found and other.is_relative_to(within)):
            content = other.read_bytes()
            found[other] = _digest(content)
            left.append((other, content))
    if len(found) == 1:
        return own
    listed = sorted(f"{file.relative_to(root).as_posix()} {digest}" for file, digest in found.items())
    return _digest("\n".join(listed).encode())


def _files_of(wanted: Import, file: Path, root: Path) -> Iterator[Path]:
    """Find the files that an import executes: those of the module and of the packages that it is in."""
    folder = root if not wanted.level else file.parents[min(wanted.level, len(file.parents)) - 1]
    for part in filter(None, wanted.name.split(".")):
        module, package = folder / f"{part}.py", folder / part / "__init__.py"
        if package.is_file():
            yield package
        elif module.is_file():
            yield module
        folder = folder / part


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
