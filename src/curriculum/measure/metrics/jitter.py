"""H3b, how far the latents jitter about their drift: whether they move chaotically."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.drift import FILTER, NEEDS, positions
from curriculum.measure.metric import Metric
from curriculum.measure.trace import Trace


def jitter(trace: Trace, window: NDArray[np.bool_], span: int = FILTER) -> float:
    """Compute the median over time of the distance between position and drift, per input."""
    found = positions(trace, window, span)
    if found is None:
        return float("nan")
    slow, z = found
    apart = np.sqrt(((z - slow) ** 2).sum(axis=(1, 2)) / slow.shape[1])
    return float(np.median(apart))


METRIC = Metric(
    "H3b",
    "jitter of the latents",
    "latent units",
    jitter,
    windowed=False,
    variants=({"span": 100}, {"span": 400}),
    needs=NEEDS,
    latents=True,
    order=5,
)
