"""Find a task, metric or plot by its name: one file in its folder, one name."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from types import ModuleType

from curriculum.errors import InputError, unknown


def names(folder: str) -> tuple[str, ...]:
    """List the modules in a folder of this package, without importing them."""
    package = import_module(f"curriculum.{folder}")
    return tuple(sorted(module.name for module in pkgutil.iter_modules(package.__path__)))


def find(folder: str, name: str) -> ModuleType:
    """Import the module called `name` from a folder of this package.

    Raises `InputError` with the nearest name where there is none.
    """
    if name not in names(folder):
        raise InputError(unknown(folder.removesuffix("s"), name, names(folder)))
    return import_module(f"curriculum.{folder}.{name}")
