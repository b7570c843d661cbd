"""How fast the latents drift at most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.drift import NEEDS, speed
from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace


def peak_speed(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the largest speed of the drift, per input and step."""
    found = speed(trace, window)
    return float("nan") if found is None else float(found.max())


METRIC = Metric(
    "E5", "peak speed of the drift", "per step", peak_speed, windowed=False, exploratory=True, needs=NEEDS, latents=True, order=10
)
