"""How long the largest rise of the error takes: a sudden rise is short, a gradual one long."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.metric import Metric
from curriculum.measure.metrics.draw_up import draw_up
from curriculum.measure.trace import Trace
from curriculum.measure.windows import inside

WINDOW = 500  # steps within which the rise is looked for
SHARES = (0.1, 0.9)  # of its height, between which it is timed, as the rise time of a signal is (IEEE 181)


def rise_time(trace: Trace, window: NDArray[np.bool_]) -> float:
    """Compute the steps from a tenth to nine tenths of the largest rise within 500 steps that ends in the window.

    It is timed from the last step at or below a tenth of its height to the first one after that at or above nine tenths, so
    that noise at its foot does not count. NaN where the error never rises.
    """
    marked = np.flatnonzero(inside(trace.steps, window))
    if not len(marked):
        return float("nan")
    lag = max(1, WINDOW // trace.stride)
    rises = draw_up(trace.y, lag)
    peak = int(marked[np.argmax(rises[marked])])
    height = rises[peak]
    if not height > 0:
        return float("nan")
    climb = trace.y[max(0, peak - lag) : peak + 1]
    risen = (climb - (trace.y[peak] - height)) / height
    begun = int(np.flatnonzero(risen <= SHARES[0])[-1])
    done = begun + int(np.flatnonzero(risen[begun:] >= SHARES[1])[0])
    return float((done - begun) * trace.stride)


METRIC = Metric(
    "E6",
    f"rise time of the largest rise ({WINDOW} steps; longer is more gradual)",
    "steps",
    rise_time,
    windowed=False,
    better="higher",
    exploratory=True,
    needs="a rise of the error",
    order=11,
)
