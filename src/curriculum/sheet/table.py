"""Timings of a user's own as tables: sampled once, so that nobody needs their code to read a sheet again.

A table stands in the sheet's text, in a comment: `#timing ./ease.py:spring DATA`. All that follows is computed from it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from curriculum.sheet.easings import Array, Curve, Easing

MARK = "#timing "
ACCURATE = 1e-9  # how far a table may be from its function, in parts of the way from key to key
MOST_KNOTS = 20_000
FIRST_KNOTS = 257
LARGEST = 1e6  # of a value: what overshoots further is a mistake
NARROWEST = 1e-40  # of the distance between two knots
ROUNDS = 100  # of halving an interval: enough to enclose a jump between two neighboring numbers
APART = 1e-6  # in u, for numerical slopes


class TimingError(ValueError):
    """What is wrong with a function as a timing, or with the text of a table."""


@dataclass(frozen=True, eq=False)
class Table:
    """A curve from 0 to 1 as piecewise cubics: `knots` `[K]` in u, and the value and the slope at each `[K]`."""

    knots: Array
    values: Array
    slopes: Array

    @cached_property
    def easing(self) -> Easing:
        """The timing that this is the table of."""
        rises = bool((np.diff(self.values) >= 0).all() and self.values.min() >= 0 and self.values.max() <= 1)
        progress, velocity, acceleration = (partial(self._evaluate, order=order) for order in (0, 1, 2))
        return Easing(progress, velocity, acceleration, rises)

    def _evaluate(self, u: Array, order: int) -> Array:
        """Evaluate the cubic Hermite interpolant, or its first or second derivative."""
        left = np.clip(np.searchsorted(self.knots, u, side="right") - 1, 0, len(self.knots) - 2)
        width = self.knots[left + 1] - self.knots[left]
        t = (u - self.knots[left]) / width
        basis = (
            (2 * t**3 - 3 * t**2 + 1, t**3 - 2 * t**2 + t, 3 * t**2 - 2 * t**3, t**3 - t**2),
            (6 * t**2 - 6 * t, 3 * t**2 - 4 * t + 1, 6 * t - 6 * t**2, 3 * t**2 - 2 * t),
            (12 * t - 6, 6 * t - 4, 6 - 12 * t, 6 * t - 2),
        )[order]
        ends = (self.values[left], self.slopes[left] * width, self.values[left + 1], self.slopes[left + 1] * width)
        found = sum(factor * end for factor, end in zip(basis, ends, strict=True))
        return np.asarray(found / width**order, dtype=np.float64)


def tabulate(function: Curve) -> Table:
    """Sample a function of u `[N]` in [0, 1] to progress `[N]` as accurately as `ACCURATE`, jumps and kinks included.

    Raises `TimingError` if it does not go from 0 to 1, gives something else than finite numbers of that shape, or changes too
    fast for `MOST_KNOTS` knots.
    """
    knots = np.linspace(0, 1, FIRST_KNOTS)
    start, end = _call(function, np.array([0.0, 1.0])).tolist()
    for u, value in ((0, start), (1, end)):
        if abs(value - u) > ACCURATE:
            raise TimingError(f"it is {value:.9g} at u = {u}, but must be {u} there")
    for _ in range(ROUNDS):
        table = Table(knots, _call(function, knots), _slopes(function, knots))
        low, high = knots[:-1], knots[1:]
        inside = low + (high - low) * np.array([[0.25], [0.5], [0.75]])
        missed = np.abs(_call(function, inside.ravel()) - table.easing.progress(inside.ravel())).reshape(inside.shape).max(axis=0)
        middle = inside[1]
        more = middle[(missed > ACCURATE) & (low < middle) & (middle < high)]
        if not len(more):
            break
        knots = np.sort(np.concatenate([knots, more]))
        if len(knots) > MOST_KNOTS:
            raise TimingError(f"it changes too fast near u = {float(more[0]):.6g} to be stored in {MOST_KNOTS:,} numbers")
    return table


def table_line(name: str, table: Table) -> str:
    """Write a table as a line of a sheet, without the line's end."""
    data = np.stack([table.knots, table.values, table.slopes]).astype("<f8").tobytes()
    return f"{MARK}{name} {base64.b64encode(data).decode()}"


def tables_in(text: str) -> dict[str, Callable[[], Table]]:
    """Find the tables in a sheet's text, by the names of their timings; each is read when it is called.

    That raises `TimingError` for a damaged one.
    """
    lines = [line.removeprefix(MARK).rpartition(" ") for line in text.splitlines() if line.startswith(MARK)]
    return {name: partial(_read, data) for name, _, data in lines}


def _read(data: str) -> Table:
    try:
        found = np.frombuffer(base64.b64decode(data, validate=True), "<f8").astype(np.float64)
    except (binascii.Error, ValueError):
        raise TimingError("its table is damaged") from None
    if len(found) % 3 or not 6 <= len(found) <= 3 * MOST_KNOTS:
        raise TimingError("its table is damaged")
    knots, values, slopes = found.reshape(3, -1)
    if not np.isfinite(found).all() or knots[0] != 0 or knots[-1] != 1 or not (np.diff(knots) > NARROWEST).all():
        raise TimingError("its table is damaged")
    with np.errstate(over="ignore"):
        rises = np.abs(slopes[:-1] * np.diff(knots)), np.abs(slopes[1:] * np.diff(knots))
    if (np.abs(values) > LARGEST).any() or (np.maximum(*rises) > LARGEST / APART).any():
        raise TimingError("its table is damaged")
    return Table(knots, values, slopes)


def _call(function: Curve, u: Array) -> Array:
    found = np.asarray(function(u.copy()))
    if found.shape != u.shape or found.dtype.kind not in "fiu":
        raise TimingError(f"it must turn an array u [{len(u)}] into numbers of that shape, but gave {found.dtype} {list(found.shape)}")
    wrong = np.flatnonzero(~(np.abs(found) <= LARGEST))
    if len(wrong):
        raise TimingError(f"it is {found[wrong[0]]:.6g} at u = {u[wrong[0]]:.6g}")
    return found.astype(np.float64)


def _slopes(function: Curve, knots: Array) -> Array:
    """Compute slopes by differences on both sides; where these disagree, at a kink or a jump, the smaller one counts."""
    apart = np.minimum(np.diff(knots) / 4, APART)
    before, after = knots - np.append(apart[0], apart), knots + np.append(apart, apart[-1])
    before[0], after[-1] = knots[0], knots[-1]
    here = _call(function, knots)
    with np.errstate(invalid="ignore"):
        left = (here - _call(function, before)) / (knots - before)
        right = (_call(function, after) - here) / (after - knots)
    left, right = np.where(before < knots, left, right), np.where(knots < after, right, left)
    smooth = np.abs(left - right) <= 1e-3 * (1 + np.abs(left) + np.abs(right))
    slopes = np.where(smooth, (left + right) / 2, np.where(np.abs(left) < np.abs(right), left, right))
    return np.where(np.isfinite(slopes), slopes, 0.0)
