"""Whether neighbours in the world are neighbours in the map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.e2c.maps import map_at_end, trustworthiness


def continuity(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute continuity; a folded map may have nearly 1."""
    latents = map_at_end(trace, window)
    return float("nan") if latents is None else trustworthiness(latents, trace.fixed["map.near"])


METRIC = Metric("X10", "continuity", "", continuity, windowed=False, effect="difference", better="higher", exploratory=True, order=34)
