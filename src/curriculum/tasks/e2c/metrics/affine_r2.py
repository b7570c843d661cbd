"""How well the map is an affine copy of the world."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.e2c.maps import affine_r2, map_at_end


def mean_r2(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the mean over coordinates of R^2, at the end of the window."""
    latents = map_at_end(trace, window)
    return float("nan") if latents is None else float(affine_r2(latents, trace.fixed["map.linear"]).mean())


METRIC = Metric("X1", "affine R2", "", mean_r2, windowed=False, effect="difference", better="higher", exploratory=True, order=25)
