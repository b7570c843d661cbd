"""Check that a sheet fits what is trained: its columns, its values and its actions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from curriculum.errors import Problem, unknown
from curriculum.sheet.bounds import Bounds, allowed
from curriculum.sheet.document import Dopesheet
from curriculum.sheet.schedule import RATE
from curriculum.sheet.tracks import make_track


def check(
    sheet: Dopesheet, terms: Sequence[str], controls: Sequence[str], bounds: Mapping[str, Bounds], actions: Sequence[str]
) -> Iterator[Problem]:
    """Find what in a sheet does not fit, each with its place.

    `terms` and `controls` are the columns there may be next to the learning rate, `bounds` those of every column of the sheet, and
    `actions` are the actions that are handled.
    """
    strange = strange_columns(sheet, terms, controls)
    for name in strange:
        yield sheet.problem(unknown("property", name, [RATE, *terms, *controls]), cell=name)
    if RATE not in sheet.properties:
        yield sheet.problem(f"no column {RATE!r}: a sheet must set the learning rate")
    elif not strange and not any(term in sheet.properties for term in terms):
        yield sheet.problem(f"no loss term: add a column for one of {', '.join(terms)}")
    for column in sheet.columns:
        low, high = bounds[column.name]
        timings = [column.timing, *sheet.own_timings(column.name).values()]
        free = [timing for timing in timings if not sheet.easing(timing).monotone]
        if free:  # the keys alone do not say where the values are
            values = make_track(sheet, column).values(sheet.last_step + 1)
            outside = np.flatnonzero(~(np.isfinite(values) & (low <= values) & (values <= high)))
            if len(outside):
                step = int(outside[0])
                message = f"the timing {free[0]!r} leads {column.name} to {values[step]:.6g} at step {step:,}, outside its bounds"
                yield sheet.problem(f"{message} (allowed: {allowed(bounds[column.name])})", cell=column.name)
    for row in sheet.rows:
        for name, value in row.values.items():
            if not bounds[name][0] <= value <= bounds[name][1]:
                yield sheet.problem(f"{name}: {value:.15g} is outside its bounds (allowed: {allowed(bounds[name])})", row, name)
        for name in row.actions:
            if name not in actions:
                yield sheet.problem(f"no task or hook handles this action: {unknown('action', name, actions)}", row, "ACTION")


def strange_columns(sheet: Dopesheet, terms: Sequence[str], controls: Sequence[str]) -> list[str]:
    """List the columns of a sheet that are none of those there may be."""
    return [name for name in sheet.properties if name not in (RATE, *terms, *controls)]
