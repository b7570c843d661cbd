"""G2, the largest gradient that the sheet asks for."""

from __future__ import annotations

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.measure.windows import Mask
from curriculum.tasks.control.curves import own_sizes


def gradient_largest(trace: Trace, window: Mask) -> float:
    """Compute the largest norm, before clipping, among the steps at which it is recorded."""
    found = own_sizes(trace, window)
    return float(found.max()) if len(found) else float("nan")


METRIC = Metric("G2", "largest gradient", "", gradient_largest, order=53)
