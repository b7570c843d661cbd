"""Whether the vivid hues go round the origin once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.color.hue_circle import HUES, exhibited, winding_number


def _compute(trace: Trace, window: NDArray[np.bool_]) -> float:
    found = exhibited(trace, window, HUES)
    return float(abs(abs(winding_number(*found)) - 1)) if found else float("nan")


METRIC = Metric("G4", "extra or missing turns about the origin", "turns", _compute, windowed=False, limit=0, order=54)
