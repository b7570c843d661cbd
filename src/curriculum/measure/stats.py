"""Statistics of paired and unpaired samples: estimates with intervals, tests, and their correction.

The unit is a seed, or a pair of seeds; the steps of a run are never replicates. Sources: Agarwal et al. 2021
(interquartile mean, bootstrap over runs), Wilcoxon 1945 with Pratt's zeros, Fisher's sign flips, McNemar 1947, Newcombe 1998,
Clopper & Pearson 1934, Holm 1979, Benjamini & Hochberg 1995.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.exact import most_often, sign_flip_p, signed_rank_p
from curriculum.measure.resampling import interval, resampled

Array = NDArray[np.float64]
RESAMPLES = 99_999
LEVEL = 0.95
ROUNDING = 12  # decimals; differences that are equal but for rounding must tie in a rank test


@dataclass(frozen=True)
class Estimate:
    """An effect with its 95% interval, the p of no effect, and how it was found.

    `wide` is the interval at the level of its family, and `mean` that of the mean effect at the same level: an interquartile mean
    says nothing about the outer quarters. In `lower` of the pairs the first value is lower, in `tied` it is the same, and in
    `higher` it is higher; without pairs these count all combinations of one seed of each. `rank_biserial` is the matched-pairs
    rank-biserial correlation, or for unpaired samples Cliff's delta, both -1 where the first is always lower.
    """

    value: float
    low: float
    high: float
    p: float
    wide: tuple[float, float]
    mean: tuple[float, float]
    lower: int
    tied: int
    higher: int
    rank_biserial: float
    n: int
    paired: bool


def interquartile_mean(values: Array) -> Array:
    """Compute the mean of the middle half along the last axis, whole values only: `[..., N]` to `[...]`."""
    from scipy.stats import trim_mean

    # trim_mean partitions sorted rows several times faster than unsorted ones.
    return np.asarray(trim_mean(np.sort(values, axis=-1), 0.25, axis=-1))


def center(values: Array, counts: bool = False) -> float:
    """Compute the interquartile mean, or of counts the mean, of a sample `[N]` in which runs that diverged are infinite.

    It is infinite where more of what is averaged is infinite in one direction than in the other; as many in both cancel.
    """
    cut = 0 if counts else len(values) // 4
    middle = np.sort(values)[cut : len(values) - cut]
    excess = float(np.sign(middle[np.isinf(middle)]).sum())
    if excess:
        return math.copysign(math.inf, excess)
    return float(_finite(values).mean()) if counts else float(interquartile_mean(_finite(values)))


def shift(first: Array, second: Array, counts: bool = False) -> float:
    """Compute the difference of the centers of two samples `[N]` and `[M]`; two that are infinite alike do not differ."""
    a, b = center(first, counts), center(second, counts)
    return 0.0 if a == b else a - b


def paired_estimate(differences: Array, counts: bool = False, tests: int = 1, share: float = 1.0) -> Estimate:
    """Estimate the effect from the differences of pairs `[N]`, first minus second, as one of so many tests.

    The interquartile mean with a percentile bootstrap over pairs, and a two-sided exact Wilcoxon signed-rank test; of counts the
    mean, and the exact test of all sign flips of that mean. Infinite differences, of a run that diverged, count as one beyond all
    others in the tests. The intervals have a `share` of the error that they may have: that of one look among several.
    """
    rounded = np.round(differences, ROUNDING)
    d, n = _finite(rounded), len(differences)
    value = center(rounded, counts)
    drawn = _resampled(rounded, 0 if counts else n // 4)
    plain, joint = _level(1, share), _level(tests, share)
    low, high = interval(drawn, n, value, plain)
    wide = interval(drawn, n, value, joint)
    mean = wide if counts else interval(_resampled(d, 0), n, float(d.mean()), joint)
    if counts:
        low, high = _with_rare_events(d, (low, high), plain)
        wide = mean = _with_rare_events(d, wide, joint)
    rank = _rank_biserial(d) if d.any() else 0.0
    p = sign_flip_p(d) if counts and (d == np.round(d)).all() else signed_rank_p(d)
    return Estimate(value, low, high, p, wide, mean, *_signs(d), rank, n, paired=True)


def unpaired_estimate(first: Array, second: Array, counts: bool = False, tests: int = 1, share: float = 1.0) -> Estimate:
    """Estimate the effect from two independent samples `[N]` and `[M]`, as one of so many tests, with a `share` of their error.

    The difference of interquartile means, or of counts of means, with a bootstrap stratified by sample, and a two-sided Mann-Whitney
    test.
    """
    from scipy.stats import mannwhitneyu

    rounded = np.round(np.concatenate([first, second]), ROUNDING)
    own, others = rounded[: len(first)], rounded[len(first) :]
    value, fewest = shift(own, others, counts), min(len(first), len(second))
    both = _finite(rounded)
    a, b = both[: len(first)], both[len(first) :]
    with np.errstate(invalid="ignore"):
        drawn = _resampled(own, 0 if counts else len(a) // 4) - _resampled(others, 0 if counts else len(b) // 4, 1)
    drawn[np.isnan(drawn)] = 0.0  # infinite alike
    plain, joint = _level(1, share), _level(tests, share)
    low, high = interval(drawn, fewest, value, plain)
    wide = interval(drawn, fewest, value, joint)
    mean = wide if counts else interval(_resampled(a, 0) - _resampled(b, 0, 1), fewest, float(a.mean() - b.mean()), joint)
    if counts and not both.any():
        low, high = -most_often(0, len(b), plain), most_often(0, len(a), plain)
        wide = mean = -most_often(0, len(b), joint), most_often(0, len(a), joint)
    ranks = _ranks(a, b)
    sign = np.sign(ranks[: len(a), None] - ranks[None, len(a) :])
    p = 1.0 if not sign.any() else float(mannwhitneyu(ranks[: len(a)], ranks[len(a) :]).pvalue)
    return Estimate(value, low, high, p, wide, mean, *_signs(sign), float(sign.mean()), fewest, paired=False)


def share_estimate(first: Array, second: Array, paired: bool, tests: int = 1, share: float = 1.0) -> Estimate:
    """Estimate the difference of the shares of two samples of zeros and ones, first minus second, as one of so many tests.

    Of pairs an exact McNemar test, else Fisher's exact test. The interval is made of Wilson's for each share, for pairs
    with their correlation (Newcombe 1998, methods 10 and, unpaired, 10 of the companion paper): it exists too where all
    seeds agree. The intervals have a `share` of the error that they may have.
    """
    from scipy.stats import binomtest, fisher_exact

    n, m = len(first), len(second)
    p1, p2 = float(first.mean()), float(second.mean())
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

    def limits(level: float) -> tuple[float, float]:
        (low1, high1), (low2, high2) = (binomtest(int(o.sum()), len(o)).proportion_ci(level, method="wilson") for o in (first, second))
        down, up = (p1 - low1, high2 - p2), (high1 - p1, p2 - low2)
        below, above = (math.sqrt(max(0.0, a**2 - 2 * correlation * a * b + b**2)) for a, b in (down, up))
        return p1 - p2 - below, p1 - p2 + above

    decided_sign = sign[sign != 0]
    rank = float(decided_sign.mean()) if decided_sign.size else 0.0
    wide = limits(_level(tests, share))
    return Estimate(p1 - p2, *limits(_level(1, share)), p, wide, wide, *_signs(sign), rank, min(n, m), paired)


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


def _with_rare_events(d: Array, found: tuple[float, float], level: float) -> tuple[float, float]:
    """Widen the interval of a mean difference of counts `[N]` by the events that may be too rare to have been seen.

    Each end is at least as far from the mean as the exact limit (Clopper & Pearson) of the share of pairs that differ in its
    direction is from the observed share, at one event each: without any difference in 8 pairs, up to a third may differ.
    """
    n, mean = len(d), float(d.mean())
    more, fewer = int((d > 0).sum()), int((d < 0).sum())
    return (
        min(found[0], mean - (most_often(fewer, n, level) - fewer / n)),
        max(found[1], mean + (most_often(more, n, level) - more / n)),
    )


def _level(tests: int, share: float) -> float:
    """Give the level at which each of so many intervals must hold for all of them to have a share of the error of LEVEL (Bonferroni)."""
    return 1 - (1 - LEVEL) * share / tests


def _resampled(values: Array, cut: int, stream: int = 0) -> Array:
    return resampled(values, cut, stream, RESAMPLES)


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


def _rank_biserial(d: Array) -> float:
    from scipy.stats import rankdata

    kept = d[d != 0]
    ranks = rankdata(np.abs(kept))
    return float((ranks[kept > 0].sum() - ranks[kept < 0].sum()) / ranks.sum())
