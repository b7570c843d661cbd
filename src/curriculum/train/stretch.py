"""Stretches of steps in which only numbers change: their batches, and what the sheets say at each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from curriculum.config.settings import Optimizer
from curriculum.sheet.schedule import RATE, Schedule
from curriculum.train import optimizers
from curriculum.train.batch import Batch, SheetRow
from curriculum.train.noise import keys
from curriculum.train.stack import join_batches
from curriculum.train.state import Arm, State
from curriculum.train.task import Task

NO_DEFAULTS: Mapping[str, float] = MappingProxyType({})
LONGEST = 250  # steps; a stretch also ends at each multiple of this


@dataclass(frozen=True)
class Stretch:
    """C steps in which only numbers change, with their batches by name: `[C, S, B, ...]`."""

    steps: range
    batches: Mapping[str, Tensor]

    def batch(self, step: int) -> dict[str, Tensor]:
        """Give the batch of one of the steps."""
        return {name: values[step - self.steps.start] for name, values in self._each.items()}

    @cached_property
    def _each(self) -> dict[str, tuple[Tensor, ...]]:
        return {name: values.unbind() for name, values in self.batches.items()}


@dataclass(frozen=True)
class Now:
    """What the arms' schedules say at one step: `weights` `[S, K]` of the active terms, learning rates `[S, 1]`, the sheet's row.

    `moved` are the optimizer's settings that sheets move, each `[S, 1]`, `keys` `[S, 2]` those of the noise. `bias` is Adam's bias
    correction, where that has been computed already.
    """

    weights: Tensor
    rates: Tensor
    row: SheetRow
    moved: Mapping[str, Tensor]
    keys: Tensor
    bias: optimizers.BiasCorrection | None = None


@dataclass(frozen=True)
class Plan:
    """What the arms' schedules say at each step of a stretch of C steps.

    `active` are the K terms that count for any arm, `own` those of each arm; `references` is what they have captured. `columns` are
    those that every arm has or has a default for, `moved` the places among them of the optimizer's settings. `on` are the switches that
    are on for any arm, each with its rows of the stack. `weights` are `[C, S, K]`, `rates` `[C, S, 1]`, `rows` `[C, S, N]` the values of
    the columns, and `keys` `[C, S, 2]` those of the noise.
    """

    first: int
    active: tuple[str, ...]
    own: tuple[tuple[str, ...], ...]
    references: Mapping[str, Tensor]
    columns: tuple[str, ...]
    undefined: tuple[str, ...]
    moved: Mapping[str, int]
    on: Mapping[str, tuple[int, ...]]
    weights: Tensor
    rates: Tensor
    rows: Tensor
    keys: Tensor

    def at(self, step: int) -> Now:
        """Read one of the steps."""
        weights, rates, row, key = self._each[step - self.first]
        moved = {name: row[:, place : place + 1] for name, place in self.moved.items()}
        return Now(weights, rates, SheetRow(self.columns, row, self.undefined), moved, key)

    @cached_property
    def _each(self) -> list[tuple[Tensor, ...]]:
        return list(zip(*(values.unbind() for values in (self.weights, self.rates, self.rows, self.keys)), strict=True))

    def batch(self, tensors: Mapping[str, Tensor], now: Now) -> Batch:
        """Make the batch of a step of its tensors `[S, B, ...]`."""
        return Batch(tensors, now.row, self.references, self.active, self.on)


def draw(task: Task, state: State) -> Stretch:
    """Find the stretch that `state` is at the start of, or amid, and draw its batches."""
    steps = state.stretch or range(state.step, min(_end(task, arm.schedule, state.step) for arm in state.arms))
    joined = join_batches([task.batches(arm.schedule, steps, arm.seeds) for arm in state.arms])
    return Stretch(steps, {name: values.to(state.flat.device) for name, values in joined.items()})


def read_plan(task: Task, arms: Sequence[Arm], steps: range, start: int, settings: Optimizer, device: torch.device) -> Plan:
    """Read what the arms' schedules say at the steps of a stretch; which terms count is decided at step `start`."""
    own = tuple(_active(task, arm, start) for arm in arms)
    active = tuple(name for name in task.terms if any(name in names for names in own))
    weights = torch.cat([_weights(arm, active, names, steps) for arm, names in zip(arms, own, strict=True)], 1)
    rates = torch.cat([_columns(arm, [RATE], steps) for arm in arms], 1)
    moving = [name for name in optimizers.columns(settings) if any(name in arm.schedule.properties for arm in arms)]
    defaults = {**dict.fromkeys(task.terms, 0.0), **task.defaults(), **{name: optimizers.setting(settings, name) for name in moving}}
    names = [RATE, *task.terms, *task.controls, *moving]
    known = tuple(name for name in names if name in defaults or all(name in arm.schedule.properties for arm in arms))
    rows = torch.cat([_columns(arm, known, steps, defaults) for arm in arms], 1)
    noise = keys([seed for arm in arms for seed in arm.seeds], steps)
    return Plan(
        steps.start,
        active,
        own,
        _join_references(arms),
        known,
        tuple(name for name in names if name not in known),
        {name: known.index(name) for name in moving},
        _switched_on(task, arms, start, defaults),
        *(values.to(device) for values in (weights, rates, rows, noise)),
    )


