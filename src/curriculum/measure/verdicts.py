"""Judge measures by their effects: the family of tests, the verdicts, and the sentences that say them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from curriculum.measure.stats import Estimate, benjamini_hochberg, holm, paired_estimate, share_estimate, unpaired_estimate

ALPHA = 0.05
FEWEST = 8  # pairs, below which nothing is tested
DIVERGED_SHARE = 0.25  # of an arm's seeds, above which only the divergence is reported
SUPPORTED, CONTRADICTED, NOTHING, INCONCLUSIVE = "supported", "contradicted", "no meaningful difference", "inconclusive"
EXPLORATORY = "exploratory"
SCALED = ("ratio", "time")  # the effects that are factors; the others are differences
Array = NDArray[np.float64]


@dataclass(frozen=True)
class SmallestEffect:
    """The smallest effect of interest: a ratio within 1 +- `ratio` and a count within +- `count` mean nothing.

    Shares of seeds that differ by up to `ratio`, as 0.1, mean nothing either.
    """

    ratio: float = 0.10
    count: float = 0.5

    def bounds(self, effect: str) -> tuple[float, float]:
        """Give the interval of meaningless effects, in the unit of the estimate: log10 of a ratio, or a count."""
        if effect not in SCALED:
            widest = self.count if effect == "difference" else self.ratio
            return -widest, widest
        return math.log10(1 - self.ratio), math.log10(1 + self.ratio)


@dataclass(frozen=True)
class Verdict:
    """What is found of one measure for one pair of runs.

    `value`, `low` and `high` are a ratio or a difference, as `effect` says; `effects` those of the pairs, a ratio as its
    log10 (empty where the runs are not paired). `p_corrected` is p corrected for its family (Holm), for exploratory measures
    their q. `many` says that there are more than two runs. `caveats` qualify it.
    """

    id: str
    title: str
    effect: str
    better: str
    first: str
    other: str
    value: float
    low: float
    high: float
    p: float
    p_corrected: float
    estimate: Estimate
    verdict: str
    effects: tuple[float, ...] = ()
    many: bool = False
    caveats: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Say it as: H1a largest sudden rise: smooth x0.43 of stepped [0.41, 0.45], better in 95% of 64 pairs, p = 3e-11: supported."""
        interval = f"[{self._number(self.low)}, {self._number(self.high)}]"
        count = f"{self.estimate.n} pairs" if self.estimate.paired else f"all pairs of {self.estimate.n} seeds and more, unpaired"
        caveats = f" ({'; '.join(self.caveats)})" if self.caveats else ""
        letter = "q" if self.verdict == EXPLORATORY else "p"
        found = f"{self._effect()} {interval}, better in {self.share_better:.0%} of {count}, {letter} = {self.p_corrected:.1g}"
        name = self.title if self.id == "final" else f"{self.id} {self.title}"
        return f"{name}: {found}: {self.verdict}{caveats}"

    @property
    def share_better(self) -> float:
        """The share of pairs in which the first run is better, ties counted half."""
        return self.estimate.better if self.better == "lower" else 1 - self.estimate.better

    @property
    def amount(self) -> str:
        """The effect as a number: a factor, a difference, or a difference of shares in points."""
        return f"x{self._number(self.value)}" if self.effect in SCALED else self._number(self.value)

    def _effect(self) -> str:
        if self.effect in SCALED:
            return f"{self.first} {self.amount} of {self.other}"
        unit = " of seeds" if self.effect == "share" else ""
        return f"{self.first} {self.amount}{unit} against {self.other}"

    def _number(self, value: float) -> str:
        if not math.isfinite(value):
            return "inf" if value > 0 else "0" if self.effect in SCALED else "-inf"
        if self.effect == "share":
            return f"{value:+.0%}"
        if self.effect not in SCALED:
            return f"{value:+.2g}"
        return f"{value:.2f}" if 0.1 <= value < 10 else f"{value:.2g}" if value < 0.1 else f"{value:.3g}"


def effects(first: Array, other: Array, effect: str) -> Array:
    """Compute the effect of each pair `[N]`: log10 of the ratio, or the difference.

    A value that is infinite is of a run that diverged: it ranks worst, and two of them tie.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log10(first) - np.log10(other) if effect in SCALED else first - other
    return np.where(first == other, 0.0, found)


def judge(estimate: Estimate, p_corrected: float, effect: str, smallest: SmallestEffect, better: str = "lower") -> str:
    """Give the verdict on `the first is better` from an estimate and its corrected p."""
    low, high = (estimate.low, estimate.high) if better == "lower" else (-estimate.high, -estimate.low)
    if p_corrected <= ALPHA and high < 0:
        return SUPPORTED
    if p_corrected <= ALPHA and low > 0:
        return CONTRADICTED
    least, most = smallest.bounds(effect)
    return NOTHING if least <= estimate.low and estimate.high <= most else INCONCLUSIVE


def estimate(first: Array, other: Array, effect: str, paired: bool) -> Estimate:
    """Estimate the effect of two samples, paired or not."""
    if effect == "share":
        return share_estimate(first, other, paired)
    if paired:
        return paired_estimate(effects(first, other, effect))
    with np.errstate(divide="ignore"):
        samples = (np.log10(first), np.log10(other)) if effect in SCALED else (first, other)
    return unpaired_estimate(*samples)


def to_verdict(
    id_: str, title: str, effect: str, better: str, names: tuple[str, str], found: Estimate, pairs: Array, many: bool
) -> Verdict:
    """Make the verdict of one measure, not yet corrected for its family; `pairs` are the effects of the pairs."""
    scale = (lambda value: float(np.power(10.0, value))) if effect in SCALED else (lambda value: value)
    value, low, high = (scale(number) for number in (found.value, found.low, found.high))
    return Verdict(id_, title, effect, better, *names, value, low, high, found.p, math.nan, found, "", tuple(map(float, pairs)), many)


def correct(family: Sequence[Verdict], smallest: SmallestEffect) -> list[Verdict]:
    """Correct a family of verdicts for each other (Holm), and judge each."""
    adjusted = holm([verdict.p for verdict in family])
    judged = []
    for verdict, p in zip(family, adjusted, strict=True):
        verdict_of = judge(verdict.estimate, p, verdict.effect, smallest, verdict.better)
        judged.append(replace(verdict, p_corrected=p, verdict=verdict_of))
    return judged


def explore(found: Sequence[Verdict]) -> list[Verdict]:
    """Correct exploratory effects for each other (Benjamini-Hochberg): they point somewhere, and prove nothing."""
    adjusted = benjamini_hochberg([verdict.p for verdict in found])
    return [replace(verdict, p_corrected=q, verdict=EXPLORATORY) for verdict, q in zip(found, adjusted, strict=True)]


def hypothesis(verdicts: Sequence[str]) -> str:
    """Sum up the verdicts of the measures of one hypothesis."""
    distinct = set(verdicts)
    if len(distinct) == 1:
        return verdicts[0]
    if SUPPORTED in distinct and CONTRADICTED in distinct:
        return "mixed"
    if SUPPORTED in distinct:
        return "partly supported"
    return "partly contradicted" if CONTRADICTED in distinct else INCONCLUSIVE
