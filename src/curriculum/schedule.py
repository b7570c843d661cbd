"""Compile a dopesheet into a schedule: the value of every property at every step.

A schedule is an array and the step is its only state. `retarget` returns a new schedule; nothing
here changes in place.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from curriculum.dopesheet import Dopesheet, Phase
from curriculum.errors import InputError, unknown
from curriculum.timing import EASINGS, SPACES, Array, Space, minimum_jerk_quintic

RATE = "lr"  # the property that every sheet has: the learning rate


@dataclass(frozen=True)
class Hold:
    """A stretch on which a property rests at `value`."""

    start: int
    end: int
    value: float

    def values(self, steps: Array) -> Array:
        return np.full(steps.shape, self.value)

    def motion(self, steps: Array) -> tuple[Array, Array]:
        return np.zeros_like(steps), np.zeros_like(steps)


@dataclass(frozen=True)
class Move:
    """The path from one key to the next."""

    start: int
    end: int
    first: float
    last: float
    space: str
    timing: str

    def values(self, steps: Array) -> Array:
        space = SPACES[self.space]
        progress = EASINGS[self.timing].progress((steps - self.start) / (self.end - self.start))
        y0, y1 = self._ends(space)
        # Both ends are weighted, so that ends of opposite sign and enormous size do not overflow.
        inner = (1 - progress) * y0 + progress * y1
        if EASINGS[self.timing].monotone:
            inner = np.clip(inner, min(y0, y1), max(y0, y1))
        with np.errstate(over="ignore"):  # a key at the very largest number may round up
            path = space.out(inner)
        if EASINGS[self.timing].monotone:
            path = np.clip(path, min(self.first, self.last), max(self.first, self.last))
        path = np.where(steps == self.start, self.first, path)
        return np.where(steps == self.end, self.last, path)

    def motion(self, steps: Array) -> tuple[Array, Array]:
        duration = self.end - self.start
        u = (steps - self.start) / duration
        y0, y1 = self._ends(SPACES[self.space])
        easing = EASINGS[self.timing]
        return easing.velocity(u) * (y1 - y0) / duration, easing.acceleration(u) * (y1 - y0) / duration**2

    def _ends(self, space: Space) -> tuple[np.float64, np.float64]:
        y0, y1 = space.into(np.array([self.first, self.last]))
        return y0, y1


@dataclass(frozen=True)
class Glide:
    """The path of a retarget: from a state of motion to rest at `last`."""

    start: int
    end: int
    first: float
    last: float
    space: str
    path: Polynomial

    def values(self, steps: Array) -> Array:
        path = SPACES[self.space].out(np.asarray(self.path((steps - self.start) / (self.end - self.start))))
        path = np.where(steps == self.start, self.first, path)
        return np.where(steps == self.end, self.last, path)

    def motion(self, steps: Array) -> tuple[Array, Array]:
        duration = self.end - self.start
        u = (steps - self.start) / duration
        return np.asarray(self.path.deriv()(u)) / duration, np.asarray(self.path.deriv(2)(u)) / duration**2


Piece = Hold | Move | Glide


@dataclass(frozen=True)
class Track:
    """How one property moves: its keys, and the pieces of its path from step 0 to the last.

    Where a retarget cuts a piece short, the two overlap and the later one counts.
    """

    name: str
    space: str
    timing: str
    keys: tuple[tuple[int, float], ...]
    pieces: tuple[Piece, ...]

    def values(self, steps: int) -> Array:
        """Compute the value at steps 0 to `steps` - 1: `[T]`."""
        return self._fill(steps, lambda piece, at: piece.values(at))

    def velocity(self, steps: int) -> Array:
        """Compute the velocity per step at every step, in the track's own space: `[T]`."""
        return self._fill(steps, lambda piece, at: piece.motion(at)[0])

    def acceleration(self, steps: int) -> Array:
        """Compute the acceleration per step^2 at every step, in the track's own space: `[T]`."""
        return self._fill(steps, lambda piece, at: piece.motion(at)[1])

    def motion_at(self, step: int) -> tuple[float, float]:
        """Read velocity and acceleration at a step, in the track's own space.

        On a key the motion is that of the piece which arrives there.
        """
        piece = next((p for p in reversed(self.pieces) if p.start < step), self.pieces[0])
        velocity, acceleration = piece.motion(np.array([float(step)]))
        return float(velocity[0]), float(acceleration[0])

    def _fill(self, steps: int, read: Callable[[Piece, Array], Array]) -> Array:
        out = np.empty(steps)
        for piece in self.pieces:
            at = np.arange(piece.start, min(piece.end + 1, steps), dtype=np.float64)
            if at.size:
                out[piece.start : piece.start + at.size] = read(piece, at)
        return out


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
        track = self._track(name)
        self._check_step(step)
        if not math.isfinite(duration) or duration != int(duration) or duration < 1:
            raise InputError(f"cannot retarget {name!r} in {duration} steps: the duration is a whole number of at least 1")
        if not np.isfinite(value) or (SPACES[track.space].positive and value <= 0):
            raise InputError(f"cannot retarget {name!r} to {value!r}: it lies outside the {track.space} space")
        first, end = float(self.values[step, self._index[name]]), step + int(duration)
        y0, y1 = SPACES[track.space].into(np.array([first, float(value)]))
        with np.errstate(over="ignore", invalid="ignore"):
            path = minimum_jerk_quintic(float(y0), *track.motion_at(step), float(y1), duration)
        glide = Glide(step, end, first, float(value), track.space, path)
        before = tuple(piece for piece in track.pieces if piece.start < step)
        later = tuple(key for key in track.keys if key[0] > end)
        after = _pieces(((end, float(value)), *later), track.space, track.timing, self.last_step)
        keys = (*(key for key in track.keys if key[0] < step), (step, first), (end, float(value)), *later)
        moved = Track(name, track.space, track.timing, keys, (*before, glide, *after))
        index = self._index[name]
        values = self.values.copy()
        with np.errstate(over="ignore", invalid="ignore"):
            values[step:, index] = moved.values(len(self))[step:]
        if not np.isfinite(values[step:, index]).all():
            raise InputError(f"cannot retarget {name!r} to {value!r} in {duration} steps: the path would leave the range of numbers")
        values.flags.writeable = False
        tracks = (*self.tracks[:index], moved, *self.tracks[index + 1 :])
        return dataclasses.replace(self, values=values, tracks=tracks)

    def truncate(self, steps: int) -> Schedule:
        """Cut the schedule after its first `steps` steps; the phase that is cut ends there.

        Raises `InputError` where fewer than 1 step would be left.
        """
        if steps < 1:
            raise InputError(f"cannot stop after {steps} steps: at least 1 is needed")
        if steps >= len(self):
            return self
        phases = tuple(Phase(p.name, p.start, min(p.end, steps - 1)) for p in self.phases if p.start < steps)
        actions = tuple(action for action in self.actions if action[0] < steps)
        return dataclasses.replace(self, values=self.values[:steps], phases=phases, actions=actions)

    def _track(self, name: str) -> Track:
        self.column(name)
        return self.tracks[self._index[name]]

    def _check_step(self, step: int) -> None:
        if step != int(step) or not 0 <= step < len(self):
            raise InputError(f"there is no step {step}: the run has the steps 0 to {self.last_step}")


