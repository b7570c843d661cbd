"""How far the posterior spreads over the map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.e2c.maps import curve_at_end, edge_lengths


def posterior_spread(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the posterior's mean standard deviation over the mean length of an edge."""
    found = curve_at_end(trace, "posterior.sigma", window)
    return float("nan") if found is None else float(found[0] / edge_lengths(found[1], trace.fixed["map.edges"]).mean())


METRIC = Metric("X6", "posterior spread", "px", posterior_spread, windowed=False, exploratory=True, order=30)
