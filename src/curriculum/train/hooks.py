"""Hooks: callables that receive events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from curriculum.blame import blame
from curriculum.errors import CurriculumError, InputError
from curriculum.train.events import EVENTS, Action, Event, Retarget

Answer = Retarget | Iterable[Retarget] | None


@dataclass(frozen=True)
class Hook:
    """A callable for one type of event and, for actions, one name.

    It receives the event, and returns None, a `Retarget`, or a list of them. With `steps`, it does so at these only.
    """

    on: type[Event]
    call: Callable[[Any], Answer]
    name: str | None = None
    steps: frozenset[int] | None = None

    def __call__(self, event: Event) -> Answer:
        return self.call(event)


def on(event: type[Event], name: str | None = None) -> Callable[[Callable[[Any], Answer]], Hook]:
    """Make a function a hook: `@on(PhaseEnd)`, or `@on(Action, "anchor")` for an action.

    Raises `InputError` for an action without a name, or a name for another event.
    """
    if not (isinstance(event, type) and issubclass(event, Event)) or event is Event:
        raise InputError(f"{event!r} is not an event (allowed: {', '.join(kind.__name__ for kind in EVENTS.values())})")
    if (name is not None) != (event is Action):
        wants = (
            "an Action hook needs the name of the action, as in on(Action, 'anchor')"
            if event is Action
            else f"{event.__name__} takes no name"
        )
        raise InputError(f"cannot register the hook: {wants}")
    return lambda call: Hook(event, call, name)


class Hooks:
    """Passes each event to the hooks registered for it, in order."""

    def __init__(self, hooks: Iterable[Hook]):
        self._by_type: dict[type[Event], list[Hook]] = {}
        for hook in hooks:
            self._by_type.setdefault(hook.on, []).append(hook)

    def wants(self, kind: type[Event]) -> bool:
        return kind in self._by_type

    def at(self, kind: type[Event]) -> frozenset[int] | None:
        steps: frozenset[int] = frozenset()
        for hook in self._by_type.get(kind, ()):
            if hook.steps is None:
                return None
            steps |= hook.steps
        return steps

    def __call__(self, event: Event) -> list[Retarget]:
        requests: list[Retarget] = []
        for hook in self._by_type.get(type(event), ()):
            if hook.name is not None and (not isinstance(event, Action) or hook.name != event.name):
                continue
            if hook.steps is not None and event.step not in hook.steps:
                continue
            answer = hook(event)
            requests += [answer] if isinstance(answer, Retarget) else answer or ()
        return requests


def definition(call: Callable[..., Any]) -> Any:
    """Find what a callable is known by, which has a `__qualname__`: the function of a partial, the class of an object."""
    while isinstance(call, partial):
        call = call.func
    return call if hasattr(call, "__qualname__") else type(call)


def supervised(hook: Hook, looks_on: bool = False) -> Hook:
    """Wrap a user's hook: turn its failures into a `CurriculumError` with the hook, the step and the event.

    Failures are exceptions, `SystemExit` included; a changed global setting of PyTorch, which is restored; and a result that
    is not a `Retarget`. A hook that only `looks_on` must return None. `KeyboardInterrupt` is passed on.
    """
    own = definition(hook.call)
    name = own.__qualname__

    def call(event: Event) -> list[Retarget]:
        place = f"at step {event.step} on {event.kind}"
        before = [get() for get, _ in _GLOBALS.values()]
        try:
            answer = hook.call(event)
        except (Exception, SystemExit) as error:
            why = blame(error, [own.__module__ or ""]) or f"{type(error).__name__}: {error}"
            hint = "; to stop early, raise KeyboardInterrupt" if isinstance(error, SystemExit) else ""
            raise CurriculumError(f"the hook {name} failed {place}: {why}{hint}") from error
        finally:
            changed = _put_back(before)
        if changed:
            raise CurriculumError(f"the hook {name} changed PyTorch's {changed} {place}: restore it before the hook returns")
        found = [answer] if isinstance(answer, Retarget) else [] if answer is None else answer
        if not isinstance(found, list | tuple) or not all(isinstance(request, Retarget) for request in found):
            raise CurriculumError(f"the hook {name} returned {answer!r} {place}: return None, a Retarget, or a list of them")
        if looks_on and found:
            raise CurriculumError(
                f"the hook {name} returned {answer!r} {place}, but hooks in `watch` are read-only: pass it as a hook of the plan"
            )
        return list(found)

    return replace(hook, call=call)


# What training depends on, and a hook may change for all of the process: how to get it, and how to set it.
_GLOBALS: Mapping[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    # Setting the CPU explicitly would slow down every call.
    "default device": (torch.get_default_device, lambda device: torch.set_default_device(None if device.type == "cpu" else device)),
    "gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "number of threads": (torch.get_num_threads, torch.set_num_threads),
}


def _put_back(before: list[Any]) -> str:
    """Set the global settings to what they were; return the last that was changed as a clause, empty where none was."""
    changed = ""
    for (name, (get, put)), was in zip(_GLOBALS.items(), before, strict=True):
        if (now := get()) != was:
            put(was)
            changed = f"{name} from {was} to {now}"
    return changed
