"""Whether the angles of the latents are the hues, but for one rotation or reflection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.tasks.color.hue_circle import HUES, exhibited, hue_coherence

LIMIT = 0.985  # that of angles with a normal error of 10 degrees: the step from one of the 36 hues to the next


def _compute(trace: Trace, window: NDArray[np.bool_]) -> float:
    found = exhibited(trace, window, HUES)
    return hue_coherence(*found) if found else float("nan")


METRIC = Metric("G3", "hue coherence", "", _compute, windowed=False, better="higher", limit=LIMIT, order=53)
