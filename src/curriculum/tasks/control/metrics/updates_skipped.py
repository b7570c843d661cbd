"""X10, the share of updates that were skipped because they were not finite."""

from __future__ import annotations

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.measure.windows import Mask


def updates_skipped(trace: Trace, window: Mask) -> float:
    """Read the share of all updates, whatever the window; a window without steps has none."""
    return trace.skipped if window.any() else float("nan")


METRIC = Metric("X10", "share of updates skipped", "", updates_skipped, effect="difference", exploratory=True, order=63)
