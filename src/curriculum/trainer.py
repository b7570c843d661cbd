"""The training loop: state in, events out, state back. No files, no printing.

The events of a step come in this order: the batch is drawn; `PhaseStart`; `Action` for each action;
`PreStep`; the update; `StepMetrics`; `PhaseEnd`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from curriculum import optimizer
from curriculum.config import Adam
from curriculum.ensemble import Ensemble, Layout, initial_parameters
from curriculum.errors import DivergedError
from curriculum.events import (
    Action,
    Chunk,
    Diverged,
    Event,
    PhaseEnd,
    PhaseStart,
    PreStep,
    Retarget,
    Retargeted,
    RunEnd,
    StepMetrics,
)
from curriculum.schedule import Schedule
from curriculum.task import Task

CHUNK = 250  # steps whose batches are drawn, and whose losses leave, together
RATE = "lr"


class Emitter(Protocol):
    """Takes the events of a run to its hooks."""

    def wants(self, kind: type[Event]) -> bool:
        """Tell whether any hook listens to this type of event."""
        ...

    def __call__(self, event: Event) -> Iterable[Retarget]:
        """Call the hooks of an event; return what they ask for."""
        ...


@dataclass(frozen=True)
class State:
    """The whole state of a run before step `step`; `flat` are all parameters, `[S, P]`.

    `alive` `[S]` is False for a seed that diverged. `flat` and the optimizer's state change in
    place while training goes on.
    """

    step: int
    seeds: tuple[int, ...]
    layout: Layout
    flat: Tensor
    adam: optimizer.AdamState
    references: dict[str, Tensor]
    schedule: Schedule
    alive: Tensor

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Name the parameters, each a view `[S, ...]`."""
        return self.layout.views(self.flat)


def initial_state(task: Task, schedule: Schedule, seeds: Sequence[int]) -> State:
    """Build the state before step 0."""
    layout, flat = initial_parameters(task, seeds)
    alive = torch.ones(len(seeds), dtype=torch.bool)
    return State(0, tuple(seeds), layout, flat, optimizer.initial_state(flat), {}, schedule, alive)


def train(task: Task, state: State, settings: Adam, emit: Emitter) -> State:
    """Train from a state to the end of its schedule and return the last state.

    Raises `DivergedError` when no seed is left that has only finite numbers; the weights are then those
    before the step at which the last one went wrong.
    """
    ensemble = Ensemble(task)
    while state.step < len(state.schedule):
        state = _train_chunk(task, ensemble, state, settings, emit)
    emit(RunEnd(state.schedule.last_step, state.parameters))
    return state


def _train_chunk(task: Task, ensemble: Ensemble, state: State, settings: Adam, emit: Emitter) -> State:
    """Train the steps up to the next boundary, or up to the step at which a hook moves a target."""
    schedule, flat, parameters = state.schedule, state.flat, state.parameters
    start = state.step
    batches = task.batches(schedule, range(start, _boundary(task, schedule, start)), state.seeds)
    references, schedule = _open(task, ensemble, state, emit)
    active = _active(task, schedule, references, start)
    # After a retarget here, the batches of the next steps are drawn anew: they follow the sheet too.
    stop = _boundary(task, schedule, start) if schedule is state.schedule else start + 1
    steps = range(start, stop)
    weights = _columns(schedule, active, steps)[:, None].expand(-1, len(state.seeds), -1).unbind()
    rates = _columns(schedule, [RATE], steps)[:, None].expand(-1, len(state.seeds), -1).unbind()
    drawn = {name: values.unbind() for name, values in batches.items()}
    totals: list[Tensor] = []
    rows: list[Tensor] = []
    pre_step, step_metrics = emit.wants(PreStep), emit.wants(StepMetrics)
    alive, all_alive = state.alive, bool(state.alive.all())
    requests: list[Retarget] = []
    reason = ""

    for index, step in enumerate(steps):
        if pre_step:
            requests += emit(PreStep(step, parameters, flat, schedule))
        batch = {name: values[index] for name, values in drawn.items()}
        # Inference mode takes a fifth off the calls; hooks stay outside of it, their tensors are ordinary ones.
        with torch.inference_mode(ensemble.by_hand):
            terms, found = ensemble.gradients(parameters, batch, references, active, weights[index])
            total = torch.linalg.vecdot(terms, weights[index])
            gradient = torch.cat([part.flatten(1) for part in found], 1)
            rate = rates[index]
            if not (all_alive and math.isfinite((total.sum() + gradient.sum()).item())):
                dead = alive & ~(torch.isfinite(total) & torch.isfinite(gradient).all(1))
                if bool(dead.any()):
                    alive, all_alive = alive & ~dead, False
                    reason = _announce(emit, step, state, dead, active, terms, total, schedule)
                    if not bool(alive.any()):
                        break
                gradient = torch.where(alive[:, None], gradient, 0.0)
                terms, total = torch.where(alive[:, None], terms, torch.nan), torch.where(alive, total, torch.nan)
                rate = torch.where(alive[:, None], rate, 0.0)
            optimizer.update(flat, gradient, state.adam, rate, step + 1, settings)
        totals.append(total)
        rows.append(terms)
        if step_metrics:
            requests += emit(StepMetrics(step, total, dict(zip(active, terms.unbind(1), strict=True)), schedule))
        if requests:
            break

    if rows:
        losses = dict(zip(active, torch.stack(rows).unbind(2), strict=True))
        requests += emit(Chunk(steps[len(rows) - 1], start, state.seeds, torch.stack(totals), losses, schedule))
    if not bool(alive.any()):
        left = "" if len(state.seeds) == 1 else f"; it was the last of {len(state.seeds)} seeds"
        raise DivergedError(f"training diverged: {reason}{left}")
    last = steps[len(rows) - 1]
    phase = schedule.phase_at(last)
    if last == phase.end and emit.wants(PhaseEnd):
        inputs = task.validation(phase)
        seen = ensemble.observe(parameters, inputs)
        requests += emit(PhaseEnd(last, phase, inputs, seen.outputs, seen.latents, schedule))
    schedule = _retarget(schedule, last, requests, emit)
    return replace(state, step=last + 1, references=references, schedule=schedule, alive=alive)


