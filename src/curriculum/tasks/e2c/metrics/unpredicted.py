"""P1, what the learned dynamics do not predict."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.e2c.maps import curve_at_end


def unpredicted(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute 1 - predR2: 0 is a perfect prediction, 1 no better than that nothing moves."""
    found = curve_at_end(trace, "prediction.r2", window)
    return float("nan") if found is None else float(1 - found[0])


METRIC = Metric("P1", "unpredicted share of the step", "", unpredicted, windowed=False, order=24)
