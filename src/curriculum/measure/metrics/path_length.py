"""How far the latents drift in all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.drift import NEEDS, changes, positions
from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace


def path_length(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the length of the drift's path, per input."""
    found = positions(trace, window)
    if found is None:
        return float("nan")
    slow, _ = found
    return float(np.sqrt(changes(slow, 1) / slow.shape[1]).sum())


METRIC = Metric(
    "E4", "path length of the drift", "latent units", path_length, windowed=False, exploratory=True, needs=NEEDS, latents=True, order=9
)
