"""How well the worse coordinate of the world is an affine function of the latents."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.e2c.maps import affine_r2, map_at_end


def worst_r2(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the least R^2 over coordinates, at the end of the window."""
    latents = map_at_end(trace, window)
    return float("nan") if latents is None else float(affine_r2(latents, trace.fixed["map.linear"]).min())


METRIC = Metric(
    "X2",
    "affine R2 of the worse coordinate",
    "",
    worst_r2,
    windowed=False,
    effect="difference",
    better="higher",
    exploratory=True,
    order=26,
)
