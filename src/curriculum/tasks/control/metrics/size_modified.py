"""The size of the modified gradient, whatever the update is."""

from __future__ import annotations

import numpy as np

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.measure.windows import Mask
from curriculum.tasks.control.curves import MODIFIED, sizes


def size_modified(trace: Trace, window: Mask) -> float:
    """Compute the median norm."""
    _, found = sizes(trace, window)
    return float(np.median(found[:, MODIFIED])) if len(found) else float("nan")


METRIC = Metric("X4", "median size of the modified gradient", "", size_modified, exploratory=True, order=57)
