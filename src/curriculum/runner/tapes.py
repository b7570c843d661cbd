"""Tapes: hooks that gather what a run stores while it trains, and hand it on in parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from curriculum.runner.background import Background
from curriculum.store.columns import numbers, whole
from curriculum.store.names import PHASE_ENDS, STEPS
from curriculum.store.writer import RunFolder
from curriculum.train.events import Action, Chunk, Diverged, Event, PhaseEnd, PhaseStart, Retargeted, Skipped, Weights
from curriculum.train.hooks import Hook
from curriculum.train.stack import Layout
from curriculum.train.task import Task

if TYPE_CHECKING:
    import pyarrow as pa

PART_STEPS = 2500  # steps whose metrics and snapshots are stored together while a run goes on
PART_BYTES = 96 * 2**20  # or fewer, so that what waits in memory stays below this


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
        columns: dict[str, Any] = {name: whole(values) for name, values in rows.items()}
        # A seed that diverged has no losses from there on, nor has a skipped update whose loss is not finite: missing, as is a term
        # that was not computed.
        columns["total"] = numbers(event.total.numpy().reshape(-1))
        for name in self.terms:
            if name in event.terms:
                columns[name] = numbers(event.terms[name].numpy().reshape(-1))
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
        self._wanted = np.asarray(steps, dtype=np.int64)
        frames = max(1, min(PART_STEPS, PART_BYTES // (seeds * layout.size * 4), len(steps)))
        self._flat = torch.empty(frames, seeds, layout.size)
        self._steps: list[int] = []

    def hooks(self) -> list[Hook]:
        return [Hook(Weights, self._weights)]

    def _weights(self, event: Weights) -> None:
        low, high = self._wanted.searchsorted((event.first, event.step + 1))
        while low < high:
            first = len(self._steps)
            own = self._wanted[low : min(high, low + len(self._flat) - first)]
            places = own - event.first
            together = places[-1] - places[0] == len(places) - 1
            self._flat[first : first + len(own)].copy_(event.flat[slice(places[0], places[-1] + 1) if together else places.tolist()])
            self._steps += own.tolist()
            low += len(own)
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
            Skipped: lambda event: self.write(event, seed=event.seed, term=event.term, phase=event.phase.name),
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
        picture = self.task.picture()
        if picture is None or event.latents is None:
            return
        arrays = {"inputs": event.inputs.numpy(), "outputs": event.outputs.numpy(), "latents": event.latents.numpy()}
        arrays["colors"] = self.task.point_colors(event.inputs)
        if (labels := self._classes(event.inputs)) is not None:
            arrays["labels"] = labels.numpy()
        if torch.equal(picture.inputs, event.inputs):
            shown = {"edges": picture.edges, "targets": picture.targets}
            arrays |= {name: value.numpy() for name, value in shown.items() if value is not None}
        self.background.submit(self.folder.append_phase_end, {f"{self._ended}.{name}": array for name, array in arrays.items()})
        self._ended += 1

    def _classes(self, inputs: Tensor) -> Tensor | None:
        """Give the classes `[N]` of inputs by which their points are colored, if a task does not color them itself."""
        if type(self.task).point_colors is not Task.point_colors or not self.task.classifies:
            return None
        return next((probe.labels for probe in self.task.probes() if torch.equal(probe.inputs, inputs)), None)
