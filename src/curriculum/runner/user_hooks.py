"""The hooks that a config names."""

from __future__ import annotations

from curriculum.config.settings import HookSetting
from curriculum.errors import InputError, unknown
from curriculum.outside import Folders, Reference, import_module_of, locate, pick, read_reference
from curriculum.train.events import EVENTS, Action, Event, PhaseEnd, PhaseStart, PreStep, StepMetrics
from curriculum.train.hooks import Hook


def load_hook(setting: HookSetting, near: Folders = ()) -> Hook:
    """Import the function that a config's hook names; a relative file may also be in one of the folders `near`.

    Raises `InputError` for an unknown event, or a function that cannot be imported.
    """
    event, name = _event_of(setting)
    reference, what = _reference(setting)
    target = pick(import_module_of(reference, what, near), reference.name, what)
    if isinstance(target, Hook):
        if (target.on, target.name) != (event, name):
            own = target.on.kind + (f":{target.name}" if target.name else "")
            raise InputError(f"the hook {setting.call!r} is registered for {own!r}, not for {setting.on!r}")
        target = target.call
    if not callable(target):
        raise InputError(f"the hook {setting.call!r} must be a function, not {type(target).__name__}")
    return Hook(event, target, name)


def find_hook(setting: HookSetting, near: Folders = ()) -> Hook:
    """Check a hook of a config without executing any of its code; return a hook that cannot be called.

    Raises `InputError` for an unknown event, or a module or file that does not exist.
    """
    event, name = _event_of(setting)
    locate(*_reference(setting), near)
    return Hook(event, _not_loaded, name)


def _reference(setting: HookSetting) -> tuple[Reference, str]:
    """Read where a hook's function is, and say how an error about it begins."""
    reference = read_reference(setting.call)
    assert reference is not None, "the setting requires FILE.py:NAME or MODULE:NAME"
    return reference, f"cannot load the hook {setting.call!r}"


def _not_loaded(event: Event) -> None:
    raise AssertionError("this hook was found, not loaded")


def _event_of(setting: HookSetting) -> tuple[type[Event], str | None]:
    kind, _, name = setting.on.partition(":")
    user_events = [PhaseStart.kind, f"{Action.kind}:NAME", PreStep.kind, StepMetrics.kind, PhaseEnd.kind, "run-end"]
    if kind not in EVENTS or (kind == Action.kind) != bool(name):
        raise InputError(unknown("event", setting.on, user_events))
    return EVENTS[kind], name or None
