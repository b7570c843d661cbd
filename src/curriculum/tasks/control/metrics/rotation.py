"""X9, how much the update's direction turns while a network is trained."""

from __future__ import annotations

import numpy as np

from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace
from curriculum.measure.windows import Mask
from curriculum.tasks.control.curves import own_directions


def rotation(trace: Trace, window: Mask) -> float:
    """Compute the median angle in degrees between the directions that the sheet asks for at recorded steps, each and the next one.

    The directions are sketches, whose cosine is off by up to 1/16 (one standard deviation) for two that are at right angles.
    """
    found = own_directions(trace, window)
    lengths = np.linalg.norm(found, axis=1)
    # A gradient that is 0, or not finite, has no direction.
    kept = (lengths[1:] > 0) & (lengths[:-1] > 0)
    if not kept.any():
        return float("nan")
    cosines = (found[1:] * found[:-1]).sum(1)[kept] / (lengths[1:] * lengths[:-1])[kept]
    return float(np.degrees(np.arccos(np.median(cosines.clip(-1, 1)))))


METRIC = Metric("X9", "rotation of the direction", "degrees", rotation, effect="difference", exploratory=True, order=62)
