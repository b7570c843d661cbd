"""How high the error stands above its recent lowest value, on average."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.metrics.draw_up import WINDOW, draw_up
from curriculum.measure.trace import Trace
from curriculum.measure.windows import inside


def mean_draw_up(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the mean rise above the lowest error of the last 100 steps, in dex."""
    marked = inside(trace.steps, window)
    lag = max(1, WINDOW // trace.stride)
    rises = trace.once((draw_up, 0, lag), lambda: draw_up(trace.y, lag))
    return float(rises[marked].mean()) if marked.any() else float("nan")


METRIC = Metric("E1", f"mean rise ({WINDOW} steps)", "dex", mean_draw_up, windowed=False, exploratory=True, order=6)
