"""The size of the regular gradient, whatever the update is."""

from __future__ import annotations

import numpy as np

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.measure.windows import Mask
from curriculum.tasks.control.curves import REGULAR, sizes


def size_regular(trace: Trace, window: Mask) -> float:
    """Compute the median norm."""
    _, found = sizes(trace, window)
    return float(np.median(found[:, REGULAR])) if len(found) else float("nan")


METRIC = Metric("X3", "median size of the regular gradient", "", size_regular, exploratory=True, order=56)
