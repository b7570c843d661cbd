"""Judge measures by their effects: the families of tests, the verdicts, and the sentences that say them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from curriculum.measure import effects
from curriculum.measure.effects import SCALED
from curriculum.measure.metric import label
from curriculum.measure.stats import Estimate, benjamini_hochberg, holm

ALPHA = 0.05
SUPPORTED, CONTRADICTED, NOTHING, INCONCLUSIVE = "supported", "contradicted", "no meaningful difference", "inconclusive"
EXPLORATORY, NOT_JUDGED = "exploratory", "not judged"


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
    """What is found of one measure for the first run against another, `other` being its place among the runs.

    `value`, `low` and `high` are a ratio or a difference, as `effect` says; `pair_effects` those of the pairs, a ratio as its
    log10 (empty where the runs are not paired). `p_corrected` is p corrected for its family (Holm), for exploratory measures
    their q. `caveats` qualify it.
    """

    id: str
    title: str
    effect: str
    better: str
    other: int
    value: float
    low: float
    high: float
    p: float
    estimate: Estimate
    pair_effects: tuple[float, ...] = ()
    p_corrected: float = math.nan
    verdict: str = ""
    caveats: tuple[str, ...] = ()

    def sentence(self, names: Sequence[str]) -> str:
        """Say it of runs with these names.

        As: H1a largest rise: smooth x0.43 of stepped [0.41, 0.45], better in 95% of 64 pairs, p = 3e-11: supported.
        """
        link = "of" if self.effect in SCALED else "of seeds vs" if self.effect == "share" else "vs"
        interval = f"[{effects.number(self.low, self.effect)}, {effects.number(self.high, self.effect)}]"
        count = f"{self.estimate.n} pairs" if self.estimate.paired else f"all pairs of at least {self.estimate.n} seeds per run, unpaired"
        letter = "q" if self.verdict == EXPLORATORY else "p"
        caveats = f" ({'; '.join(self.caveats)})" if self.caveats else ""
        found = f"{names[0]} {self.amount} {link} {names[self.other]} {interval}"
        chance = f"better in {self.share_better:.0%} of {count}, {letter} = {self.p_corrected:.1g}"
        return f"{self.label}: {found}, {chance}: {self.verdict}{caveats}"

    @property
    def label(self) -> str:
        """The measure's id and title; final errors have the title alone."""
        return label(self.id, self.title)

    @property
    def share_better(self) -> float:
        """The share of pairs in which the first run is better, ties counted half."""
        return self.estimate.better if self.better == "lower" else 1 - self.estimate.better

    @property
    def amount(self) -> str:
        """The effect as a factor, a difference, or a difference of shares in points."""
        return effects.text(self.value, self.effect)


def judge(estimate: Estimate, p_corrected: float, effect: str, smallest: SmallestEffect, better: str = "lower") -> str:
    """Give the verdict on `the first is better` from an estimate and its corrected p."""
    low, high = (estimate.low, estimate.high) if better == "lower" else (-estimate.high, -estimate.low)
    if p_corrected <= ALPHA and high < 0:
        return SUPPORTED
    if p_corrected <= ALPHA and low > 0:
        return CONTRADICTED
    least, most = smallest.bounds(effect)
    return NOTHING if least <= estimate.low and estimate.high <= most else INCONCLUSIVE


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
