"""The size of the combined gradient, whatever the update is."""

from __future__ import annotations

import numpy as np

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.measure.windows import Mask
from curriculum.tasks.control.curves import COMBINED, sizes


def size_combined(trace: Trace, window: Mask) -> float:
    """Compute the median norm."""
    _, found = sizes(trace, window)
    return float(np.median(found[:, COMBINED])) if len(found) else float("nan")


METRIC = Metric("X5", "median size of the combined gradient", "", size_combined, exploratory=True, order=58)
