"""The number of sudden rises of the error that it does not come back from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.metrics.draw_up import WINDOW, draw_up
from curriculum.measure.metrics.spikes import PROMINENCE
from curriculum.measure.trace import Array, Trace
from curriculum.measure.windows import inside

PATIENCE = 1000  # steps within which the error must come back
LEVEL = 50  # steps, whose median is the level that it comes back to


def find_unrecovered(y: Array, lag: int, threshold: float, patience: int, width: int) -> NDArray[np.int64]:
    """Find the sudden rises after which the level of `y` stays up: the places where each has reached `threshold`.

    A rise is sudden where it reaches the threshold within `lag` points. It is recovered from as soon as a running
    median of `width` points, all of them after the rise, is no more than half the threshold above the level before: the
    median of the `lag` points before its foot. That must come within `patience` points, or by the end of `y`. No second rise is
    looked for until then. A rise too near the end to have a level after it is not counted.
    """
    from scipy.ndimage import median_filter

    rises = draw_up(y, lag)
    # The medians look ahead, so that none mixes what was before with what is after.
    ahead = median_filter(y, width, origin=-(width // 2), mode="nearest")[: max(0, len(y) - width + 1)]
    sudden = np.flatnonzero(rises >= threshold)
    found: list[int] = []
    at = 0
    while True:
        sudden = sudden[np.searchsorted(sudden, at) :]
        if not len(sudden):
            return np.asarray(found, dtype=np.int64)
        at = int(sudden[0])
        start = max(0, at - lag)
        foot = start + int(np.argmin(y[start : at + 1]))
        before = _median(y[max(0, foot - lag) : foot + 1])
        levels = ahead[at : at + patience]
        back = np.flatnonzero(levels <= before + threshold / 2)
        if len(levels) and not len(back):
            found.append(at)
        at += int(back[0]) + 1 if len(back) else patience


def _median(values: Array) -> float:
    """Compute the median of a few values, as `numpy.median` does in three times the time."""
    ordered = np.sort(values)
    middle = (len(ordered) - 1) // 2, len(ordered) // 2
    return float(ordered[-1] if np.isnan(ordered[-1]) else (ordered[middle[0]] + ordered[middle[1]]) / 2)


def count_unrecovered(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Count the sudden rises that begin in the window and that the error does not come back from within 1000 steps."""
    marked = inside(trace.steps, window)
    if not marked.any():
        return float("nan")
    start = int(np.flatnonzero(marked)[0])
    lag, patience, width = (max(1, steps // trace.stride) for steps in (WINDOW, PATIENCE, LEVEL))
    return float(marked[find_unrecovered(trace.y[start:], lag, PROMINENCE, patience, width) + start].sum())


METRIC = Metric(
    "E10",
    f"unrecovered rises (over {PROMINENCE:g} dex, {PATIENCE} steps)",
    "rises",
    count_unrecovered,
    windowed=False,
    effect="difference",
    exploratory=True,
    counts=True,
    order=15,
)
