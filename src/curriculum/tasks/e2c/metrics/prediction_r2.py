"""How well the learned dynamics predict."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.e2c.maps import curve_at_end


def prediction_r2(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute predR2 at the end of the window: 0 says that nothing moves, 1 is perfect."""
    found = curve_at_end(trace, "prediction.r2", window)
    return float("nan") if found is None else float(found[0])


METRIC = Metric("X7", "predR2", "", prediction_r2, windowed=False, effect="difference", better="higher", exploratory=True, order=31)
