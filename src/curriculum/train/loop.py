"""The training loop: state in, events out, state back. No files, no printing.

One stack holds the seeds of one schedule, or of several (*arms*) whose tasks agree. The events of a step come in
this order: the batch is drawn; `PhaseStart`; `Action` for each action; `PreStep`; the update; `StepMetrics`;
`PhaseEnd`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from curriculum.config.settings import Adam
from curriculum.errors import CurriculumError, DivergedError, InputError
from curriculum.sheet.bounds import check_path
from curriculum.sheet.schedule import RATE, Schedule
from curriculum.train import optimizers as optimizer
from curriculum.train.events import Action, Chunk, Diverged, Event, PhaseEnd, PhaseStart, PreStep, Retarget, Retargeted, RunEnd, StepMetrics
from curriculum.train.stack import Ensemble, join_batches
from curriculum.train.state import Arm, State
from curriculum.train.task import Task

CHUNK = 250  # steps whose batches are drawn, and whose losses leave, together; a chunk ends at a multiple of this


_Batches = Mapping[str, Sequence[Tensor]]  # of a chunk, by name: `[S, B, ...]` for each step


class Emitter(Protocol):
    """Takes the events of an arm to its hooks."""

    def wants(self, kind: type[Event]) -> bool:
        """Tell whether any hook listens to this type of event."""
        ...

    def __call__(self, event: Event) -> Iterable[Retarget]:
        """Call the hooks of an event; return what they ask for."""
        ...


class Keeper(Protocol):
    """Keeps the state of a training that goes on."""

    def due(self, step: int) -> bool:
        """Tell whether the state before `step` is to be kept: asked before every step but the first and after the last."""
        ...

    def keep(self, state: State) -> None:
        """Keep a state. What it raises ends the training."""
        ...


def train(task: Task, state: State, settings: Adam, emitters: Sequence[Emitter], keeper: Keeper | None = None) -> State:
    """Train from a state to the end of its schedules and return the last state; each arm has its emitter.

    The keeper is given the states that it asks for, which changes no number.

    Raises `DivergedError` when no seed is left that has only finite numbers; the weights are then those before the
    step at which the last one went wrong.
    """
    ensemble = Ensemble(task.to(state.flat.device))
    drawn: _Batches | None = None
    while state.step < len(state.arms[0].schedule):
        state, drawn = _train_chunk(task, ensemble, state, settings, emitters, keeper, drawn)
        if keeper is not None and state.step < len(state.arms[0].schedule) and keeper.due(state.step):
            keeper.keep(state)
    for arm, emit in zip(state.arms, emitters, strict=True):
        emit(RunEnd(arm.schedule.last_step, state.parameters(arm)))
    return state


def _train_chunk(
    task: Task,
    ensemble: Ensemble,
    state: State,
    settings: Adam,
    emitters: Sequence[Emitter],
    keeper: Keeper | None,
    drawn: _Batches | None,
) -> tuple[State, _Batches | None]:
    """Train the steps up to the next boundary, or up to the step at which a hook moves a target or the keeper asks.

    In the last case the batches of the rest of the chunk are returned too, to go on with.
    """
    start, flat = state.step, state.flat
    steps = state.chunk or range(start, min(_boundary(task, arm.schedule, start) for arm in state.arms))
    if drawn is None:
        joined = join_batches([task.batches(arm.schedule, steps, arm.seeds) for arm in state.arms])
        drawn = {name: values.to(flat.device).unbind() for name, values in joined.items()}
    arms = state.arms
    if steps.start == start:
        arms = tuple(_open(task, ensemble, state, arm, emit) for arm, emit in zip(state.arms, emitters, strict=True))
        if any(after.schedule is not before.schedule for after, before in zip(arms, state.arms, strict=True)):
            # After a retarget here, the batches of the next steps are drawn anew: they follow the sheet too.
            steps = range(start, start + 1)
    own = [_active(task, arm, start) for arm in arms]
    active = [name for name in task.terms if any(name in names for names in own)]
    weights = torch.cat([_weights(arm, active, names, steps) for arm, names in zip(arms, own, strict=True)], 1).to(flat.device).unbind()
    rates = torch.cat([_columns(arm, [RATE], steps) for arm in arms], 1).to(flat.device).unbind()
    references = _join_references(arms)
    parameters = state.layout.views(flat)
    watched = [(n, arm, emitters[n], state.parameters(arm)) for n, arm in enumerate(arms) if emitters[n].wants(PreStep)]
    metered = [(n, arm, emitters[n], own[n]) for n, arm in enumerate(arms) if emitters[n].wants(StepMetrics)]
    alive, all_alive = state.alive, bool(state.alive.all())
    requests: list[list[Retarget]] = [[] for _ in arms]
    totals: list[Tensor] = []
    rows: list[Tensor] = []
    reason = ""

    try:
        for index in range(start - steps.start, len(steps)):
            step = steps[index]
            for n, arm, emit, views in watched:
                requests[n] += emit(PreStep(step, views, flat[arm.rows], arm.schedule))
            batch = {name: values[index] for name, values in drawn.items()}
            # Inference mode takes a fifth off the calls. Hooks run outside of it.
            with torch.inference_mode(ensemble.by_hand):
                terms, found = ensemble.gradients(parameters, batch, references, active, weights[index])
                total = torch.linalg.vecdot(terms, weights[index])
                gradient = torch.cat([part.flatten(1) for part in found], 1)
                rate = rates[index]
                if not (all_alive and math.isfinite((total.sum() + gradient.sum()).item())):
                    dead = alive & ~(torch.isfinite(total) & torch.isfinite(gradient).all(1))
                    if bool(dead.any()):
                        alive, all_alive = alive & ~dead, False
                        reason = _announce(emitters, arms, step, dead, active, terms, total)
                        if not bool(alive.any()):
                            break
                    gradient = torch.where(alive[:, None], gradient, 0.0)
                    terms, total = torch.where(alive[:, None], terms, torch.nan), torch.where(alive, total, torch.nan)
                    rate = torch.where(alive[:, None], rate, 0.0)
                optimizer.update(flat, gradient, state.adam, rate, step + 1, settings)
            totals.append(total)
            rows.append(terms)
            for n, arm, emit, names in metered:
                values = {name: terms[arm.rows, active.index(name)] for name in names}
                requests[n] += emit(StepMetrics(step, total[arm.rows], values, arm.schedule))
            if any(requests) or (keeper is not None and keeper.due(step + 1)):
                break
    finally:
        # Also where a hook fails or the user stops: what was trained is told of.
        last = start + max(len(rows), 1) - 1
        if rows:
            all_terms, all_totals = torch.stack(rows).cpu(), torch.stack(totals).cpu()
            for arm, emit, names, asked in zip(arms, emitters, own, requests, strict=True):
                losses = {name: all_terms[:, arm.rows, active.index(name)] for name in names}
                asked += emit(Chunk(last, start, arm.seeds, all_totals[:, arm.rows], losses, arm.schedule))
    if not bool(alive.any()):
        left = "" if len(alive) == 1 else f"; it was the last of {len(alive)} seeds"
        raise DivergedError(f"training diverged: {reason}{left}")
    paused = last + 1 < steps.stop and not any(requests)
    closed = tuple(_close(task, ensemble, state, arm, last, emit, asked) for arm, emit, asked in zip(arms, emitters, requests, strict=True))
    after = replace(state, step=last + 1, arms=closed, alive=alive, chunk=steps if paused else None)
    return after, drawn if paused else None


def _open(task: Task, ensemble: Ensemble, state: State, arm: Arm, emit: Emitter) -> Arm:
    """Fire the events with which a step may begin; return the arm after them."""
    step, references = state.step, arm.references
    phase = arm.schedule.phase_at(step)
    requests: list[Retarget] = []
    if phase.start == step:
        requests += emit(PhaseStart(step, phase, arm.schedule))
    for name in arm.schedule.actions_at(step):
        if name in task.actions:
            references = {**references, **ensemble.capture(name, state.parameters(arm))}
        requests += emit(Action(step, name, state.parameters(arm), arm.schedule))
    return _retarget(task, replace(arm, references=references), step, requests, emit)


def _close(task: Task, ensemble: Ensemble, state: State, arm: Arm, step: int, emit: Emitter, requests: list[Retarget]) -> Arm:
    """Fire the event with which a step may end; return the arm after it and all that its hooks asked for."""
    phase = arm.schedule.phase_at(step)
    if step == phase.end and emit.wants(PhaseEnd):
        inputs = task.validation(phase)
        seen = ensemble.observe(state.parameters(arm), inputs)
        requests += emit(PhaseEnd(step, phase, inputs, seen.outputs.cpu(), seen.latents.cpu(), arm.schedule))
    return _retarget(task, arm, step, requests, emit)


def _retarget(task: Task, arm: Arm, step: int, requests: Iterable[Retarget], emit: Emitter) -> Arm:
    """Apply what hooks asked for at a step; its own values stay, the path leaves from them."""
    for request in requests:
        try:
            schedule = arm.schedule.retarget(request.name, step, request.value, request.duration)
            check_path(schedule, request.name, step, task.bounds_of(request.name))
        except InputError as error:
            raise CurriculumError(f"a hook's retarget at step {step} is not possible: {error}") from error
        arm = replace(arm, schedule=schedule)
        emit(Retargeted(step, request.name, request.value, request.duration))
    return arm


def _active(task: Task, arm: Arm, step: int) -> list[str]:
    """List the terms that count at a step: in the sheet, weight not 0, and what they need captured."""
    values = arm.schedule.at(step)
    return [name for name in task.terms if values.get(name, 0.0) != 0 and (name not in task.needs or task.needs[name] in arm.references)]


def _boundary(task: Task, schedule: Schedule, start: int) -> int:
    """Find the step after `start` before which nothing changes but numbers: phase, actions, terms, whole numbers."""
    end = min((start // CHUNK + 1) * CHUNK, schedule.phase_at(start).end + 1)
    end = min([end, *(step for step, _ in schedule.actions if step > start)])
    columns = [schedule.column(name)[start:end] != 0 for name in task.terms if name in schedule.properties]
    columns += [np.round(schedule.column(name)[start:end]) for name in task.integers if name in schedule.properties]
    if columns:
        fixed = np.stack(columns, axis=1)
        changed = np.flatnonzero((fixed[1:] != fixed[:-1]).any(axis=1))
        if changed.size:
            end = start + 1 + int(changed[0])
    return end


def _columns(arm: Arm, names: Sequence[str], steps: range) -> Tensor:
    """Read some columns of an arm's schedule for each of its seeds: `[C, S, K]`, float32."""
    columns = [arm.schedule.column(name)[steps.start : steps.stop] for name in names]
    values = torch.from_numpy(np.stack(columns, axis=1).astype(np.float32)) if columns else torch.empty(len(steps), 0)
    return values[:, None].expand(-1, len(arm.seeds), -1)


