"""Judge measures by their effects: the family of tests, the verdicts, and the sentences that say them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from curriculum.measure import effects
from curriculum.measure.effects import SCALED
from curriculum.measure.measuring import Measured
from curriculum.measure.metric import label
from curriculum.measure.stats import Array, Estimate, benjamini_hochberg, holm

ALPHA = 0.05
SUPPORTED, CONTRADICTED, NOTHING, INCONCLUSIVE = "supported", "contradicted", "no meaningful difference", "inconclusive"
SMALL, PERHAPS_SMALL = ", but small", ", perhaps small"  # after supported or contradicted
EXPLORATORY, NOT_JUDGED = "exploratory", "not judged"


@dataclass(frozen=True)
class SmallestEffect:
    """The smallest effect of interest, as a share: for every measure that does not say its own, but for differences.

    With 0.1, ratios between 1 / 1.1 and 1.1, shares of seeds that differ by up to 10 points, and mean counts that differ by up
    to 10% of the baseline's mean count mean nothing. `own` replaces that of some measures, by id: a share likewise, or of a
    difference an amount in its unit.
    """

    ratio: float = 0.10
    own: Mapping[str, float] = field(default_factory=dict)

    def margin(self, row: Measured, baseline: Array) -> float | None:
        """Give the largest meaningless effect of a measure on the scale of its estimate: log10 of a ratio, or a difference.

        None where a measure has none: it is judged for direction only. `baseline` are the values of the run that the other is
        measured against.
        """
        own = self.own.get(row.id, row.smallest)
        share = self.ratio if own is None else own
        if row.effect in SCALED:
            return math.log10(1 + share)
        if row.counts:
            known = baseline[np.isfinite(baseline)]
            return (share * float(known.mean()) if len(known) else 0.0) or None
        return share if row.effect == "share" else own


@dataclass(frozen=True)
class Verdict:
    """What is found of one measure for the run at the place `first` among the runs against the one at the place `other`.

    `value`, `low` and `high` are a ratio or a difference, as `effect` says, and `levels` the medians of the two runs in `unit`, or of
    counts the means. Effects between the ends of `margin` mean nothing; where it is None, there is no such limit. `pair_effects` are
    the effects in the pairs, a ratio as its log10 (empty where the runs are not paired). `p_corrected` is p corrected for its family
    (Holm), for exploratory measures their q. `caveats` qualify it.
    """

    first: int
    other: int
    id: str
    title: str
    unit: str
    effect: str
    better: str
    value: float
    low: float
    high: float
    p: float
    estimate: Estimate
    levels: tuple[float, float]
    counts: bool
    margin: tuple[float, float] | None
    pair_effects: tuple[float, ...] = ()
    p_corrected: float = math.nan
    verdict: str = ""
    caveats: tuple[str, ...] = ()

    def sentence(self, names: Sequence[str]) -> str:
        """Say it of runs with these names.

        As: H1a largest rise: smooth x0.43 of stepped [0.41, 0.45], better in 31 of 32 pairs, p = 3e-8: supported. Or: accuracy on
        the test data: easy +1.0 points against hard [+0.60, +1.4] (medians 94.5% and 93.5%), better in ...
        """
        return f"{self.statement(names)}: {self.verdict}{self.qualified}"

    def statement(self, names: Sequence[str]) -> str:
        """Say what was found of runs with these names: the sentence without the verdict and what qualifies it."""
        link = "of" if self.effect in SCALED else "against"
        letter = "q" if self.verdict == EXPLORATORY else "p"
        found = f"{names[self.first]} {self.amount} {link} {names[self.other]} {self.interval}{self._levels()}"
        return f"{self.label}: {found}, {self.wins}, {letter} = {self.chance}"

    @property
    def qualified(self) -> str:
        """What qualifies the verdict, in parentheses; empty where nothing does."""
        return f" ({'; '.join(self.caveats)})" if self.caveats else ""

    @property
    def interval(self) -> str:
        """The interval of the effect, in brackets."""
        return f"[{effects.number(self.low, self.effect)}, {effects.number(self.high, self.effect)}]"

    def _levels(self) -> str:
        """Say at which level a difference is: a ratio needs none, and shares are counted as a caveat."""
        if self.effect != "difference":
            return ""
        first, other = (effects.level(value, self.unit) for value in self.levels)
        return f" ({'means' if self.counts else 'medians'} {first.removesuffix(f' {self.unit}')} and {other})"

    def doubts(self) -> list[str]:
        """Say what is to be known of how this was judged: the margin, and whether test and intervals agree."""
        found, significant = self.estimate, self.p_corrected <= ALPHA
        doubts = []
        if self.margin is None and self.is_decided:
            doubts.append("direction only: the measure has no smallest effect of interest")
        if significant and not self.is_decided:
            doubts.append("the test finds a difference, but the interval includes none")
        if not significant and (found.wide[0] > 0 or found.wide[1] < 0):
            doubts.append("the interval lies on one side of no difference, but the test finds none")
        return doubts

    @property
    def wins(self) -> str:
        """In how many pairs the first run is better."""
        found = self.estimate
        pairs = found.lower + found.tied + found.higher
        better = found.lower if self.better == "lower" else found.higher
        if not found.paired:
            return f"better in {better / pairs:.0%} and tied in {found.tied / pairs:.0%} of all pairs of at least {found.n} seeds, unpaired"
        if found.tied == pairs:
            return f"tied in all {pairs} pairs"
        return f"better in {better}{f' and tied in {found.tied}' if found.tied else ''} of {pairs} pairs"

    @property
    def is_decided(self) -> bool:
        """Whether a difference was found, in either direction."""
        return self.verdict.startswith((SUPPORTED, CONTRADICTED))

    @property
    def label(self) -> str:
        """The measure's id and title; scores and final errors have the title alone, and the unit of the error."""
        unit = f" ({self.unit})" if self.id == "final" and self.unit else ""
        return label(self.id, self.title) + unit

    @property
    def chance(self) -> str:
        """The corrected p, with two digits where they tell on which side of 0.05 it is."""
        return f"{self.p_corrected:.2g}" if self.p_corrected >= 0.01 else f"{self.p_corrected:.1g}"

    @property
    def amount(self) -> str:
        """The effect as a factor, a difference, or a difference of shares in points."""
        return effects.text(self.value, self.effect, self.unit)


