"""H1b, the number of spikes of the probe error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.metrics.draw_up import WINDOW, draw_up
from curriculum.measure.trace import Array, Trace
from curriculum.measure.windows import inside

PROMINENCE = 0.3  # dex: a factor of 2


def find_spikes(y: Array, lag: int, prominence: float) -> NDArray[np.int64]:
    """Find the peaks that stand out by `prominence` and rise by as much within `lag` points: their places.

    The rise is looked for from the peak's left base to the peak itself, so that a slow climb is no spike.
    """
    from scipy.signal import find_peaks

    peaks, found = find_peaks(y, prominence=prominence)
    rises = draw_up(y, lag)
    sudden = [bool(rises[base : peak + 1].max() >= prominence) for base, peak in zip(found["left_bases"], peaks, strict=True)]
    return np.asarray(peaks[np.asarray(sudden, dtype=bool)], dtype=np.int64)


def count_spikes(trace: Trace, window: NDArray[np.bool_], steps_back: int = WINDOW, prominence: float = PROMINENCE) -> float:
    """Count the spikes whose peak lies in the window."""
    marked = inside(trace.steps, window)
    if not marked.any():
        return float("nan")
    start = int(np.flatnonzero(marked)[0])
    spikes = find_spikes(trace.y[start:], max(1, steps_back // trace.stride), prominence) + start
    return float(marked[spikes].sum())


_VARIANTS = ({"prominence": 0.15}, {"prominence": 0.5}, {"steps_back": 50}, {"steps_back": 200})
METRIC = Metric(
    "H1b",
    f"spikes (over {PROMINENCE:g} dex)",
    "spikes",
    count_spikes,
    windowed=True,
    effect="difference",
    variants=_VARIANTS,
    counts=True,
    order=2,
)
