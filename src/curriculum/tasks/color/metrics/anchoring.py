"""How far the primary colors have moved from where they were anchored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.color.hue_circle import ANCHORS, PRIMARIES, anchor_drift, exhibited

LIMIT = 0.1  # a tenth of the circle's radius; runs that are held to it end within 0.03, runs that are not beyond 0.7


def _compute(trace: Trace, window: NDArray[np.bool_]) -> float:
    found = exhibited(trace, window, PRIMARIES, ANCHORS)
    return anchor_drift(*found) if found else float("nan")


METRIC = Metric("G6", "anchor drift", "latent units", _compute, windowed=False, limit=LIMIT, order=56)