def judge(estimate: Estimate, p_corrected: float, margin: float | None, better: str = "lower") -> str:
    """Give the verdict on `the first is better` from an estimate, its corrected p, and the largest meaningless effect.

    It is significant where p is at most 0.05 and the 95% interval lies on one side of 0. How large it is, is judged by the wider
    interval of its family: the effect is small where the whole of it lies within the margin, and perhaps small where part of it
    does. What is not significant is no meaningful difference where that interval lies within the margin, and that of the mean too.
    """
    low, high = (estimate.low, estimate.high) if better == "lower" else (-estimate.high, -estimate.low)
    within = margin is not None and _within(estimate.wide, margin)
    if p_corrected <= ALPHA and (high < 0 or low > 0):
        across = margin is not None and estimate.wide[0] <= margin and estimate.wide[1] >= -margin
        return (SUPPORTED if high < 0 else CONTRADICTED) + (SMALL if within else PERHAPS_SMALL if across else "")
    return NOTHING if margin is not None and within and _within(estimate.mean, margin) else INCONCLUSIVE


def _within(interval: tuple[float, float], margin: float) -> bool:
    return -margin <= interval[0] and interval[1] <= margin


def correct(family: Sequence[Verdict], share: float = 1.0) -> list[Verdict]:
    """Correct a family of verdicts for each other (Holm), and judge each.

    Their chance of any false one is at most a `share` of ALPHA: p is divided by it, so that it is still compared with ALPHA.
    """
    adjusted = [min(1.0, p / share) for p in holm([verdict.p for verdict in family])]
    return [
        replace(verdict, p_corrected=p, verdict=judge(verdict.estimate, p, _largest(verdict), verdict.better))
        for verdict, p in zip(family, adjusted, strict=True)
    ]


def _largest(verdict: Verdict) -> float | None:
    """Give the largest meaningless effect on the scale of the estimate."""
    if verdict.margin is None:
        return None
    return math.log10(verdict.margin[1]) if verdict.effect in SCALED else verdict.margin[1]


def explore(found: Sequence[Verdict]) -> list[Verdict]:
    """Correct exploratory effects for each other (Benjamini-Hochberg): they point somewhere, and prove nothing."""
    adjusted = benjamini_hochberg([verdict.p for verdict in found])
    return [replace(verdict, p_corrected=q, verdict=EXPLORATORY) for verdict, q in zip(found, adjusted, strict=True)]


def hypothesis(verdicts: Sequence[str]) -> str:
    """Sum up the verdicts of the measures of one hypothesis; without any it is not judged."""
    distinct = set(verdicts)
    if len(distinct) == 1:
        return verdicts[0]
    if not distinct:
        return NOT_JUDGED
    for side in (SUPPORTED, CONTRADICTED):
        if all(verdict.startswith(side) for verdict in distinct):
            return side + PERHAPS_SMALL
    supported, contradicted = (any(verdict.startswith(side) for verdict in distinct) for side in (SUPPORTED, CONTRADICTED))
    if supported and contradicted:
        return "mixed"
    if supported:
        return "partly supported"
    return "partly contradicted" if contradicted else INCONCLUSIVE