def _end(task: Task, schedule: Schedule, start: int) -> int:
    """Find the step after `start` before which nothing changes but numbers: phase, actions, terms, switches, whole numbers."""
    end = min((start // LONGEST + 1) * LONGEST, schedule.phase_at(start).end + 1)
    end = min([end, *(step for step, _ in schedule.actions if step > start)])
    columns = [schedule.column(name)[start:end] != 0 for name in (*task.terms, *task.switches) if name in schedule.properties]
    columns += [np.round(schedule.column(name)[start:end]) for name in task.integers if name in schedule.properties]
    if columns:
        fixed = np.stack(columns, axis=1)
        changed = np.flatnonzero((fixed[1:] != fixed[:-1]).any(axis=1))
        if changed.size:
            end = start + 1 + int(changed[0])
    return end


def _active(task: Task, arm: Arm, step: int) -> tuple[str, ...]:
    """List the terms that count at a step: in the sheet, weight not 0, and what they need captured."""
    values = arm.schedule.at(step)
    known = (name for name in task.terms if values.get(name, 0.0) != 0)
    return tuple(name for name in known if name not in task.needs or task.needs[name] in arm.references)


def _switched_on(task: Task, arms: Sequence[Arm], step: int, defaults: Mapping[str, float]) -> dict[str, tuple[int, ...]]:
    """Find the switches that are on at a step, each with its rows of the stack."""
    found: dict[str, tuple[int, ...]] = {}
    for arm in arms:
        values = {**defaults, **arm.schedule.at(step)}
        for name in task.switches:
            if values[name] != 0:
                found[name] = (*found.get(name, ()), *range(arm.rows.start, arm.rows.stop))
    return found


def _columns(arm: Arm, names: Sequence[str], steps: range, defaults: Mapping[str, float] = NO_DEFAULTS) -> Tensor:
    """Read some columns of an arm's schedule for each of its seeds: `[C, S, K]`, float32."""
    own = slice(steps.start, steps.stop)
    columns = [arm.schedule.column(name)[own] if name in arm.schedule.properties else np.full(len(steps), defaults[name]) for name in names]
    values = torch.from_numpy(np.stack(columns, axis=1).astype(np.float32)) if columns else torch.empty(len(steps), 0)
    return values[:, None].expand(-1, len(arm.seeds), -1)


def _weights(arm: Arm, active: Sequence[str], own: Sequence[str], steps: range) -> Tensor:
    """Read the weights of the active terms: `[C, S, K]`, 0 for a term that only other arms have."""
    weights = torch.zeros(len(steps), len(arm.seeds), len(active))
    weights[:, :, [active.index(name) for name in own]] = _columns(arm, own, steps)
    return weights


def _join_references(arms: Sequence[Arm]) -> dict[str, Tensor]:
    """Stack the references of all arms; one that has not captured its own yet, and gives it no weight, has zeros."""
    captured = {name: value for arm in arms for name, value in arm.references.items()}
    return {
        name: torch.cat([arm.references.get(name, value.new_zeros(len(arm.seeds), *value.shape[1:])) for arm in arms])
        for name, value in captured.items()
    }
