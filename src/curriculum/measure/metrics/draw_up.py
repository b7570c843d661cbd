"""H1a, the largest sudden rise of the probe error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Array, Trace
from curriculum.measure.windows import inside

WINDOW = 100  # steps to look back


def draw_up(y: Array, lag: int) -> Array:
    """Compute D(t) = y(t) - the least y over the last `lag` points, t itself among them: `[F]`."""
    from scipy.ndimage import minimum_filter1d

    size = lag + 1
    # This origin makes the filter look back only.
    lowest = minimum_filter1d(y, size, origin=(size - 1) // 2, mode="nearest")
    return np.asarray(y - lowest)


def largest_rise(trace: Trace, window: NDArray[np.bool_], steps_back: int = WINDOW) -> float:
    """Compute the largest rise within the window, in dex."""
    marked = inside(trace.steps, window)
    lag = max(1, steps_back // trace.stride)
    rises = trace.once((draw_up, 0, lag), lambda: draw_up(trace.y, lag))
    return float(rises[marked].max()) if marked.any() else float("nan")


METRIC = Metric(
    "H1a",
    f"largest sudden rise ({WINDOW} steps)",
    "dex",
    largest_rise,
    windowed=True,
    variants=({"steps_back": 50}, {"steps_back": 200}),
    order=1,
)