def _weights(arm: Arm, active: Sequence[str], own: Sequence[str], steps: range) -> Tensor:
    """Read the weights of the active terms: `[C, S, K]`, 0 for a term that only other arms have."""
    weights = torch.zeros(len(steps), len(arm.seeds), len(active))
    places = [active.index(name) for name in own]
    weights[:, :, places] = _columns(arm, own, steps)
    return weights


def _join_references(arms: Sequence[Arm]) -> dict[str, Tensor]:
    """Stack the references of all arms; one that has not captured its own yet, and gives it no weight, has zeros."""
    captured = {name: value for arm in arms for name, value in arm.references.items()}
    return {
        name: torch.cat([arm.references.get(name, value.new_zeros(len(arm.seeds), *value.shape[1:])) for arm in arms])
        for name, value in captured.items()
    }


def _announce(
    emitters: Sequence[Emitter], arms: Sequence[Arm], step: int, dead: Tensor, active: Sequence[str], terms: Tensor, total: Tensor
) -> str:
    """Emit which term went wrong for each seed that did; return the last as a sentence."""
    reason = ""
    for index in torch.nonzero(dead).flatten().tolist():
        arm, emit = next(pair for pair in zip(arms, emitters, strict=True) if pair[0].rows.start <= index < pair[0].rows.stop)
        bad = [name for name, value in zip(active, terms[index].tolist(), strict=True) if not np.isfinite(value)]
        term = bad[0] if bad else "total" if not np.isfinite(total[index].item()) else "the gradient"
        phase, seed = arm.schedule.phase_at(step), arm.seeds[index - arm.rows.start]
        emit(Diverged(step, seed, term, phase))
        reason = f"{term} is not finite at step {step}, phase {phase.name!r}, seed {seed}"
    return reason
