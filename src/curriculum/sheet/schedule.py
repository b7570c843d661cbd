"""Compile a dopesheet into a schedule: the value of every property at every step.

A schedule is an array and the step is its only state. `retarget` returns a new schedule; nothing
here changes in place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from curriculum.errors import InputError, unknown
from curriculum.sheet.document import Dopesheet, Phase, Row
from curriculum.sheet.easings import SPACES, Array
from curriculum.sheet.from_values import Scheduler, Values, from_values, held_sheet, played
from curriculum.sheet.tracks import Track, make_track

RATE = "lr"  # the property that every sheet has: the learning rate


@dataclass(frozen=True)
class Schedule:
    """The value of every property at every step, with the phases and actions of training.

    `values` is `[T, P]`, float64 and read-only, in the order of `properties`. `actions` are
    (step, name) in the order in which they fire.
    """

    properties: tuple[str, ...]
    values: NDArray[np.float64]
    phases: tuple[Phase, ...]
    actions: tuple[tuple[int, str], ...]
    tracks: tuple[Track, ...]

    @classmethod
    def from_values(cls, columns: Mapping[str, Values], steps: int | None = None) -> Schedule:
        """Make a schedule of the values of columns: a mapping or a pandas table.

        Each column is an array `[T]`, one number for all steps, or a function of the step; `steps` is T where no column is an array.
        Raises `InputError` for arrays of different lengths, and values that are not finite.
        """
        return compile_sheet(from_values(columns, steps))

    @classmethod
    def from_torch(cls, scheduler: Scheduler, steps: int) -> Schedule:
        """Make a schedule of what a PyTorch learning rate scheduler does in so many steps: a known baseline.

        Its optimizer's groups become `lr`, or `lr@NAME` where groups with names have different rates. A momentum that moves becomes
        `momentum`. The scheduler and its optimizer are as before afterwards. Raises `InputError` for one that waits for a metric, and
        for groups with different rates that have no names.
        """
        return compile_sheet(from_values(played(scheduler, steps), steps))

    @cached_property
    def sheet(self) -> Dopesheet:
        """The schedule as a sheet with a key wherever a value changes: it compiles to the same values.

        A schedule that was compiled from a sheet has other, fewer keys there.
        """
        made = held_sheet(dict(zip(self.properties, self.values.T, strict=True)))
        rows = {row.step: row for row in made.rows}
        for phase in self.phases:
            rows[phase.start] = replace(rows.get(phase.start, Row(str(phase.start), phase.start)), phase=phase.name or None)
        for step, name in self.actions:
            row = rows.get(step, Row(str(step), step))
            rows[step] = replace(row, actions=(*row.actions, name))
        return replace(made, rows=tuple(rows[step] for step in sorted(rows)))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def last_step(self) -> int:
        return len(self) - 1

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.properties)}

    def column(self, name: str) -> Array:
        """Read the values of one property over all steps: `[T]`.

        Raises `InputError` for a property that the sheet does not have.
        """
        if name not in self._index:
            raise InputError(unknown("property", name, self.properties))
        return self.values[:, self._index[name]]

    def at(self, step: int) -> dict[str, float]:
        """Read the value of every property at one step."""
        self._check_step(step)
        return dict(zip(self.properties, self.values[step].tolist(), strict=True))

    def phase_at(self, step: int) -> Phase:
        """Find the phase that a step belongs to."""
        self._check_step(step)
        return next(phase for phase in self.phases if phase.start <= step <= phase.end)

    def actions_at(self, step: int) -> tuple[str, ...]:
        """List the actions that fire at a step, in order."""
        return tuple(name for at, name in self.actions if at == step)

    def velocity(self, name: str) -> Array:
        """Compute a property's velocity per step, in its own space: `[T]`."""
        return self._track(name).velocity(len(self))

    def acceleration(self, name: str) -> Array:
        """Compute a property's acceleration per step^2, in its own space: `[T]`."""
        return self._track(name).acceleration(len(self))

    def retarget(self, name: str, step: int, value: float, duration: int) -> Schedule:
        """Move a property to a new target from a step on, without a jump in its motion.

        The path starts at `step` from the property's value, velocity and acceleration there, in
        its own space, and is at rest at `value` after `duration` steps (minimum-jerk quintic). The
        property's keys within that time are dropped; later keys are still reached, from the new
        target and on the property's own timing.

        Returns a new schedule. Raises `InputError` for an unknown property, a step outside the
        run, a duration below 1, or a value outside the property's space.
        """
        track, index = self._track(name), self._index[name]
        self._check_step(step)
        if not math.isfinite(duration) or duration != int(duration) or duration < 1:
            raise InputError(f"cannot retarget {name!r} in {duration} steps: the duration must be a whole number of at least 1")
        if not np.isfinite(value) or (SPACES[track.space].positive and value <= 0):
            raise InputError(f"cannot retarget {name!r} to {value!r}: the value is outside the {track.space} space")
        values = self.values.copy()
        with np.errstate(over="ignore", invalid="ignore"):
            moved = track.retarget(step, float(values[step, index]), float(value), int(duration), self.last_step)
            values[step:, index] = moved.values(len(self))[step:]
        if not np.isfinite(values[step:, index]).all():
            raise InputError(f"cannot retarget {name!r} to {value!r} in {duration} steps: the path would exceed the range of numbers")
        values.flags.writeable = False
        tracks = (*self.tracks[:index], moved, *self.tracks[index + 1 :])
        return replace(self, values=values, tracks=tracks)

    def truncate(self, steps: int) -> Schedule:
        """Cut the schedule after its first `steps` steps; the phase that is cut ends there.

        Raises `InputError` where fewer than 1 step would be left.
        """
        if steps < 1:
            raise InputError(f"cannot train {steps} steps: at least 1 is needed")
        if steps >= len(self):
            return self
        phases = tuple(Phase(p.name, p.start, min(p.end, steps - 1)) for p in self.phases if p.start < steps)
        actions = tuple(action for action in self.actions if action[0] < steps)
        return replace(self, values=self.values[:steps], phases=phases, actions=actions)

    def _track(self, name: str) -> Track:
        self.column(name)
        return self.tracks[self._index[name]]

    def _check_step(self, step: int) -> None:
        if step != int(step) or not 0 <= step < len(self):
            raise InputError(f"step {step} does not exist: the steps are 0 to {self.last_step}")


def compile_sheet(sheet: Dopesheet) -> Schedule:
    """Compute the schedule of a sheet: `values[T, P]` for T = its last step + 1."""
    steps = sheet.last_step + 1
    tracks = tuple(make_track(sheet, column) for column in sheet.columns)
    values = np.empty((steps, len(tracks)))
    for index, track in enumerate(tracks):
        values[:, index] = track.values(steps)
    values.flags.writeable = False
    return Schedule(sheet.properties, values, sheet.phases, sheet.actions, tracks)
