"""The events of a run, as frozen types, and the requests that a hook may return.

Tensors in events are live views: a hook that keeps one after its call must clone it. Every tensor has
the seeds as its first axis, also when there is one. Parameters and the losses of a single step are where training is, on
the CPU or a GPU; all else is on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from curriculum.sheet.document import Phase
from curriculum.sheet.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Event:
    """Base class of all events: something that happened at a step."""

    kind: ClassVar[str] = "event"
    step: int


@dataclass(frozen=True, slots=True)
class PhaseStart(Event):
    """A phase starts at this step; its batch has been drawn."""

    kind: ClassVar[str] = "phase-start"
    phase: Phase
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Action(Event):
    """An action of the sheet fires. The task has already handled it, if it does.

    `references` are all that this and earlier actions have captured, each `[S, ...]`.
    """

    kind: ClassVar[str] = "action"
    name: str
    parameters: Mapping[str, Tensor]
    schedule: Schedule
    references: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class PreStep(Event):
    """The weights before this step's update: `parameters` by name, each `[S, ...]`.

    `flat` holds the same numbers as one tensor `[S, P]`.
    """

    kind: ClassVar[str] = "pre-step"
    parameters: Mapping[str, Tensor]
    flat: Tensor
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Weights(Event):
    """The weights `flat` `[C, S, P]` before the updates of the steps `first` to `step`, for those who only look on.

    Unlike `PreStep`, it may come after these updates, and for many steps at once.
    """

    kind: ClassVar[str] = "weights"
    first: int
    flat: Tensor


@dataclass(frozen=True, slots=True)
class StepMetrics(Event):
    """The losses of this step: `total` `[S]`, and each term that was computed `[S]`, unweighted."""

    kind: ClassVar[str] = "step-metrics"
    total: Tensor
    terms: Mapping[str, Tensor]
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class PhaseEnd(Event):
    """A phase ended with this step's update; contains the outputs of the model on the validation data.

    `inputs` `[N, ...]`, `outputs` `[S, N, ...]`, `latents` `[S, N, L]`, None for a task without.
    """

    kind: ClassVar[str] = "phase-end"
    phase: Phase
    inputs: Tensor
    outputs: Tensor
    latents: Tensor | None
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Chunk(Event):
    """The losses of a few hundred steps at once, ending with this one, and the weights after it.

    `total` is `[C, S]` and each of `terms` `[C, S]`, for the steps `first` to `step`; terms that were not
    computed are missing, and a seed that diverged has NaN. `flat` `[S, P]` are the weights; they stay as they are, and
    where training is. `skipped` `[C, S]` marks the updates that were skipped; a loss of theirs that is not finite is NaN.
    """

    kind: ClassVar[str] = "chunk"
    first: int
    seeds: tuple[int, ...]
    total: Tensor
    terms: Mapping[str, Tensor]
    schedule: Schedule
    flat: Tensor
    skipped: Tensor


@dataclass(frozen=True, slots=True)
class Retargeted(Event):
    """A hook moved a property to a new target."""

    kind: ClassVar[str] = "retarget"
    name: str
    value: float
    duration: int


@dataclass(frozen=True, slots=True)
class Diverged(Event):
    """A seed produced a non-finite number; it is frozen in its state before this step.

    Emitted at the end of the stretch in which it happened, at most a few hundred steps later.
    """

    kind: ClassVar[str] = "diverged"
    seed: int
    term: str
    phase: Phase


@dataclass(frozen=True, slots=True)
class Skipped(Event):
    """The first update of a seed that is skipped because `term` is not finite, where the optimizer has `on_nonfinite: skip`.

    Emitted at the end of the stretch in which it happened. Later ones are only counted, in `Chunk`.
    """

    kind: ClassVar[str] = "skipped"
    seed: int
    term: str
    phase: Phase


@dataclass(frozen=True, slots=True)
class RunEnd(Event):
    """The run is over; `step` is the last one. `parameters` are the final weights, each `[S, ...]`."""

    kind: ClassVar[str] = "run-end"
    parameters: Mapping[str, Tensor]


EVENTS: dict[str, type[Event]] = {
    event.kind: event for event in (PhaseStart, Action, PreStep, StepMetrics, PhaseEnd, Chunk, Retargeted, Diverged, Skipped, RunEnd)
}


@dataclass(frozen=True, slots=True)
class Retarget:
    """Returned by a hook: move property `name` to `value` over `duration` steps from this step on."""

    name: str
    value: float
    duration: int


class Emitter(Protocol):
    """Passes the events of an arm to its hooks."""

    def wants(self, kind: type[Event]) -> bool:
        """Tell whether any hook listens to this type of event."""
        ...

    def at(self, kind: type[Event]) -> frozenset[int] | None:
        """Give the steps at which hooks listen to this type of event, None for every step."""
        ...

    def __call__(self, event: Event) -> Iterable[Retarget]:
        """Call the hooks of an event; return their requests."""
        ...
