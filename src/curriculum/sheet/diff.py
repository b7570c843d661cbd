"""What differs between two dopesheets: keys, curves, and the values at the ends of phases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from curriculum.sheet.document import Column, Dopesheet
from curriculum.sheet.schedule import Schedule, compile_sheet

SAME = 1e-12  # of the larger peak: two curves that differ by less agree


@dataclass(frozen=True)
class KeyChange:
    """One difference in a property's keys.

    `kind` is added, removed, moved (same value, other step) or changed (same step, other value); a side
    that has no such key has None.
    """

    kind: str
    property: str
    step_a: int | None
    value_a: float | None
    step_b: int | None
    value_b: float | None


@dataclass(frozen=True)
class CurveDiff:
    """How far apart a property's two curves are.

    `area` is the sum over the common steps of their distance, `largest` the largest distance, first at
    `step`; `share` is the mean distance in parts of the range of both curves.
    """

    property: str
    area: float
    share: float
    largest: float
    step: int


@dataclass(frozen=True)
class PhaseEnd:
    """Where a phase of either sheet ends, and which properties have the same value there in both."""

    step: int
    phase_a: str
    phase_b: str
    agree: tuple[str, ...]
    differ: tuple[str, ...]


@dataclass(frozen=True)
class SheetDiff:
    """All differences of sheet B from sheet A. `only_a` and `only_b` are properties of one sheet alone."""

    identical: bool
    steps: tuple[int, int]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    timings: tuple[tuple[str, str, str], ...]
    keys: tuple[KeyChange, ...]
    curves: tuple[CurveDiff, ...]
    phase_ends: tuple[PhaseEnd, ...]


def diff_sheets(a: Dopesheet, b: Dopesheet, steps: int | None = None) -> SheetDiff:
    """Compare two sheets, or their first `steps` steps: the keys as they are written, the curves as they are compiled."""
    first, second = compile_sheet(a), compile_sheet(b)
    if steps is not None:
        first, second = first.truncate(steps), second.truncate(steps)
    common = [name for name in a.properties if name in b.properties]
    by_a, by_b = ({column.name: column for column in sheet.columns} for sheet in (a, b))
    headers = [(name, by_a[name], by_b[name]) for name in common if by_a[name] != by_b[name]]
    keys = tuple(change for name in common for change in _key_changes(name, a.keys(name), b.keys(name)))
    only_a = tuple(name for name in a.properties if name not in b.properties)
    only_b = tuple(name for name in b.properties if name not in a.properties)
    same_plan = a.phases == b.phases and a.actions == b.actions and len(first) == len(second)
    curves = tuple(_curve_diff(name, first, second) for name in common)
    return SheetDiff(
        identical=same_plan and not (only_a or only_b or keys or headers) and all(curve.largest == 0 for curve in curves),
        steps=(len(first), len(second)),
        only_a=only_a,
        only_b=only_b,
        timings=(
            *((name, f"{x.space} {x.timing}", f"{y.space} {y.timing}") for name, x, y in headers),
            *(change for name in common for change in _own_timings(name, a, b, by_a[name], by_b[name])),
        ),
        keys=keys,
        curves=curves,
        phase_ends=_phase_ends(first, second, common),
    )


def _key_changes(name: str, a: Sequence[tuple[int, float]], b: Sequence[tuple[int, float]]) -> list[KeyChange]:
    at_a, at_b = dict(a), dict(b)
    changes = [KeyChange("changed", name, step, value, step, at_b[step]) for step, value in a if step in at_b and at_b[step] != value]
    gone = [(step, value) for step, value in a if step not in at_b]
    come = [(step, value) for step, value in b if step not in at_a]
    for step, value in gone:
        # A key of the same value is the same key at another step; the nearest one is taken.
        twins = [key for key in come if key[1] == value]
        if twins:
            twin = min(twins, key=lambda key: abs(key[0] - step))
            come.remove(twin)
            changes.append(KeyChange("moved", name, step, value, twin[0], value))
        else:
            changes.append(KeyChange("removed", name, step, value, None, None))
    changes += [KeyChange("added", name, None, None, step, value) for step, value in come]
    return sorted(changes, key=lambda change: change.step_a if change.step_a is not None else change.step_b or 0)


def _own_timings(name: str, a: Dopesheet, b: Dopesheet, column_a: Column, column_b: Column) -> Iterator[tuple[str, str, str]]:
    """Find the keys of both sheets that are reached on a timing of their own in one of them, and on another one in the other."""
    own_a, own_b = a.own_timings(name), b.own_timings(name)
    both = {step for step, _ in a.keys(name)} & {step for step, _ in b.keys(name)}
    for step in sorted(both & (own_a.keys() | own_b.keys())):
        timings = own_a.get(step, column_a.timing), own_b.get(step, column_b.timing)
        if timings[0] != timings[1]:
            yield f"{name} at step {step}", *timings


def _curve_diff(name: str, a: Schedule, b: Schedule) -> CurveDiff:
    length = min(len(a), len(b))
    x, y = a.column(name)[:length], b.column(name)[:length]
    distance = np.abs(x - y)
    spread = max(x.max(), y.max()) - min(x.min(), y.min())
    share = float((distance / spread).mean()) if spread > 0 else 0.0
    worst = int(distance.argmax())
    return CurveDiff(name, float(distance.sum()), share, float(distance[worst]), worst)


def _phase_ends(a: Schedule, b: Schedule, names: Sequence[str]) -> tuple[PhaseEnd, ...]:
    last = min(a.last_step, b.last_step)
    steps = sorted({phase.end for schedule in (a, b) for phase in schedule.phases if phase.end <= last})
    ends = []
    for step in steps:
        peaks = {name: max(np.abs(a.column(name)).max(), np.abs(b.column(name)).max()) for name in names}
        agree = tuple(name for name in names if abs(a.at(step)[name] - b.at(step)[name]) <= SAME * peaks[name])
        differ = tuple(name for name in names if name not in agree)
        ends.append(PhaseEnd(step, a.phase_at(step).name, b.phase_at(step).name, agree, differ))
    return tuple(ends)
