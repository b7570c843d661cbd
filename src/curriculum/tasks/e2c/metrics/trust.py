"""Whether neighbours in the map are neighbours in the world."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.e2c.maps import map_at_end, trustworthiness


def trust(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute trustworthiness; a folded map may have nearly 1."""
    latents = map_at_end(trace, window)
    return float("nan") if latents is None else trustworthiness(trace.fixed["map.near"], latents)


METRIC = Metric("X9", "trustworthiness", "", trust, windowed=False, effect="difference", better="higher", exploratory=True, order=33)
