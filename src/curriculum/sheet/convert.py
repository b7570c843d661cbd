"""Make one sheet of another: with other timings, a column held constant, shuffled, reversed or multiplied, or in another number of steps.

Control arms come from here: a schedule may help by what it does on the whole, and not by the order in which it does it. Keys are kept
where they can say the same; else a column gets a key at every step at which its value changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from curriculum.errors import InputError, unknown
from curriculum.sheet.document import Dopesheet
from curriculum.sheet.easings import ALIASES, EASINGS
from curriculum.sheet.keys import held, with_keys
from curriculum.sheet.schedule import compile_sheet

CLOSE = 1e-9  # of a column's range: two paths that differ by less are the same


def retimed(sheet: Dopesheet, timing: str, names: Iterable[str] = ()) -> Dopesheet:
    """Give columns another timing, with the same keys; all of them where no `names` are given.

    Raises `InputError` for a timing or a column that there is not.
    """
    chosen = ALIASES.get(timing, timing)
    if chosen not in EASINGS and chosen not in sheet.tables:
        raise InputError(unknown("timing", timing, [*EASINGS, *ALIASES, *sheet.tables]))
    wanted = [_known(sheet, name) for name in names] or list(sheet.properties)
    columns = tuple(replace(column, timing=chosen) if column.name in wanted else column for column in sheet.columns)
    return with_keys(replace(sheet, columns=columns), {name: sheet.keys(name) for name in wanted})


def constant(sheet: Dopesheet, name: str) -> Dopesheet:
    """Hold a column at its mean over all steps. Raises `InputError` for a column that there is not."""
    mean = float(compile_sheet(sheet).column(_known(sheet, name)).mean())
    return with_keys(sheet, {name: [(0, mean)]})


def shuffled(sheet: Dopesheet, name: str, seed: int) -> Dopesheet:
    """Give a column the same values in a random order: each step gets the value of another.

    Raises `InputError` for a column that there is not.
    """
    values = compile_sheet(sheet).column(_known(sheet, name))
    return held(sheet, {name: np.random.default_rng(seed).permutation(values)})


def reversed_in_time(sheet: Dopesheet, names: Iterable[str] = ()) -> Dopesheet:
    """Let columns run backwards, all of them where no `names` are given; phases and actions stay where they are.

    Raises `InputError` for a column that there is not.
    """
    schedule, last = compile_sheet(sheet), sheet.last_step
    wanted = [_known(sheet, name) for name in names] or list(sheet.properties)
    turned = {name: [(last - step, value) for step, value in reversed(sheet.keys(name))] for name in wanted}
    for keys in turned.values():
        if keys and keys[0][0] != 0:  # it rested at its last key until the end
            keys.insert(0, (0, keys[0][1]))
    found = with_keys(sheet, turned)
    made = compile_sheet(found)
    expected = {name: schedule.column(name)[::-1] for name in wanted}
    return held(found, {name: values for name, values in expected.items() if not _same(made.column(name), values)})


def multiplied(sheet: Dopesheet, name: str, factor: float) -> Dopesheet:
    """Multiply all keys of a column by a factor. Raises `InputError` for a column that there is not, or a factor that is not above 0."""
    if not 0 < factor < np.inf:
        raise InputError(f"cannot multiply {name!r} by {factor:g}: a factor is a number above 0")
    keys = [(step, value * factor) for step, value in sheet.keys(_known(sheet, name))]
    return with_keys(sheet, {name: keys}, timings={name: sheet.own_timings(name)})


def scaled(sheet: Dopesheet, steps: int) -> Dopesheet:
    """Stretch or shrink a sheet to a number of steps.

    Each row moves to the nearest step; rows of different steps stay at least one step apart. Raises `InputError` where the sheet has
    rows at more steps than that.
    """
    distinct = sorted({row.step for row in sheet.rows})
    if steps < max(2, len(distinct)):
        raise InputError(f"{sheet.source} has rows at {len(distinct)} steps: it cannot be scaled to {steps:,}")
    factor = (steps - 1) / max(1, sheet.last_step)
    moved = [round(step * factor) for step in distinct]
    for place in range(1, len(moved)):
        moved[place] = max(moved[place], moved[place - 1] + 1)
    moved[-1] = steps - 1
    for place in reversed(range(len(moved) - 1)):
        moved[place] = min(moved[place], moved[place + 1] - 1)
    at = dict(zip(distinct, moved, strict=True))
    return replace(sheet, rows=tuple(replace(row, step=at[row.step], written=str(at[row.step])) for row in sheet.rows))


def _known(sheet: Dopesheet, name: str) -> str:
    if name not in sheet.properties:
        raise InputError(f"{sheet.source}: {unknown('column', name, sheet.properties)}")
    return name


def _same(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    return bool(np.abs(first - second).max() <= CLOSE * max(np.ptp(second), np.abs(second).max()))
