"""Hooks: callables that are given events, and those that store a run."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from curriculum.background import Background
from curriculum.config import HookSetting
from curriculum.ensemble import EXAMINED_AT_ONCE, Ensemble, Layout, models_at_once
from curriculum.errors import CurriculumError, InputError, unknown
from curriculum.events import (
    EVENTS,
    Action,
    Chunk,
    Diverged,
    Event,
    PhaseEnd,
    PhaseStart,
    PreStep,
    Retarget,
    Retargeted,
    StepMetrics,
)
from curriculum.runfolder import FINAL_SHARE, PHASE_ENDS, STEPS
from curriculum.runwriter import RunFolder
from curriculum.task import Probe, Task, Tensors
from curriculum.trainer import CHUNK

if TYPE_CHECKING:
    import pyarrow as pa

PART_STEPS = 2500  # steps whose metrics and snapshots are stored together while a run goes on
PART_BYTES = 96 * 2**20  # or fewer, so that what waits in memory stays below this
PROBED_BYTES = 32 * 2**20  # of weights that are kept to be probed together
TRACED_STEPS = 20_000  # a longer run is probed at every second step, or third, and so on

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


class Tape(Protocol):
    """Hooks that gather what happens, and hand it on in parts."""

    def hooks(self) -> list[Hook]:
        """Give the hooks that gather."""
        ...

    def flush(self) -> None:
        """Hand on what waits."""
        ...


class Recorder:
    """Turns the losses of each chunk into rows, and hands them on some thousand steps at a time."""

    def __init__(self, terms: Sequence[str], sink: Callable[[pa.Table], None], background: Background):
        self.terms = terms
        self.background = background
        self.sink = sink
        self._waiting: list[pa.Table] = []
        self._steps = 0

    def hooks(self) -> list[Hook]:
        return [Hook(Chunk, self._chunk)]

    def _chunk(self, event: Chunk) -> None:
        import pyarrow as pa

        steps = np.arange(event.first, event.step + 1)
        seeds = np.asarray(event.seeds)
        rows = {"step": np.repeat(steps, len(seeds)), "seed": np.tile(seeds, len(steps))}
        columns: dict[str, Any] = {name: pa.array(values, pa.int64()) for name, values in rows.items()}
        # A seed that diverged has no losses from there on: missing, as is a term that was not computed.
        columns["total"] = pa.array(event.total.numpy().reshape(-1), pa.float32(), from_pandas=True)
        for name in self.terms:
            if name in event.terms:
                columns[name] = pa.array(event.terms[name].numpy().reshape(-1), pa.float32(), from_pandas=True)
            else:
                columns[name] = pa.nulls(len(rows["step"]), pa.float32())
        self._waiting.append(pa.table(columns))
        self._steps += len(steps)
        if self._steps >= PART_STEPS:
            self.flush()

    def flush(self) -> None:
        """Hand on the rows that wait."""
        import pyarrow as pa

        if self._waiting:
            self.background.submit(self.sink, pa.concat_tables(self._waiting))
            self._waiting, self._steps = [], 0


class Snapshooter:
    """Copies the weights before the update of some steps, and hands them on in parts of bounded size."""

    def __init__(self, layout: Layout, seeds: int, steps: Sequence[int], sink: Callable[[dict[str, Any]], None], background: Background):
        self.layout = layout
        self.sink = sink
        self.background = background
        self._wanted = frozenset(steps)
        frames = max(1, min(PART_STEPS, PART_BYTES // (seeds * layout.size * 4), len(steps)))
        self._flat = torch.empty(frames, seeds, layout.size)
        self._steps: list[int] = []

    def hooks(self) -> list[Hook]:
        return [Hook(PreStep, self._pre_step)]

    def _pre_step(self, event: PreStep) -> None:
        if event.step not in self._wanted:
            return
        self._flat[len(self._steps)].copy_(event.flat)
        self._steps.append(event.step)
        if len(self._steps) == len(self._flat):
            self.flush()

    def flush(self) -> None:
        """Hand on the snapshots that wait."""
        if self._steps:
            views = self.layout.views(self._flat[: len(self._steps)])
            arrays: dict[str, Any] = {name: view.numpy() for name, view in views.items()}
            self.background.submit(self.sink, {STEPS: np.asarray(self._steps, dtype=np.int64), **arrays})
            self._flat = torch.empty_like(self._flat)  # the other is being stored
            self._steps = []


class Prober:
    """Looks at the weights before each update: the curves from which runs are compared.

    The weights of some steps are kept and evaluated together, since a call for each would cost more than the
    training. What is handed on is named `loss.PROBE` `[F, S]`, the unweighted error at the steps `loss.PROBE.steps`,
    `latents.PROBE` `[G, S, N, L]` likewise, and what the task examines by names of its own. An error that is not finite
    is of a seed that diverged.
    """

    def __init__(
        self,
        task: Task,
        layout: Layout,
        seeds: int,
        steps: int,
        sink: Callable[[dict[str, Any]], None],
        background: Background,
        device: str = "cpu",
    ):
        self.task = task
        self.layout = layout
        self.sink = sink
        self.background = background
        self.ensemble = Ensemble(task.to(torch.device(device)))
        self.probes = [probe for probe in task.probes() if probe.uses]
        self.stride = max(1, -(-steps // TRACED_STEPS))
        self.steps = steps
        self._often = self.stride * math.gcd(task.examine_every, *(probe.every for probe in self.probes))
        frames = min(CHUNK, PROBED_BYTES // (seeds * layout.size * 4), -(-steps // self._often))
        self._flat = torch.empty(max(1, frames), seeds, layout.size, device=device)
        self._steps: list[int] = []
        self._spare: list[torch.Tensor] = []  # fresh memory costs more than filling it
        self._found: dict[str, list[Any]] = {}

    def hooks(self) -> list[Hook]:
        return [Hook(PreStep, self._pre_step)]

    def _pre_step(self, event: PreStep) -> None:
        if event.step % self._often:
            return
        place = event.step // self._often % len(self._flat)
        self._flat[place].copy_(event.flat)
        self._steps.append(event.step)
        if place == len(self._flat) - 1:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._steps:
            self.background.submit(self._evaluate, self._flat, np.asarray(self._steps, dtype=np.int64))
            self._flat, self._steps = self._spare.pop() if self._spare else torch.empty_like(self._flat), []

    def _evaluate(self, flat: torch.Tensor, own: Any) -> None:
        """Look at the weights of some steps `own`, each at its place in `flat` `[F, S, P]`, which is free after that.

        All F steps of a group have their places, whichever of them are there: where training was interrupted must not
        show in the last bits.
        """
        places = own // self._often % len(flat)
        there = np.zeros(len(flat), dtype=bool)
        there[places] = True
        flat[torch.from_numpy(~there)] = flat[places[0]].clone()
        steps = own[0] + (np.arange(len(flat)) - places[0]) * self._often
        for probe in self.probes:
            every = self.stride * probe.every
            chosen = steps % every == 0
            if probe.uses == {"final"}:
                # It counts only at the end: in the last steps, or in a short run at the last such step.
                chosen &= steps >= min(math.floor((1 - FINAL_SHARE) * self.steps), (self.steps - 1) // every * every)
            self._look(partial(self._observe, probe), models_at_once(probe.inputs), flat, steps, chosen, there)
        if self.task.examine_every:
            chosen = steps % (self.stride * self.task.examine_every) == 0
            self._look(self.ensemble.examine, EXAMINED_AT_ONCE, flat, steps, chosen, there)
        self._spare.append(flat)
        if sum(array.nbytes for arrays in self._found.values() for array in arrays) >= PART_BYTES:
            self._store()

    def _look(
        self, look: Callable[[Tensors], dict[str, torch.Tensor]], models: int, flat: torch.Tensor, steps: Any, chosen: Any, there: Any
    ) -> None:
        """Call `look` on the weights of the chosen steps, on so many models at once; keep what it gives of those that are there.

        Calls of which no step is there are left out. The others are the same as if all were.
        """
        if not (chosen & there).any():
            return
        kept = flat[torch.from_numpy(chosen)].flatten(0, 1)
        wanted = np.repeat(there[chosen], flat.shape[1])
        found: dict[str, list[Any]] = {}
        for start in range(0, len(kept), models):
            own = wanted[start : start + models]
            if own.any():
                for name, values in look(self.layout.views(kept[start : start + models])).items():
                    found.setdefault(name, []).append(values.cpu().numpy()[own])
        for name, parts in found.items():
            joined = np.concatenate(parts)
            self._found.setdefault(name, []).append(joined.reshape(-1, flat.shape[1], *joined.shape[1:]))
            self._found.setdefault(f"{name}.{STEPS}", []).append(steps[chosen & there])

    def _observe(self, probe: Probe, parameters: Tensors) -> dict[str, torch.Tensor]:
        found = {}
        with torch.inference_mode():
            seen = self.ensemble.observe(parameters, probe.inputs)
            if probe.uses & {"loss", "final"}:
                found[f"loss.{probe.name}"] = self.task.probe_loss(seen, probe.inputs.to(seen.outputs.device))
            if "motion" in probe.uses:
                found[f"latents.{probe.name}"] = seen.latents
        return found

    def _store(self) -> None:
        if self._found:
            self.sink({name: np.concatenate(arrays) for name, arrays in self._found.items()})
            self._found = {}

    def flush(self) -> None:
        """Hand on the curves that wait."""
        self._hand_over()
        self.background.submit(self._store)


def probed_alike(task: Task, first: int, second: int, until: int) -> bool:
    """Tell whether runs of `first` and `second` steps are probed at the same steps before `until`, and in the same groups."""
    often = math.gcd(task.examine_every, *(probe.every for probe in task.probes() if probe.uses))
    seldom = max([1, *(probe.every for probe in task.probes() if probe.uses)])

    def grid(steps: int) -> tuple[int, int]:
        stride = max(1, -(-steps // TRACED_STEPS))
        return stride, min(CHUNK, -(-steps // (stride * often)))

    own = grid(first)[0] * seldom
    last = min(min(math.floor((1 - FINAL_SHARE) * steps), (steps - 1) // own * own) for steps in (first, second))
    return first == second or (grid(first) == grid(second) and until <= last)


class EventLog:
    """Writes what happens between the steps to the run's log, and keeps what phases end with."""

    def __init__(self, folder: RunFolder, task: Task, background: Background, clock: Callable[[], float] = time.time):
        self.folder = folder
        self.task = task
        self.background = background
        self.clock = clock
        self._ended = len(folder.parts[PHASE_ENDS])

    def hooks(self) -> list[Hook]:
        listeners: Mapping[type[Event], Callable[[Any], None]] = {
            PhaseStart: lambda event: self.write(event, phase=event.phase.name),
            Action: lambda event: self.write(event, name=event.name),
            PhaseEnd: self._phase_end,
            Retargeted: lambda event: self.write(event, name=event.name, value=event.value, duration=event.duration),
            Diverged: lambda event: self.write(event, seed=event.seed, term=event.term, phase=event.phase.name),
        }
        return [Hook(kind, call) for kind, call in listeners.items()]

    def write(self, event: Event, **more: Any) -> None:
        """Write one event with its step and the time."""
        self.folder.append_event({"event": event.kind, "step": event.step, "time": round(self.clock(), 3), **more})

    def warn(self, message: str) -> None:
        """Write a warning that belongs to no step."""
        self.folder.append_event({"event": "warning", "step": 0, "time": round(self.clock(), 3), "message": message})

    def _phase_end(self, event: PhaseEnd) -> None:
        self.write(event, phase=event.phase.name)
        arrays = {"inputs": event.inputs.numpy(), "outputs": event.outputs.numpy(), "latents": event.latents.numpy()}
        arrays["colors"] = self.task.point_colors(event.inputs)
        picture = self.task.picture()
        if torch.equal(picture.inputs, event.inputs):
            shown = {"edges": picture.edges, "targets": picture.targets}
            arrays |= {name: value.numpy() for name, value in shown.items() if value is not None}
        self.background.submit(self.folder.append_phase_end, {f"{self._ended}.{name}": array for name, array in arrays.items()})
        self._ended += 1
