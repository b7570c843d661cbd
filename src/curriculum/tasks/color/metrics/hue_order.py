"""Whether the vivid hues lie about the origin in their order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.color.hue_circle import HUES, exhibited, hues_out_of_order


def _compute(trace: Trace, window: NDArray[np.bool_]) -> float:
    found = exhibited(trace, window, HUES)
    return float(hues_out_of_order(*found)) if found else float("nan")


METRIC = Metric("G5", "hues out of order", "hues", _compute, windowed=False, limit=0, order=55)
