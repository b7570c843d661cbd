"""How many components of the modified gradient the combined one keeps."""

from __future__ import annotations

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.measure.windows import Mask
from curriculum.tasks.control.curves import median_of


def components_kept(trace: Trace, window: Mask) -> float:
    """Compute the median share, of those components that either gradient has."""
    return median_of(trace, window, "kept")


METRIC = Metric("X2", "share of components kept", "", components_kept, effect="difference", better="higher", exploratory=True, order=55)
