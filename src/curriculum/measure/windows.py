"""The steps over which runs are compared: whole runs, and partitions at the same absolute steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from curriculum.sheet.schedule import RATE, Schedule

AFTER = 200  # steps after a phase start, or after a property moved, that still count as affected by it
MOVED = 0.05  # a property moves where it changes by this share of its range over both sheets
NO_PHASES = 0.05  # of the run is left out where no phase says how long the first descent takes
Mask = NDArray[np.bool_]


def first_step(schedules: Sequence[Schedule]) -> int:
    """Find t0, where measuring starts: the end of the first phase, by name, of the sheet where it lasts longest.

    Before it the first descent is nearly all the variance there is.
    """
    ends = []
    for schedule in schedules:
        name = schedule.phases[0].name
        ends += [phase.start for phase in schedule.phases if phase.name != name][:1]
    shortest = min(len(schedule) for schedule in schedules)
    start = max(ends) if ends else round(NO_PHASES * shortest)
    return start if start < shortest - 1 else 0


def long_enough(schedules: Sequence[Schedule]) -> bool:
    """Tell whether the steps that all schedules have go beyond the first descent."""
    return first_step(schedules) > 0 or all(len(schedule) < 2 for schedule in schedules)


def windows(schedules: Sequence[Schedule]) -> dict[str, Mask]:
    """Mark the steps `[T]` of each window, T being the steps that all schedules have.

    `whole` is everything from t0 on; `post-boundary` the 200 steps after each phase start of any sheet;
    `transitions` where any property but `lr` of any sheet moved by 5% of its range within the last 200
    steps, and `elsewhere` the rest of the whole.
    """
    length = min(len(schedule) for schedule in schedules)
    whole = np.arange(length) >= first_step(schedules)
    boundary, moving = np.zeros(length, dtype=bool), np.zeros(length, dtype=bool)
    for schedule in schedules:
        for phase in schedule.phases[1:]:
            boundary[phase.start : phase.start + AFTER] = True
        for name in schedule.properties:
            if name != RATE:
                moving |= _moved(schedule.column(name)[:length], _range(name, schedules))
    return {
        "whole": whole,
        "post-boundary": whole & boundary,
        "transitions": whole & moving,
        "elsewhere": whole & ~moving,
    }


def inside(steps: NDArray[np.int64], mask: Mask) -> Mask:
    """Tell which of some steps `[F]` a window `[T]` marks; those beyond it are not."""
    marked = np.zeros(len(steps), dtype=bool)
    known = steps < len(mask)
    marked[known] = mask[steps[known]]
    return marked


def per_thousand(count: float, mask: Mask) -> float:
    """Turn a count within a window `[T]` into one per 1,000 of its steps: what windows of different length have in common.

    NaN where the window is empty.
    """
    return 1000 * count / int(mask.sum()) if mask.any() else float("nan")


def intervals(mask: Mask) -> list[tuple[int, int]]:
    """List the first and last step of each stretch that a mask marks."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(start), int(end) - 1) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _range(name: str, schedules: Sequence[Schedule]) -> float:
    columns = [schedule.column(name) for schedule in schedules if name in schedule.properties]
    return float(max(c.max() for c in columns) - min(c.min() for c in columns))


def _moved(values: NDArray[np.float64], spread: float) -> Mask:
    from scipy.ndimage import maximum_filter1d, minimum_filter1d

    if spread <= 0:
        return np.zeros(len(values), dtype=bool)
    # The filters look back: over the step itself and the 200 before it.
    size, origin = AFTER + 1, AFTER // 2
    high = maximum_filter1d(values, size, origin=origin, mode="nearest")
    low = minimum_filter1d(values, size, origin=origin, mode="nearest")
    return np.asarray(high - low >= MOVED * spread)
