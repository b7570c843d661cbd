"""How unevenly the map is stretched."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.e2c.maps import condition, map_at_end


def anisotropy(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the median condition of the cells' Jacobians; NaN where there are no cells."""
    latents = map_at_end(trace, window)
    return float("nan") if latents is None else condition(latents, trace.fixed["map.cells"])


METRIC = Metric("X4", "condition number of the map", "", anisotropy, windowed=False, exploratory=True, order=28)
