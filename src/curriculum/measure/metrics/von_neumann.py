"""The standard deviation of the error that neighbouring steps disagree by (von Neumann 1941)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.measure.windows import inside


def von_neumann(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the root of half the mean square difference of neighbouring errors, in dex: a trend hardly counts."""
    marked = inside(trace.steps, window)
    both = marked[:-1] & marked[1:]
    return float(np.sqrt((np.diff(trace.y)[both] ** 2).mean() / 2)) if both.any() else float("nan")


METRIC = Metric(
    "E3",
    "von Neumann deviation",
    "dex",
    von_neumann,
    windowed=False,
    exploratory=True,
    needs="consecutive recorded steps in the window",
    order=8,
)
