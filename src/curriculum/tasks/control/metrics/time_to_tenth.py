"""B1, the number of updates until the test loss is a tenth of what it was."""

from __future__ import annotations

import math

import numpy as np

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.measure.windows import Mask


def time_to_fall(trace: Trace, window: Mask, share: float = 0.1) -> float:
    """Find the first step at which the test loss is below a share of its first value; the one after the run's last where there is none."""
    if not window.any() or not len(trace.y):
        return float("nan")
    reached = np.flatnonzero(trace.y < trace.y[0] + math.log10(share))
    return float(trace.steps[reached[0]]) if len(reached) else float(trace.last_step + 1)


METRIC = Metric(
    "B1",
    "updates until the test loss is below a tenth",
    "steps",
    time_to_fall,
    effect="time",
    variants=({"share": 0.2}, {"share": 0.05}),
    order=51,
)
