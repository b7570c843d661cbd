"""The largest combined gradient, whatever the update is."""

from __future__ import annotations

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.measure.windows import Mask
from curriculum.tasks.control.curves import COMBINED, sizes


def largest_combined(trace: Trace, window: Mask) -> float:
    """Compute the largest norm, before clipping, among the steps at which it is recorded."""
    _, found = sizes(trace, window)
    return float(found[:, COMBINED].max()) if len(found) else float("nan")


METRIC = Metric("X8", "largest combined gradient", "", largest_combined, exploratory=True, order=61)
