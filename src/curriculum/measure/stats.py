"""Statistics of paired and unpaired samples: estimates with intervals, tests, and their correction.

The unit is a seed, or a pair of seeds; the steps of a run are never replicates. Sources: Agarwal et al. 2021
(interquartile mean, bootstrap over runs), Wilcoxon 1945 with Pratt's zeros, McNemar 1947, Newcombe 1998, Holm 1979,
Benjamini & Hochberg 1995.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
RESAMPLES = 9_999
LEVEL = 0.95
ROUNDING = 12  # decimals; differences that are equal but for rounding must tie in a rank test
BOOTSTRAP_SEED = 20_210_830


@dataclass(frozen=True)
class Estimate:
    """An effect with its 95% interval, the p of no effect, and how it was found.

    In `lower` of the pairs the first value is lower, in `tied` it is the same, and in `higher` it is higher; without pairs these
    count all combinations of one seed of each. `rank_biserial` is the matched-pairs rank-biserial correlation, or for unpaired
    samples Cliff's delta, both -1 where the first is always lower.
    """

    value: float
    low: float
    high: float
    p: float
    lower: int
    tied: int
    higher: int
    rank_biserial: float
    n: int
    paired: bool

    @property
    def better(self) -> float:
        """The share of pairs in which the first is lower, ties counted half."""
        return (self.lower + self.tied / 2) / (self.lower + self.tied + self.higher)


def interquartile_mean(values: Array) -> Array:
    """Compute the mean of the middle half along the last axis, whole values only: `[..., N]` to `[...]`."""
    from scipy.stats import trim_mean

    # trim_mean partitions sorted rows several times faster than unsorted ones.
    return np.asarray(trim_mean(np.sort(values, axis=-1), 0.25, axis=-1))


def center(values: Array) -> float:
    """Compute the interquartile mean of a sample `[N]` in which runs that diverged are infinite.

    It is infinite where more of the middle half is infinite in one direction than in the other; as many in both cancel.
    """
    cut = len(values) // 4
    middle = np.sort(values)[cut : len(values) - cut]
    excess = float(np.sign(middle[np.isinf(middle)]).sum())
    return math.copysign(math.inf, excess) if excess else float(interquartile_mean(_finite(values)))


def shift(first: Array, second: Array) -> float:
    """Compute the difference of the interquartile means of two samples `[N]` and `[M]`; two that are infinite alike do not differ."""
    a, b = center(first), center(second)
    return 0.0 if a == b else a - b


def paired_estimate(differences: Array) -> Estimate:
    """Estimate the effect from the differences of pairs `[N]`, first minus second.

    The interquartile mean with a percentile bootstrap over pairs, and a two-sided Wilcoxon signed-rank test. Infinite
    differences, of a run that diverged, count as one beyond all others.
    """
    rounded = np.round(differences, ROUNDING)
    d = _finite(rounded)
    if not d.any():
        return Estimate(0.0, 0.0, 0.0, 1.0, 0, len(d), 0, 0.0, len(d), paired=True)
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    drawn = interquartile_mean(d[rng.integers(0, len(d), (RESAMPLES, len(d)))])
    value = center(rounded)
    low, high = _interval(drawn, len(d), value)
    return Estimate(value, low, high, _wilcoxon(d), *_signs(d), _rank_biserial(d), len(d), paired=True)


def unpaired_estimate(first: Array, second: Array) -> Estimate:
    """Estimate the effect from two independent samples `[N]` and `[M]`.

    The difference of interquartile means with a bootstrap stratified by sample, and a two-sided Mann-Whitney test.
    """
    from scipy.stats import mannwhitneyu

    rounded = np.round(np.concatenate([first, second]), ROUNDING)
    value = shift(rounded[: len(first)], rounded[len(first) :])
    both = _finite(rounded)
    a, b = both[: len(first)], both[len(first) :]
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    drawn_a = interquartile_mean(a[rng.integers(0, len(a), (RESAMPLES, len(a)))])
    drawn_b = interquartile_mean(b[rng.integers(0, len(b), (RESAMPLES, len(b)))])
    low, high = _interval(drawn_a - drawn_b, min(len(a), len(b)), value)
    sign = np.sign(_ranks(a, b)[: len(a), None] - _ranks(a, b)[None, len(a) :])
    p = 1.0 if not sign.any() else float(mannwhitneyu(_ranks(a, b)[: len(a)], _ranks(a, b)[len(a) :]).pvalue)
    return Estimate(value, low, high, p, *_signs(sign), float(sign.mean()), min(len(a), len(b)), paired=False)


def share_estimate(first: Array, second: Array, paired: bool) -> Estimate:
    """Estimate the difference of the shares of two samples of zeros and ones, first minus second.

    Of pairs an exact McNemar test, else Fisher's exact test. The interval is made of Wilson's for each share, for pairs
    with their correlation (Newcombe 1998, methods 10 and, unpaired, 10 of the companion paper): it exists too where all
    seeds agree.
    """
    from scipy.stats import binomtest, fisher_exact

    n, m = len(first), len(second)
    p1, p2 = float(first.mean()), float(second.mean())
    (low1, high1), (low2, high2) = (binomtest(int(own.sum()), len(own)).proportion_ci(LEVEL, method="wilson") for own in (first, second))
    correlation = 0.0
    if paired:
        both, neither = int((first * second).sum()), int(((1 - first) * (1 - second)).sum())
        only_first, only_second = int(first.sum()) - both, int(second.sum()) - both
        decided = only_first + only_second
        p = float(binomtest(only_first, decided).pvalue) if decided else 1.0
        margins = n**4 * p1 * (1 - p1) * p2 * (1 - p2)
        agreement = both * neither - only_first * only_second
        if margins > 0:
            correlation = (max(agreement - n / 2, 0) if agreement > 0 else agreement) / math.sqrt(margins)
        sign = np.sign(first - second)
    else:
        table = [[int(first.sum()), n - int(first.sum())], [int(second.sum()), m - int(second.sum())]]
        p = float(fisher_exact(table).pvalue)
        sign = np.sign(first[:, None] - second[None])
    down, up = (p1 - low1, high2 - p2), (high1 - p1, p2 - low2)
    below, above = (math.sqrt(max(0.0, a**2 - 2 * correlation * a * b + b**2)) for a, b in (down, up))
    decided_sign = sign[sign != 0]
    rank = float(decided_sign.mean()) if decided_sign.size else 0.0
    return Estimate(p1 - p2, p1 - p2 - below, p1 - p2 + above, p, *_signs(sign), rank, min(n, m), paired)


def holm(p: Sequence[float]) -> list[float]:
    """Correct p values for being one family (Holm 1979): the chance of any false one stays below alpha."""
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = highest
    return [float(value) for value in adjusted]


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Turn p values into q values: the share of false ones among those at or below each."""
    from scipy.stats import false_discovery_control

    return [float(q) for q in false_discovery_control(p, method="bh")]


