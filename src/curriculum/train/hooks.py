"""Hooks: callables that are given events."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curriculum.errors import CurriculumError, InputError
from curriculum.train.events import EVENTS, Action, Event, Retarget

if TYPE_CHECKING:
    pass

Answer = Retarget | Iterable[Retarget] | None


@dataclass(frozen=True)
class Hook:
    """A callable for one type of event; for an action, also for its name.

    It is given the event, and returns None, a `Retarget`, or several.
    """

    on: type[Event]
    call: Callable[[Any], Answer]
    name: str | None = None

    def __call__(self, event: Event) -> Answer:
        return self.call(event)


def on(event: type[Event], name: str | None = None) -> Callable[[Callable[[Any], Answer]], Hook]:
    """Make a hook of a function: `@on(PhaseEnd)`, or `@on(Action, "anchor")` for an action.

    Raises `InputError` for an action without a name, or a name for another event.
    """
    if not (isinstance(event, type) and issubclass(event, Event)) or event is Event:
        raise InputError(f"{event!r} is no event (allowed: {', '.join(kind.__name__ for kind in EVENTS.values())})")
    if (name is not None) != (event is Action):
        wants = "an action has a name: write on(Action, 'anchor')" if event is Action else f"{event.__name__} takes no name"
        raise InputError(f"cannot register the hook: {wants}")
    return lambda call: Hook(event, call, name)


class Hooks:
    """Takes each event to the hooks that listen to it, in order."""

    def __init__(self, hooks: Iterable[Hook]):
        self._by_type: dict[type[Event], list[Hook]] = {}
        for hook in hooks:
            self._by_type.setdefault(hook.on, []).append(hook)

    def wants(self, kind: type[Event]) -> bool:
        return kind in self._by_type

    def __call__(self, event: Event) -> list[Retarget]:
        requests: list[Retarget] = []
        for hook in self._by_type.get(type(event), ()):
            if hook.name is not None and (not isinstance(event, Action) or hook.name != event.name):
                continue
            try:
                answer = hook(event)
            except CurriculumError:
                raise
            except Exception as error:
                name = getattr(hook.call, "__qualname__", repr(hook.call))
                place = f"at step {event.step} on {event.kind}"
                raise CurriculumError(f"the hook {name} failed {place}: {type(error).__name__}: {error}") from error
            found = [answer] if isinstance(answer, Retarget) else [] if answer is None else answer
            if not isinstance(found, list | tuple) or not all(isinstance(request, Retarget) for request in found):
                name = getattr(hook.call, "__qualname__", repr(hook.call))
                raise CurriculumError(
                    f"the hook {name} returned {answer!r} at step {event.step}: return None, a Retarget, or a list of them"
                )
            requests += found
        return requests
