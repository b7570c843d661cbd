"""The hooks that a config names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from curriculum.config.settings import HookSetting
from curriculum.errors import InputError, unknown
from curriculum.train.events import EVENTS, Action, Event, PhaseEnd, PhaseStart, PreStep, StepMetrics
from curriculum.train.hooks import Hook


def load_hook(setting: HookSetting) -> Hook:
    """Import the function that a config's hook names.

    Raises `InputError` for an unknown event, or a function that cannot be imported.
    """
    event, name = _event_of(setting)
    module_name, _, path = setting.call.partition(":")
    with _current_directory_first():
        try:
            target: Any = import_module(module_name)
            for part in path.split("."):
                target = getattr(target, part)
        except (Exception, SystemExit) as error:
            raise InputError(f"cannot load the hook {setting.call!r}: {type(error).__name__}: {error}") from error
    if isinstance(target, Hook):
        if (target.on, target.name) != (event, name):
            own = target.on.kind + (f":{target.name}" if target.name else "")
            raise InputError(f"the hook {setting.call!r} is registered for {own!r}, not for {setting.on!r}")
        target = target.call
    if not callable(target):
        raise InputError(f"the hook {setting.call!r} must be a function, not {type(target).__name__}")
    return Hook(event, target, name)


def find_hook(setting: HookSetting) -> Hook:
    """Check a hook of a config without executing any of its code; return a hook that cannot be called.

    Raises `InputError` for an unknown event, or a module that does not exist.
    """
    event, name = _event_of(setting)
    module_name = setting.call.partition(":")[0]
    with _current_directory_first():
        if not _exists(module_name):
            raise InputError(f"cannot find the hook {setting.call!r}: no module named {module_name}")
    return Hook(event, _not_loaded, name)


def _not_loaded(event: Event) -> None:
    raise AssertionError("this hook was found, not loaded")


def _event_of(setting: HookSetting) -> tuple[type[Event], str | None]:
    kind, _, name = setting.on.partition(":")
    user_events = [PhaseStart.kind, f"{Action.kind}:NAME", PreStep.kind, StepMetrics.kind, PhaseEnd.kind, "run-end"]
    if kind not in EVENTS or (kind == Action.kind) != bool(name):
        raise InputError(unknown("event", setting.on, user_events))
    return EVENTS[kind], name or None


@contextmanager
def _current_directory_first() -> Iterator[None]:
    """Find modules in the current directory, as `python -m` does."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _exists(module: str) -> bool:
    """Tell whether there is a module, without importing it or, as `find_spec` alone would, the packages that it is in."""
    if module in sys.modules:
        return True
    first, *rest = module.split(".")
    try:
        spec = find_spec(first)
        for part in rest:
            if spec is None or spec.submodule_search_locations is None:
                return False
            spec = PathFinder.find_spec(f"{spec.name}.{part}", spec.submodule_search_locations)
    except ValueError:  # not the name of a module, or a module that was not imported by its name
        return False
    return spec is not None