def tail(values: Array) -> tuple[float, float]:
    """Give the worst value, the largest, and the mean of the worst tenth (at least one): what an average hides."""
    ordered = np.sort(values)[::-1]
    return float(ordered[0]), float(ordered[: max(1, round(len(ordered) / 10))].mean())


def _interval(drawn: Array, n: int, value: float) -> tuple[float, float]:
    """Take the percentiles of resampled estimates that hold the truth at LEVEL, also where pairs are few.

    A resample varies less than a sample does; the percentiles are moved out as Student's t is wider than a normal
    (the expanded percentile interval, Hesterberg 2015). Where the estimated `value` is infinite, the interval ends there.
    """
    from scipy.stats import norm, t

    share = float(norm.cdf(t.ppf((1 - LEVEL) / 2, n - 1) * np.sqrt(n / (n - 1))))
    low, high = np.quantile(drawn, [share, 1 - share])
    return (value if value == -math.inf else float(low)), (value if value == math.inf else float(high))


def _signs(differences: Array) -> tuple[int, int, int]:
    """Count how many differences are negative, zero and positive."""
    return int((differences < 0).sum()), int((differences == 0).sum()), int((differences > 0).sum())


def _finite(values: Array) -> Array:
    """Put infinite values, of runs that diverged, beyond all others: they still rank worst, and means of them exist."""
    finite = np.abs(values[np.isfinite(values)])
    beyond = 2 * finite.max(initial=0.0) + 1
    return np.clip(values, -beyond, beyond)


def _ranks(a: Array, b: Array) -> Array:
    from scipy.stats import rankdata

    return np.asarray(rankdata(np.concatenate([a, b])))


def _wilcoxon(d: Array) -> float:
    from scipy.stats import rankdata, wilcoxon

    # Ranks carry the signs: the test sees the same order, and an infinite difference is only the largest.
    ranks = rankdata(np.abs(d)) * np.sign(d)
    return float(wilcoxon(ranks, zero_method="pratt").pvalue)


def _rank_biserial(d: Array) -> float:
    from scipy.stats import rankdata

    kept = d[d != 0]
    ranks = rankdata(np.abs(kept))
    return float((ranks[kept > 0].sum() - ranks[kept < 0].sum()) / ranks.sum())
