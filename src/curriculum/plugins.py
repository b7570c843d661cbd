"""Find a task, measure or figure by its name: one file, one name.

What is special to a task stands in the task's room, what suits any task in the general one. Nothing is imported but
what is asked for, so that a broken file stops nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

from curriculum.errors import InputError, unknown

PLACES: Mapping[str, tuple[str, ...]] = {
    "task": ("tasks/*/task.py",),
    "measure": ("measure/metrics/*.py", "tasks/*/metrics/*.py"),
    "figure": ("draw/plots/*.py", "tasks/*/plots/*.py"),
}
_ROOT = Path(__file__).parent


def names(kind: str) -> tuple[str, ...]:
    """List the names of the things of a kind, `task`, `measure` or `figure`, without importing them."""
    return tuple(sorted(_modules(kind)))


def find(kind: str, name: str) -> ModuleType:
    """Import the module of the thing of a kind that has this name.

    Raises `InputError` with the nearest name if none matches.
    """
    modules = _modules(kind)
    if name not in modules:
        raise InputError(unknown(kind, name, sorted(modules)))
    return import_module(modules[name])


def _modules(kind: str) -> dict[str, str]:
    """Give for each name the module that has it; a task is named by its room."""
    files = [path for pattern in PLACES[kind] for path in sorted(_ROOT.glob(pattern)) if path.stem != "__init__"]
    return {
        path.parent.name if kind == "task" else path.stem: ".".join(("curriculum", *path.relative_to(_ROOT).with_suffix("").parts))
        for path in files
    }
