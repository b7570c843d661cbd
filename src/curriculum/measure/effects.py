"""The effect of one run against another: how it is estimated and written, the same in tables, sentences and figures.

An effect is a ratio (of two values, or of two times), a difference (perhaps of counts), or a difference of the shares of seeds
for which something holds. Ratios are estimated as their log10.
"""

from __future__ import annotations

import math

import numpy as np

from curriculum.measure import stats
from curriculum.measure.stats import Array, Estimate

SCALED = ("ratio", "time")  # the kinds that are factors; the others are differences
COUNT = "count"  # the kind of a difference of counts
MANY = 9.95  # differences from here on have no decimals


def pair_effects(first: Array, other: Array, kind: str) -> Array:
    """Compute the effect in each pair `[N]`: log10 of the ratio, or the difference.

    An infinite value belongs to a run that diverged: it ranks worst, and two of them tie. A ratio of which one value is
    negative is NaN.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log10(first) - np.log10(other) if kind in SCALED else first - other
    return np.where(first == other, 0.0, np.round(found, stats.ROUNDING))


def effect(first: Array, other: Array, kind: str, paired: bool) -> float:
    """Estimate the effect of one sample against another, in its own unit: a ratio or a difference.

    For pairs, it is the interquartile mean of their effects, of a count the mean: the effect itself where there is one pair. For
    samples without pairs, it is the difference of the two such means. NaN where a value is missing.
    """
    if kind == "share":
        return float(first.mean() - other.mean())
    if paired:
        effects = pair_effects(first, other, kind)
        return math.nan if np.isnan(effects).any() else unscaled(stats.center(effects, kind == COUNT), kind)
    a, b = _on_scale(first, kind), _on_scale(other, kind)
    return math.nan if np.isnan(a).any() or np.isnan(b).any() else unscaled(stats.shift(a, b, kind == COUNT), kind)


def estimate(first: Array, other: Array, kind: str, paired: bool, tests: int = 1, share: float = 1.0) -> Estimate:
    """Estimate the same effect with its intervals and test, as one of so many tests; a ratio as its log10.

    The intervals have a `share` of the error that they may have.
    """
    if kind == "share":
        return stats.share_estimate(first, other, paired, tests, share)
    if paired:
        return stats.paired_estimate(pair_effects(first, other, kind), kind == COUNT, tests, share)
    return stats.unpaired_estimate(_on_scale(first, kind), _on_scale(other, kind), kind == COUNT, tests, share)


def unscaled(value: float, kind: str) -> float:
    """Turn the log10 of a ratio into the ratio; a difference stays what it is."""
    return float(np.power(10.0, value)) if kind in SCALED else value


def direction(value: float, kind: str) -> int:
    """Tell whether an effect says that the first is higher (1), lower (-1) or neither (0), which includes no effect at all (NaN)."""
    neutral = 1.0 if kind in SCALED else 0.0
    return int(value > neutral) - int(value < neutral)


def number(value: float, kind: str) -> str:
    """Write an effect, or an end of its interval, without its unit or sign of multiplication; a dash where there is none."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if kind == "share":
        return f"{100 * value:+.0f}"
    if kind in SCALED:
        return f"{value:.2f}" if 0.1 <= value < 10 else f"{value:.2g}" if value < 0.1 else f"{value:.3g}"
    if abs(value) >= MANY:
        return f"{value:+,.0f}"
    # Two significant digits, also where the second is 0.
    return f"{value:+#.2g}"


def text(value: float, kind: str, unit: str) -> str:
    """Write an effect on values in a unit: as `x0.43`, `+1.5 spikes` or `+88 points`; a dash where there is none."""
    if math.isnan(value):
        return "-"
    if kind in SCALED:
        return f"x{number(value, kind)}"
    return f"{number(value, kind)} {difference_unit(kind, unit)}".rstrip()


def difference_unit(kind: str, unit: str) -> str:
    """Name the unit of a difference: that of percentages and of shares is the percentage point."""
    return "points" if kind == "share" or unit == "%" else unit


def level(value: float, unit: str, digits: int = 3) -> str:
    """Write a value with its unit, as `94.5%` or `1.2 dex`; a dash where there is none."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "diverged"
    # A percentage near 100 differs from others in its decimals.
    return f"{value:.{digits - 1}f}%" if unit == "%" else f"{value:.{digits}g} {unit}".rstrip()


def _on_scale(values: Array, kind: str) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.round(np.log10(values) if kind in SCALED else values, stats.ROUNDING)