def _open(task: Task, ensemble: Ensemble, state: State, emit: Emitter) -> tuple[dict[str, Tensor], Schedule]:
    """Fire the events with which a step may begin; return the references and schedule after them."""
    step, schedule, references = state.step, state.schedule, state.references
    phase = schedule.phase_at(step)
    requests: list[Retarget] = []
    if phase.start == step:
        requests += emit(PhaseStart(step, phase, schedule))
    for name in schedule.actions_at(step):
        if name in task.actions:
            references = {**references, **ensemble.capture(name, state.parameters)}
        requests += emit(Action(step, name, state.parameters, schedule))
    return references, _retarget(schedule, step, requests, emit)


def _retarget(schedule: Schedule, step: int, requests: Iterable[Retarget], emit: Emitter) -> Schedule:
    """Apply what hooks asked for at a step; its own values stay, the path leaves from them."""
    for request in requests:
        schedule = schedule.retarget(request.name, step, request.value, request.duration)
        emit(Retargeted(step, request.name, request.value, request.duration))
    return schedule


def _active(task: Task, schedule: Schedule, references: dict[str, Tensor], step: int) -> list[str]:
    """List the terms that count at a step: in the sheet, weight not 0, and what they need captured."""
    values = schedule.at(step)
    return [name for name in task.terms if values.get(name, 0.0) != 0 and (name not in task.needs or task.needs[name] in references)]


def _boundary(task: Task, schedule: Schedule, start: int) -> int:
    """Find the step after `start` before which nothing changes but numbers: phase, actions, terms."""
    end = min(start + CHUNK, schedule.phase_at(start).end + 1)
    end = min([end, *(step for step, _ in schedule.actions if step > start)])
    columns = [schedule.column(name)[start:end] != 0 for name in task.terms if name in schedule.properties]
    if columns:
        on = np.stack(columns, axis=1)
        changed = np.flatnonzero((on[1:] != on[:-1]).any(axis=1))
        if changed.size:
            end = start + 1 + int(changed[0])
    return end


def _columns(schedule: Schedule, names: Sequence[str], steps: range) -> Tensor:
    """Read some columns of a schedule over some steps: `[C, K]`, float32."""
    columns = [schedule.column(name)[steps.start : steps.stop] for name in names]
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32)) if columns else torch.empty(len(steps), 0)


def _announce(
    emit: Emitter, step: int, state: State, dead: Tensor, active: Sequence[str], terms: Tensor, total: Tensor, schedule: Schedule
) -> str:
    """Emit which term went wrong for each seed that did; return the last as a sentence."""
    phase = schedule.phase_at(step)
    reason = ""
    for index in torch.nonzero(dead).flatten().tolist():
        bad = [name for name, value in zip(active, terms[index].tolist(), strict=True) if not np.isfinite(value)]
        term = bad[0] if bad else "total" if not np.isfinite(total[index].item()) else "the gradient"
        emit(Diverged(step, state.seeds[index], term, phase))
        reason = f"{term} is not finite at step {step}, phase {phase.name!r}, seed {state.seeds[index]}"
    return reason
