"""Replace the keys of a sheet's columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from curriculum.sheet.document import Column, Dopesheet, Row

HELD = "step-end"  # the timing of a column that has a key wherever its value changes
Keys = Sequence[tuple[int, float]]


def held(sheet: Dopesheet, columns: Mapping[str, NDArray[np.float64]]) -> Dopesheet:
    """Give columns these values `[T]` at every step, by keys at which they jump."""
    if not columns:
        return sheet
    keys = {}
    for name, values in columns.items():
        changes = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist()]
        keys[name] = [(step, float(values[step])) for step in changes]
    timed = tuple(Column(column.name, timing=HELD) if column.name in columns else column for column in sheet.columns)
    return with_keys(replace(sheet, columns=timed), keys)


def with_keys(
    sheet: Dopesheet,
    keys: Mapping[str, Keys],
    actions: Mapping[int, tuple[str, ...]] | None = None,
    timings: Mapping[str, Mapping[int, str]] | None = None,
) -> Dopesheet:
    """Replace all keys of some columns, with the `timings` of their own by column and step, and add `actions` at steps.

    Rows that are left without any cell go, but for the last, which says how long the sheet is.
    """
    rows: dict[int, Row] = {}
    for row in sheet.rows:
        values = {name: value for name, value in row.values.items() if name not in keys}
        own = {name: timing for name, timing in row.timings.items() if name not in keys}
        same = rows.get(row.step, Row(str(row.step), row.step))  # a step may have several rows
        phase = same.phase if row.phase is None else row.phase
        rows[row.step] = replace(
            same, phase=phase, actions=same.actions + row.actions, values={**same.values, **values}, timings={**same.timings, **own}
        )
    for name, placed in keys.items():
        reached = (timings or {}).get(name, {})
        for step, value in placed:
            row = rows.get(step, Row(str(step), step))
            told = {name: reached[step]} if step in reached else {}
            rows[step] = replace(row, values={**row.values, name: value}, timings={**row.timings, **told})
    for step, names in (actions or {}).items():
        row = rows.get(step, Row(str(step), step))
        rows[step] = replace(row, actions=row.actions + names)
    kept = [rows[step] for step in sorted(rows)]
    return replace(sheet, rows=tuple(row for row in kept if row.values or row.actions or row.phase or row is kept[-1]))