def compile_sheet(sheet: Dopesheet) -> Schedule:
    """Compute the schedule of a sheet: `values[T, P]` for T = its last step + 1."""
    steps = sheet.last_step + 1
    tracks = []
    values = np.empty((steps, len(sheet.columns)))
    for index, column in enumerate(sheet.columns):
        keys = sheet.keys(column.name)
        pieces = _pieces(keys, column.space, column.timing, sheet.last_step)
        first_step, first_value = keys[0]
        rest = (Hold(0, first_step, first_value),) if first_step > 0 or not pieces else ()
        tracks.append(Track(column.name, column.space, column.timing, keys, (*rest, *pieces)))
        values[:, index] = tracks[-1].values(steps)
    values.flags.writeable = False
    return Schedule(sheet.properties, values, sheet.phases, sheet.actions, tuple(tracks))


def _pieces(keys: Sequence[tuple[int, float]], space: str, timing: str, last_step: int) -> tuple[Piece, ...]:
    """Join keys into moves, and hold the last one's value to the last step."""
    pieces: list[Piece] = [Move(start, end, first, last, space, timing) for (start, first), (end, last) in pairwise(keys)]
    end, value = keys[-1]
    if end < last_step:
        pieces.append(Hold(end, last_step, value))
    return tuple(pieces)


def frame_steps(steps: int, stride: int | None = None) -> list[int]:
    """Choose the steps of a run of `steps` steps that the video shows.

    Without a stride the pace quickens as training slows down: a position x starts at 0 and moves by
    max(1, 7.9236 ln(0.0005 round(x) + 1) + 1), unrounded, and frames are at round(x). The last step is always
    shown.
    """
    chosen: list[int] = []
    x = 0.0
    while round(x) < steps:
        chosen.append(round(x))
        x += stride if stride is not None else max(1.0, 7.9236 * math.log(0.0005 * round(x) + 1) + 1)
    if chosen[-1] != steps - 1:
        chosen.append(steps - 1)
    return chosen


class SmoothProp:
    """A value that follows its target on minimum-jerk paths, however often the target moves.

    Setting `value` sets a new target, `step` moves time on, and reading `value` gives the smoothed
    value. Each path starts from the present value, velocity and acceleration, and is at rest at
    its target after `transition_duration` steps.
    """

    def __init__(self, value: float, transition_duration: float, velocity: float = 0.0):
        """Start at `value`, moving at `velocity` per step (at rest by default).

        Raises `InputError` for a duration that is not greater than 0.
        """
        if not transition_duration > 0:
            raise InputError(f"a transition of {transition_duration} steps: the duration must be greater than 0")
        self.transition_duration = transition_duration
        self._state = (float(value), float(velocity), 0.0)
        self._target = float(value)
        self._path: Polynomial | None = None
        self._elapsed = 0.0

    @property
    def value(self) -> float:
        """The smoothed value now; setting it sets the target."""
        return self._state[0]

    @value.setter
    def value(self, target: float) -> None:
        y0, v0, a0 = self._state
        self._target = float(target)
        self._path = minimum_jerk_quintic(y0, v0, a0, self._target, self.transition_duration)
        self._elapsed = 0.0

    @property
    def target(self) -> float:
        return self._target

    @property
    def velocity(self) -> float:
        """The velocity now, per step."""
        return self._state[1]

    @property
    def acceleration(self) -> float:
        """The acceleration now, per step^2."""
        return self._state[2]

    def step(self, n: float = 1) -> float:
        """Move time on by `n` steps and return the value there."""
        if self._path is None:
            value, velocity, _ = self._state
            self._state = (value + velocity * n, velocity, 0.0)
            return self._state[0]
        duration = self.transition_duration
        self._elapsed += n
        u = self._elapsed / duration
        if u >= 1:
            self._state = (self._target, 0.0, 0.0)
        else:
            path = self._path
            self._state = (float(path(u)), float(path.deriv()(u)) / duration, float(path.deriv(2)(u)) / duration**2)
        return self._state[0]
