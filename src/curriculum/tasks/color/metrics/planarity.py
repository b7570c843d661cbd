"""How far the latents of vivid hues are from the plane of the first two dimensions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.color.hue_circle import HUES, exhibited, out_of_plane

LIMIT = 0.34  # the sine of 20 degrees; runs that are held to it end within 0.31, runs that are not beyond 0.6


def _compute(trace: Trace, window: NDArray[np.bool_]) -> float:
    found = exhibited(trace, window, HUES)
    return out_of_plane(*found) if found else float("nan")


METRIC = Metric("G2", "distance from the plane", "latent units", _compute, windowed=False, limit=LIMIT, order=52)
