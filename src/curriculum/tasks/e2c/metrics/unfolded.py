"""M1, whether the latent map is unfolded at the end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.e2c.maps import UNFOLDED_FOLD, UNFOLDED_R2, map_at_end, unfolded


def is_unfolded(trace: Trace, window: NDArray[np.bool_], r2: float = UNFOLDED_R2, most_folded: float = UNFOLDED_FOLD) -> float:
    """Give 1 for a map that is unfolded at the end of the window, 0 for one that is not."""
    if not window.any():
        return float("nan")
    latents = map_at_end(trace, window)
    return float(latents is not None and unfolded(latents, trace.fixed["map.linear"], trace.fixed["map.cells"], r2, most_folded))


METRIC = Metric(
    "M1",
    "map unfolded at the end",
    "",
    is_unfolded,
    windowed=False,
    effect="share",
    better="higher",
    variants=({"r2": 0.9, "most_folded": 0.05}, {"r2": 0.98, "most_folded": 0.01}),
    order=21,
)
