"""How many times the re-sampled step varies as much as the re-parameterized one, on the same weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.e2c.maps import curve_at_end


def step_ratio(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the ratio of the variances of |z' - z| at the end of the window."""
    found = curve_at_end(trace, "step.variance", window)
    return float("nan") if found is None else float(found[0][1] / found[0][0])


METRIC = Metric(
    "X8", "step variance, re-sampled over re-parameterized", "", step_ratio, windowed=False, better="higher", exploratory=True, order=32
)
