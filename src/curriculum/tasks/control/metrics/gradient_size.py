"""G1, the size of the gradient that the sheet asks for."""

from __future__ import annotations

import numpy as np

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.measure.windows import Mask
from curriculum.tasks.control.curves import own_sizes


def gradient_size(trace: Trace, window: Mask) -> float:
    """Compute the median norm, before clipping."""
    found = own_sizes(trace, window)
    return float(np.median(found)) if len(found) else float("nan")


METRIC = Metric("G1", "median size of the gradient", "", gradient_size, order=52)
