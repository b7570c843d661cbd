"""The effect of one run against another: how it is estimated and written, the same in tables, sentences and figures.

An effect is a ratio (of two values, or of two times), a difference, or a difference of the shares of seeds for which
something holds. Ratios are estimated as their log10.
"""

from __future__ import annotations

import math

import numpy as np

from curriculum.measure import stats
from curriculum.measure.stats import Array, Estimate

SCALED = ("ratio", "time")  # the kinds that are factors; the others are differences


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

    For pairs, it is the interquartile mean of their effects: the effect itself where there is one pair. For samples
    without pairs, it is the difference of the two interquartile means. NaN where a value is missing.
    """
    if kind == "share":
        return float(first.mean() - other.mean())
    if paired:
        effects = pair_effects(first, other, kind)
        return math.nan if np.isnan(effects).any() else unscaled(stats.center(effects), kind)
    a, b = _on_scale(first, kind), _on_scale(other, kind)
    return math.nan if np.isnan(a).any() or np.isnan(b).any() else unscaled(stats.shift(a, b), kind)


def estimate(first: Array, other: Array, kind: str, paired: bool) -> Estimate:
    """Estimate the same effect with its interval and test; a ratio as its log10."""
    if kind == "share":
        return stats.share_estimate(first, other, paired)
    if paired:
        return stats.paired_estimate(pair_effects(first, other, kind))
    return stats.unpaired_estimate(_on_scale(first, kind), _on_scale(other, kind))


def unscaled(value: float, kind: str) -> float:
    """Turn the log10 of a ratio into the ratio; a difference stays what it is."""
    return float(np.power(10.0, value)) if kind in SCALED else value


def direction(value: float, kind: str) -> int:
    """Tell whether an effect says that the first is higher (1), lower (-1) or neither (0), which includes no effect at all (NaN)."""
    neutral = 1.0 if kind in SCALED else 0.0
    return int(value > neutral) - int(value < neutral)


def number(value: float, kind: str) -> str:
    """Write an effect, or an end of its interval, without the sign of multiplication; a dash where there is none."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if kind == "share":
        return f"{value:+.0%}"
    if kind not in SCALED:
        return f"{value:+.2g}"
    return f"{value:.2f}" if 0.1 <= value < 10 else f"{value:.2g}" if value < 0.1 else f"{value:.3g}"


def text(value: float, kind: str) -> str:
    """Write an effect: as `x0.43`, `+1.5` or `+88%`; a dash where there is none."""
    return f"x{number(value, kind)}" if kind in SCALED and not math.isnan(value) else number(value, kind)


def _on_scale(values: Array, kind: str) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.round(np.log10(values) if kind in SCALED else values, stats.ROUNDING)
