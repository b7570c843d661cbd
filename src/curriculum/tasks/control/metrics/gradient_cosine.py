"""How far the modified and the regular gradient point the same way."""

from __future__ import annotations

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.measure.windows import Mask
from curriculum.tasks.control.curves import median_of


def gradient_cosine(trace: Trace, window: Mask) -> float:
    """Compute the median cosine of the two, on the same weights."""
    return median_of(trace, window, "cosine")


METRIC = Metric(
    "X1", "cosine of modified and regular gradient", "", gradient_cosine, effect="difference", better="higher", exploratory=True, order=54
)
