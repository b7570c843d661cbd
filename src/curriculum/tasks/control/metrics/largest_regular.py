"""The largest regular gradient, whatever the update is."""

from __future__ import annotations

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.measure.windows import Mask
from curriculum.tasks.control.curves import REGULAR, sizes


def largest_regular(trace: Trace, window: Mask) -> float:
    """Compute the largest norm, before clipping, among the steps at which it is recorded."""
    _, found = sizes(trace, window)
    return float(found[:, REGULAR].max()) if len(found) else float("nan")


METRIC = Metric("X6", "largest regular gradient", "", largest_regular, exploratory=True, order=59)
