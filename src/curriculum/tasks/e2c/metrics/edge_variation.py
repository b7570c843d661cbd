"""How unequal the lattice's edges are in the map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.e2c.maps import edge_lengths, map_at_end


def edge_variation(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the standard deviation of their lengths over the mean."""
    latents = map_at_end(trace, window)
    if latents is None:
        return float("nan")
    lengths = edge_lengths(latents, trace.fixed["map.edges"])
    return float(lengths.std() / lengths.mean())


METRIC = Metric("X5", "variation of edge lengths", "", edge_variation, windowed=False, exploratory=True, order=29)
