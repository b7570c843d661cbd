"""H3a, how jerkily the latents drift: whether they move gradually."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.drift import FILTER, NEEDS, changes, positions
from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace


def drift_jerk(trace: Trace, window: NDArray[np.bool_], span: int = FILTER) -> float:
    """Compute the root mean square over time of the third difference of the drift, per input and step^3."""
    found = positions(trace, window, span)
    if found is None:
        return float("nan")
    slow, _ = found
    third = changes(slow, 3, float(trace.motion_stride) ** 3)
    return float(np.sqrt(third.mean() / slow.shape[1]))


METRIC = Metric(
    "H3a",
    "drift jerk of the latents",
    "per step^3",
    drift_jerk,
    windowed=False,
    variants=({"span": 100}, {"span": 400}),
    needs=NEEDS,
    latents=True,
    order=4,
)
