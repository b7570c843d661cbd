"""How much of the map is turned over."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.e2c.maps import fold, map_at_end


def folding(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the share of cells with the rarer orientation; NaN where the map is not flat."""
    latents = map_at_end(trace, window)
    return float("nan") if latents is None else fold(latents, trace.fixed["map.cells"])


METRIC = Metric("X3", "fold", "", folding, windowed=False, effect="difference", exploratory=True, order=27)
