"""Import what a user names in code of their own: `./digits.py:Digits`, or `package.module:Name`.

A file is imported once per process. It can import the modules that lie next to it, as a script can.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from threading import RLock
from types import CodeType, ModuleType
from typing import Any

from curriculum.blame import blame, shown
from curriculum.errors import InputError, nearest
from curriculum.sources import code_hash, imports_in

Folders = Iterable[str | Path]
MOST_SHOWN = 12  # names that a message lists


@dataclass(frozen=True)
class Reference:
    """What a user wrote: the file or module, and the `name` in it, which may be dotted and is empty where it is missing."""

    place: str
    name: str

    @property
    def is_file(self) -> bool:
        """Whether the place is a path, not the name of a module."""
        return self.place.endswith(".py") or "/" in self.place

    def __str__(self) -> str:
        return f"{self.place}:{self.name}" if self.name else self.place


def read_reference(text: str) -> Reference | None:
    """Read `file.py:Name` or `package.module:Name`; None for anything else, which is a plain name."""
    place, colon, name = text.rpartition(":")
    if not colon:
        place, name = text, ""
    reference = Reference(place, name)
    return reference if place and (colon or reference.is_file) else None


def import_module_of(reference: Reference, what: str, near: Folders = ()) -> ModuleType:
    """Import the file or module of a reference.

    `what` begins an error, as in `cannot load the task './digits.py:Digits'`. Raises `InputError` if there is no such file or
    module, and if importing it fails, with the line of the user's code. `KeyboardInterrupt` passes.
    """
    return _load_file(_find(reference, what, near), what) if reference.is_file else _load_module(reference.place, what)


def pick(module: ModuleType, name: str, what: str) -> Any:
    """Give what a possibly dotted name means in a module. Raises `InputError` with the nearest name if there is no such thing."""
    target: Any = module
    for done, part in enumerate(name.split(".")):
        if not hasattr(target, part):
            owner = ".".join(name.split(".")[:done]) or place_of(module)
            guess = nearest(part, [own for own in dir(target) if not own.startswith("_")])
            raise InputError(f"{what}: there is no {part!r} in {owner}" + (f", did you mean {guess!r}?" if guess else ""))
        target = getattr(target, part)
    return target


def locate(reference: Reference, what: str, near: Folders = ()) -> Path | None:
    """Find the file of a reference without executing any code; None for a module that is not a file, such as `math` or in an archive.

    Raises `InputError` if there is no such file or module.
    """
    if reference.is_file:
        return _find(reference, what, near)
    if reference.place in sys.modules:
        return _file_of(getattr(sys.modules[reference.place], "__file__", None))
    with _importable(Path.cwd()):
        spec = _spec_of(reference.place)
    if spec is None:
        raise InputError(f"{what}: there is no module {reference.place!r} (looked in the working folder and among installed packages)")
    return _file_of(spec.origin if spec.has_location else None)


def _file_of(origin: str | None) -> Path | None:
    path = Path(origin).resolve() if origin else None
    return path if path is not None and path.is_file() else None


def source_of(reference: Reference, what: str, near: Folders = ()) -> tuple[Path, str] | None:
    """Give the resolved path of the file of a reference, and a hash of what is or would be imported, without importing it.

    The hash is the SHA-256 of the file's bytes, or of all files if it imports others beside it. None for a module that is not
    a file. Raises `InputError` if there is no such file or module.
    """
    path = locate(reference, what, near)
    if path is None:
        return None
    known = _HASHES.get(path)
    return path, known if known is not None else code_hash(path, path.read_bytes(), "" if reference.is_file else reference.place)


def place_of(module: ModuleType) -> str:
    """Name a module in a message: by its file if it was imported as one, else by its name."""
    loader = getattr(module.__spec__, "loader", None)
    return shown(loader.path) if isinstance(loader, _Loader) else module.__name__


def title_of(module: str) -> str:
    """Name a module as it is known wherever it lies: by the name of its file if it was imported as one, else by its own."""
    loader = getattr(getattr(sys.modules.get(module), "__spec__", None), "loader", None)
    return Path(loader.path).name if isinstance(loader, _Loader) else module


class _Loader(SourceFileLoader):
    """Loads the bytes that were read and hashed, never a stale cache of them."""

    def __init__(self, name: str, path: str, data: bytes):
        super().__init__(name, path)
        self._data = data

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._data, self.path)


_FILES: dict[Path, ModuleType] = {}
_HASHES: dict[Path, str] = {}
_LOCK = RLock()


def _find(reference: Reference, what: str, near: Folders) -> Path:
    """Find a file: relative to the working folder, else to one of the folders `near`. Gives its resolved path."""
    path = Path(reference.place)
    folders = [Path()] if path.is_absolute() else [Path(), *map(Path, near)]
    for folder in folders:
        found = folder / path
        if found.is_dir():
            raise InputError(f"{what}: {shown(found)} is a folder, not a Python file")
        if found.exists():
            if not found.is_file():
                raise InputError(f"{what}: {shown(found)} is not a regular file")
            if found.suffix != ".py":
                raise InputError(f"{what}: {shown(found)} is not a Python file, whose name ends in .py")
            return found.resolve()
    files = sorted({found.name for folder in folders for found in (folder / path).parent.glob("*.py")})
    guess = nearest(path.name, files) or nearest(f"{path.name}.py", files)
    hint = f", did you mean {str(path.with_name(guess))!r}?" if guess else f", only {', '.join(files[:MOST_SHOWN])}" if files else ""
    looked = " and ".join(dict.fromkeys("the working folder" if folder == Path() else shown(folder) for folder in folders))
    raise InputError(f"{what}: there is no file {reference.place!r}{hint}" + ("" if path.is_absolute() else f" (looked in {looked})"))


def _load_file(path: Path, what: str) -> ModuleType:
    with _LOCK:
        if path in _FILES:
            return _FILES[path]
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"{what}: cannot read {shown(path)}: {error.strerror or error}") from error
        _check_siblings(path, data, what)
        name = f"{path.stem.replace('.', '_')}@{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
        loader = _Loader(name, str(path), data)
        spec = spec_from_file_location(name, path, loader=loader)
        assert spec is not None
        module = module_from_spec(spec)
        sys.modules[name] = module
        try:
            with _importable(path.parent), _explained(what, shown(path)):
                loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        _FILES[path], _HASHES[path] = module, code_hash(path, data)
        return module


def _load_module(name: str, what: str) -> ModuleType:
    with _LOCK, _importable(Path.cwd()):
        if name not in sys.modules and _spec_of(name) is None:
            raise InputError(f"{what}: there is no module {name!r} (looked in the working folder and among installed packages)")
        with _explained(what, name, [name]):
            module = importlib.import_module(name)
        path = _file_of(getattr(module, "__file__", None))
        if path is not None and path not in _HASHES:
            _HASHES[path] = code_hash(path, path.read_bytes(), name)
        return module


@contextmanager
def _explained(what: str, place: str, own: Iterable[str] = ()) -> Iterator[None]:
    """Turn an error of code that is imported into an `InputError` with its file and line, or with `place` where it has none."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise InputError(f"{what}: {blame(error, own) or f'{place}: {type(error).__name__}: {error}'}") from error


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Find modules in a folder first, as a script in it does, and afterwards last: code may import them when it is called."""
    here = str(folder)
    sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(here)
        if here not in sys.path:
            sys.path.append(here)


def _spec_of(module: str) -> ModuleSpec | None:
    """Find a module without importing it or, as `find_spec` alone would, the packages that it is in."""
    first, *rest = module.split(".")
    try:
        spec = find_spec(first)
        for part in rest:
            if spec is None or spec.submodule_search_locations is None:
                return None
            spec = PathFinder.find_spec(f"{spec.name}.{part}", spec.submodule_search_locations)
    except ValueError:  # not the name of a module, or a module that was not imported by its name
        return None
    return spec


def _check_siblings(path: Path, data: bytes, what: str) -> None:
    """Raise an error if a file imports a module next to it, and would get another one of that name, which is imported already."""
    for wanted in imports_in(data):
        name = wanted.name.partition(".")[0]
        if wanted.level or name not in sys.modules:
            continue
        own = [file for file in (path.parent / f"{name}.py", path.parent / name / "__init__.py") if file.is_file()]
        origin = getattr(sys.modules[name], "__file__", None)
        if own and (origin is None or Path(origin).resolve() != own[0].resolve()):
            other = f"from {shown(origin)}" if origin else "as a part of Python"
            raise InputError(
                f"{what}: {shown(path)}:{wanted.line}: {name!r} is already imported {other}, so that {shown(own[0])} cannot be "
                f"imported: rename it"
            )
