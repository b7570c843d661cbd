"""The bootstrap: resamples of seeds or of pairs, and intervals from them."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BOOTSTRAP_SEED = 20_210_830
MOST_DRAWN = 2**25  # seeds in all resamples of a sample, of which there are fewer where it is large
FEWEST = 999  # resamples
ROWS = 2048  # resamples that are computed with at once: what stays in the cache of a processor


@lru_cache(maxsize=16)
def _places(n: int, cut: int, stream: int, count: int) -> NDArray[np.integer[Any]]:
    """Draw resamples of the places 0 to n-1, each sorted and without `cut` at either end: `[R, n - 2 cut]`."""
    return _drawn(n, stream, count)[:, cut : n - cut].copy()


@lru_cache(maxsize=2)
def _drawn(n: int, stream: int, count: int) -> NDArray[np.integer[Any]]:
    """Draw resamples of the places 0 to n-1, each sorted: `[R, n]`."""
    rng = np.random.default_rng([BOOTSTRAP_SEED, stream])
    kind = np.uint8 if n <= 256 else np.uint16
    drawn = rng.integers(0, n, (max(min(count, FEWEST), min(count, MOST_DRAWN // n)), n), dtype=kind)
    drawn.sort(axis=1)
    return drawn


def resampled(values: Array, cut: int, stream: int, count: int) -> Array:
    """Compute the mean of each resample of a sample `[N]` without the `cut` lowest and highest of it: `[R]`.

    The same resamples serve all measures of as many seeds.
    """
    ordered = np.sort(values)
    places = _places(len(values), cut, stream, count)
    finite = np.isfinite(ordered)
    taken, means = np.where(finite, ordered, 0.0), np.empty(len(places))
    for first in range(0, len(places), ROWS):
        taken[places[first : first + ROWS]].mean(axis=1, out=means[first : first + ROWS])
    if finite.all():
        return means
    excess = np.where(finite, 0.0, np.sign(ordered))[places].sum(axis=1)
    return np.where(excess == 0, means, np.copysign(np.inf, excess))


def interval(drawn: Array, n: int, value: float, level: float) -> tuple[float, float]:
    """Take the percentiles of resampled estimates `[R]` of n pairs that hold the truth at a level, also where pairs are few.

    A resample varies less than a sample does; the percentiles are moved out as Student's t is wider than a normal
    (the expanded percentile interval, Hesterberg 2015). Where the estimated `value` is infinite, the interval ends there.
    """
    from scipy.stats import norm, t

    if n < 2:
        return value, value
    share = float(norm.cdf(t.ppf((1 - level) / 2, n - 1) * np.sqrt(n / (n - 1))))
    low = float(np.quantile(drawn, share, method="lower"))
    high = float(np.quantile(drawn, 1 - share, method="higher"))
    return (value if value == -math.inf else low), (value if value == math.inf else high)
