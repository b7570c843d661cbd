"""The columns that the E2C task reads beside its loss terms: what may stand in them, and what does where they are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from curriculum.errors import CurriculumError, Problem
from curriculum.sheet.document import Dopesheet
from curriculum.sheet.schedule import Schedule
from curriculum.tasks.e2c.worlds import World

LARGEST, RHO, HORIZON = "max-step", "rho", "horizon"
DEFAULTS = {RHO: 1.0, HORIZON: 1.0}
HORIZON_ALLOWED = 64
Refusals = Mapping[str, Callable[[float], str | None]]


def refusals(world: World) -> Refusals:
    """Give for each column what says why a value cannot be trained with; None where it can."""
    return {LARGEST: world.refusal, RHO: _refuse_rho, HORIZON: _refuse_horizon}


def problems(sheet: Dopesheet, refused: Refusals) -> Iterator[Problem]:
    """Find what in these columns of a sheet cannot be trained, each at its cell."""
    if LARGEST not in sheet.properties:
        yield sheet.problem(f"no column {LARGEST!r}: a sheet says how large actions are")
    for row in sheet.rows:
        for name in refused.keys() & row.values.keys():
            if found := refused[name](row.values[name]):
                yield sheet.problem(f"{name}: {found}", row.line, name)


def read(schedule: Schedule, name: str, steps: range, refused: Refusals) -> NDArray[np.float64]:
    """Read a column at some steps: `[C]`. Raises `CurriculumError` where a hook has moved it out of its range."""
    if name not in schedule.properties:
        return np.full(len(steps), DEFAULTS[name])
    values = schedule.column(name)[steps.start : steps.stop]
    for value, place in zip(*np.unique(values, return_index=True), strict=True):
        if found := refused[name](float(value)):
            raise CurriculumError(f"step {steps[int(place)]} cannot be trained: {name}: {found}")
    return values


def _refuse_rho(rho: float) -> str | None:
    return None if 0 <= rho <= 1 else f"{rho:g} is no mixture of the two variants (0 re-sampled, 1 re-parameterized, or between)"


def _refuse_horizon(horizon: float) -> str | None:
    if 1 <= round(horizon) <= HORIZON_ALLOWED:
        return None
    return f"{horizon:g} is no number of steps to predict (1 to {HORIZON_ALLOWED})"
