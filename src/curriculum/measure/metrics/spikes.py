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
    """Find the peaks that stand out by `prominence` and have risen by as much within the `lag` points before them: their places.

    The rise is measured at the peak itself, so that a slow climb is no spike, whatever came before it.
    """
    return _risen(*peaks_of(y), draw_up(y, lag), prominence)


def peaks_of(y: Array) -> tuple[NDArray[np.int64], Array]:
    """Find all peaks of `y`: their places, and how far each stands out."""
    from scipy.signal import find_peaks

    peaks, how = find_peaks(y, prominence=(None, None))
    return np.asarray(peaks, dtype=np.int64), how["prominences"]


def _risen(peaks: NDArray[np.int64], prominences: Array, rises: Array, least: float) -> NDArray[np.int64]:
    return peaks[(prominences >= least) & (rises[peaks] >= least)]


def count_spikes(trace: Trace, window: NDArray[np.bool_], steps_back: int = WINDOW, prominence: float = PROMINENCE) -> float:
    """Count the spikes whose peak lies in the window."""
    marked = inside(trace.steps, window)
    if not marked.any():
        return float("nan")
    start = int(np.flatnonzero(marked)[0])
    lag, y = max(1, steps_back // trace.stride), trace.y[start:]
    # Windows that begin together have the same peaks, whatever counts as a spike.
    peaks = trace.once((peaks_of, start), lambda: peaks_of(y))
    rises = trace.once((draw_up, start, lag), lambda: draw_up(y, lag))
    spikes = _risen(*peaks, rises, prominence) + start
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
