"""M2, the step at which the latent map is unfolded for the first time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.e2c.maps import UNFOLDED_FOLD, UNFOLDED_R2, finite_map, unfolded


def time_to_unfold(trace: Trace, window: NDArray[np.bool_], r2: float = UNFOLDED_R2, most_folded: float = UNFOLDED_FOLD) -> float:
    """Find the first step with an unfolded map, counted from step 0; the one after the run's last where there is none."""
    if not window.any():
        return float("nan")
    for step, latents in zip(trace.motion_steps, trace.latents, strict=True):
        found = finite_map(latents)
        if found is not None and unfolded(found, trace.fixed["map.linear"], trace.fixed["map.cells"], r2, most_folded):
            return float(step)
    return float(trace.last_step + 1)


METRIC = Metric(
    "M2",
    "time to unfold, from step 0",
    "steps",
    time_to_unfold,
    windowed=False,
    effect="time",
    variants=({"r2": 0.9, "most_folded": 0.05}, {"r2": 0.98, "most_folded": 0.01}),
    order=22,
)
