"""How one property moves: the pieces of its path, from key to key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.polynomial import Polynomial

from curriculum.sheet.document import Column, Dopesheet
from curriculum.sheet.easings import SPACES, Array, Easing, Space, minimum_jerk_quintic


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
    easing: Easing = field(compare=False, repr=False)

    def values(self, steps: Array) -> Array:
        space = SPACES[self.space]
        progress = self.easing.progress((steps - self.start) / (self.end - self.start))
        y0, y1 = self._ends(space)
        # Both ends are weighted, so that ends of opposite sign and enormous size do not overflow.
        inner = (1 - progress) * y0 + progress * y1
        if self.easing.monotone:
            inner = np.clip(inner, min(y0, y1), max(y0, y1))
        with np.errstate(over="ignore"):  # a key at the very largest number may round up
            path = space.out(inner)
        if self.easing.monotone:
            path = np.clip(path, min(self.first, self.last), max(self.first, self.last))
        path = np.where(steps == self.start, self.first, path)
        return np.where(steps == self.end, self.last, path)

    def motion(self, steps: Array) -> tuple[Array, Array]:
        duration = self.end - self.start
        u = (steps - self.start) / duration
        y0, y1 = self._ends(SPACES[self.space])
        return self.easing.velocity(u) * (y1 - y0) / duration, self.easing.acceleration(u) * (y1 - y0) / duration**2

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
Own = Mapping[int, tuple[str, Easing]]


@dataclass(frozen=True)
class Track:
    """How one property moves: its keys, and the pieces of its path from step 0 to the last.

    `own` are the timings on which single keys are reached, by the step of the key. Where a retarget cuts a piece short, the two
    overlap and the later one counts.
    """

    name: str
    space: str
    timing: str
    easing: Easing = field(compare=False, repr=False)
    keys: tuple[tuple[int, float], ...]
    pieces: tuple[Piece, ...]
    own: Own = field(default_factory=dict)

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

    def retarget(self, step: int, first: float, target: float, duration: int, last_step: int) -> Track:
        """Leave the path at `step`, where its value is `first`, and come to rest at a target after `duration` steps.

        Keys within that time are dropped; later ones are still reached.
        """
        end = step + duration
        y0, y1 = SPACES[self.space].into(np.array([first, target]))
        path = minimum_jerk_quintic(float(y0), *self.motion_at(step), float(y1), duration)
        earlier, later = (key for key in self.keys if key[0] < step), tuple(key for key in self.keys if key[0] > end)
        pieces = (
            *(piece for piece in self.pieces if piece.start < step),
            Glide(step, end, first, target, self.space, path),
            *_join(((end, target), *later), self.space, (self.timing, self.easing), self.own, last_step),
        )
        return replace(self, keys=(*earlier, (step, first), (end, target), *later), pieces=pieces)

    def _fill(self, steps: int, read: Callable[[Piece, Array], Array]) -> Array:
        out = np.empty(steps)
        for piece in self.pieces:
            at = np.arange(piece.start, min(piece.end + 1, steps), dtype=np.float64)
            if at.size:
                out[piece.start : piece.start + at.size] = read(piece, at)
        return out


def make_track(sheet: Dopesheet, column: Column) -> Track:
    """Make the track of a column of a sheet from its timing and its keys: it rests before the first and after the last."""
    easing, keys = sheet.easing(column.timing), sheet.keys(column.name)
    own = {step: (timing, sheet.easing(timing)) for step, timing in sheet.own_timings(column.name).items()}
    pieces = _join(keys, column.space, (column.timing, easing), own, sheet.last_step)
    first_step, first_value = keys[0]
    rest = (Hold(0, first_step, first_value),) if first_step > 0 or not pieces else ()
    return Track(column.name, column.space, column.timing, easing, keys, (*rest, *pieces), own)


def _join(keys: Sequence[tuple[int, float]], space: str, usual: tuple[str, Easing], own: Own, last_step: int) -> tuple[Piece, ...]:
    """Join keys into moves, each on the timing of the key that it reaches, and hold the last one's value to the last step."""
    pieces: list[Piece] = [Move(start, end, first, last, space, *own.get(end, usual)) for (start, first), (end, last) in pairwise(keys)]
    end, value = keys[-1]
    if end < last_step:
        pieces.append(Hold(end, last_step, value))
    return tuple(pieces)
