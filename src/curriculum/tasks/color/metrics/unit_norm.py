"""How far the latents of vivid hues are from the unit sphere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.color.hue_circle import HUES, exhibited, unit_norm_deviation

LIMIT = 0.1  # a tenth of the radius: runs that are held to it end within 0.05, runs that are not beyond 1


def _compute(trace: Trace, window: NDArray[np.bool_]) -> float:
    found = exhibited(trace, window, HUES)
    return unit_norm_deviation(*found) if found else float("nan")


METRIC = Metric("G1", "unit-norm deviation", "latent units", _compute, windowed=False, limit=LIMIT, order=51)
