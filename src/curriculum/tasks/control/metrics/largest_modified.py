"""The largest modified gradient, whatever the update is."""

from __future__ import annotations

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.measure.windows import Mask
from curriculum.tasks.control.curves import MODIFIED, sizes


def largest_modified(trace: Trace, window: Mask) -> float:
    """Compute the largest norm, before clipping, among the steps at which it is recorded."""
    _, found = sizes(trace, window)
    return float(found[:, MODIFIED].max()) if len(found) else float("nan")


METRIC = Metric("X7", "largest modified gradient", "", largest_modified, exploratory=True, order=60)
