"""Import the hooks that a config names."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curriculum.config.settings import HookSetting
from curriculum.errors import InputError, unknown
from curriculum.train.events import EVENTS, Action, PhaseEnd, PhaseStart, PreStep, StepMetrics
from curriculum.train.hooks import Hook

if TYPE_CHECKING:
    pass


def load_hook(setting: HookSetting) -> Hook:
    """Import the function that a config's hook names.

    Raises `InputError` for an unknown event, or a function that cannot be imported.
    """
    kind, _, name = setting.on.partition(":")
    user_events = [PhaseStart.kind, f"{Action.kind}:NAME", PreStep.kind, StepMetrics.kind, PhaseEnd.kind, "run-end"]
    if kind not in EVENTS or (kind == Action.kind) != bool(name):
        raise InputError(unknown("event", setting.on, user_events))
    module_name, _, path = setting.call.partition(":")
    # A hook beside the config is found as it would be by `python -m`.
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        target: Any = import_module(module_name)
        for part in path.split("."):
            target = getattr(target, part)
    except Exception as error:
        raise InputError(f"cannot load the hook {setting.call!r}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(here)
    if isinstance(target, Hook):
        if (target.on, target.name) != (EVENTS[kind], name or None):
            own = target.on.kind + (f":{target.name}" if target.name else "")
            raise InputError(f"the hook {setting.call!r} is made for {own!r}, not for {setting.on!r}")
        target = target.call
    if not callable(target):
        raise InputError(f"the hook {setting.call!r} is not a function, but {type(target).__name__}")
    return Hook(EVENTS[kind], target, name or None)
