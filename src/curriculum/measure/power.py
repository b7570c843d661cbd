"""How many pairs of seeds it takes to decide a measure, judged from the pairs that there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from curriculum.console import joined
from curriculum.measure.comparison import Comparison
from curriculum.measure.effects import SCALED
from curriculum.measure.metric import label
from curriculum.measure.stats import LEVEL, Array
from curriculum.measure.verdicts import ALPHA, Verdict

PAIRS = (8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256, 384, 512)
EXPERIMENTS, RESAMPLES = 400, 499  # that are simulated for each number of pairs, and of each experiment
CHANCES = (0.80, 0.95)
RANDOM_SEED = 20_210_830


@dataclass(frozen=True)
class Power:
    """How many pairs it takes to decide one measure of one pair of runs.

    `needed` has the number of pairs for each of `CHANCES`, None where more than the largest of `PAIRS` are. `decided` is the share of
    simulated experiments that are decided, by their number of pairs: a difference, or none that means anything. `correlation` is that of
    the two runs over seeds, and `saved` how many times as many seeds it takes without pairs; NaN where a run does not vary.
    """

    id: str
    title: str
    first: int
    other: int
    amount: str
    pairs: int
    needed: tuple[int | None, ...]
    decided: dict[int, float]
    correlation: float
    saved: float


def power(found: Comparison) -> list[Power]:
    """Estimate for each judged measure with pairs how many of them decide it, as one of all tests of the comparison.

    Experiments are drawn from the pairs of the pilot, with replacement. Each is judged as `compare` does, but with a normal
    approximation of the test, fewer resamples, and without the exact limits for rare events.
    """
    rows = {(row.first, row.other, row.id, row.title): row for row in (*found.measures, *found.final) if row.judged}
    made = []
    for verdict in (*found.verdicts, *found.guards):
        if verdict.estimate.paired and verdict.effect != "share" and np.isfinite(verdict.pair_effects).all():
            row = rows[verdict.first, verdict.other, verdict.id, verdict.title]
            first, other = (np.asarray(values) for values in row.values)
            decided = {}
            for pairs in PAIRS:
                decided[pairs] = _decided(verdict, pairs, found.tests)
                if decided[pairs] >= CHANCES[-1]:
                    break
            needed = tuple(next((pairs for pairs, share in decided.items() if share >= chance), None) for chance in CHANCES)
            what = verdict.id, label(verdict.id, verdict.title), verdict.first, verdict.other, verdict.amount
            shared = _shared(found, verdict, (first, other))
            made.append(Power(*what, len(verdict.pair_effects), needed, decided, *_pairing(*shared, verdict.effect)))
    return made


def _shared(found: Comparison, verdict: Verdict, values: tuple[Array, Array]) -> tuple[Array, Array]:
    """Pick the values of the seeds that both runs have."""
    seeds = found.runs[verdict.first].seeds, found.runs[verdict.other].seeds
    both = [seed for seed in seeds[0] if seed in seeds[1]]
    first, other = (own[[mine.index(seed) for seed in both]] for own, mine in zip(values, seeds, strict=True))
    return first, other


def _decided(verdict: Verdict, pairs: int, tests: int) -> float:
    """Compute the share of simulated experiments of so many pairs that are decided."""
    from scipy.stats import norm, rankdata, t

    rng = np.random.default_rng(RANDOM_SEED)
    d = np.sort(np.asarray(verdict.pair_effects)[rng.integers(0, len(verdict.pair_effects), (EXPERIMENTS, pairs))], axis=1)
    weights = d if verdict.counts else rankdata(np.abs(d), axis=1) * np.sign(d)
    spread = np.sqrt((weights**2).sum(axis=1))
    z = np.divide(np.abs(weights.sum(axis=1)), spread, out=np.zeros(EXPERIMENTS), where=spread > 0)
    p = 2 * norm.sf(z) * tests

    alone, wide = (norm.cdf(t.ppf((1 - LEVEL) / 2 / count, pairs - 1) * math.sqrt(pairs / (pairs - 1))) for count in (1, tests))
    ends = [wide, alone, 1 - alone, 1 - wide]
    middle = np.quantile(d @ _shares(pairs, 0 if verdict.counts else pairs // 4).T, ends, axis=1)
    different = (p <= ALPHA) & ((middle[1] > 0) | (middle[2] < 0))
    margin = _largest(verdict)
    if margin <= 0:
        return float(np.mean(different))
    mean = middle if verdict.counts else np.quantile(d @ _shares(pairs, 0).T, ends, axis=1)
    alike = (np.minimum(middle[0], mean[0]) >= -margin) & (np.maximum(middle[3], mean[3]) <= margin)
    return float(np.mean(different | alike))


@lru_cache(maxsize=2 * len(PAIRS))
def _shares(pairs: int, cut: int) -> Array:
    """Give the share of each pair, in the order of their effects, in the mean of each resample without `cut` at either end: `[R, N]`."""
    places = np.sort(np.random.default_rng(RANDOM_SEED).integers(0, pairs, (RESAMPLES, pairs)), axis=1)[:, cut : pairs - cut]
    found = np.zeros((RESAMPLES, pairs))
    np.add.at(found, (np.arange(RESAMPLES)[:, None], places), 1 / places.shape[1])
    return found


def _largest(verdict: Verdict) -> float:
    """Give the largest meaningless effect on the scale of the pairs' effects; below 0 where there is none."""
    if verdict.margin is None:
        return -1.0
    return math.log10(verdict.margin[1]) if verdict.effect in SCALED else verdict.margin[1]


def _pairing(first: Array, other: Array, effect: str) -> tuple[float, float]:
    """Compute the correlation of the runs over seeds, and how many times as many seeds the same precision takes without pairs."""
    if effect in SCALED:
        with np.errstate(divide="ignore"):
            first, other = np.log10(first), np.log10(other)
    if not (np.isfinite(first).all() and np.isfinite(other).all() and first.std() > 0 and other.std() > 0):
        return math.nan, math.nan
    correlation = float(np.corrcoef(first, other)[0, 1])
    apart = float((first - other).var())
    return correlation, float((first.var() + other.var()) / apart) if apart > 0 else math.inf


def said(found: Comparison, powers: Sequence[Power]) -> list[str]:
    """Say in sentences how many pairs decide everything, and whether pairing helps."""
    sentences = []
    for chance, place in zip(CHANCES, range(len(CHANCES)), strict=True):
        needed = [own.needed[place] for own in powers]
        known = [count for count in needed if count is not None]
        text = f"{max(known)} pairs" if len(known) == len(needed) and known else f"more than {PAIRS[-1]} pairs"
        sentences.append(f"to decide every measure in {chance:.0%} of experiments like this one: {text}")
    several = len({(own.first, own.other) for own in powers}) > 1
    useless = [
        f"{own.title} ({found.names[own.first]} against {found.names[own.other]})" if several else own.title
        for own in powers
        if own.saved <= 1
    ]
    if useless:
        sentences.append(f"pairing by seed does not help here: {', '.join(dict.fromkeys(useless))}")
    if powers:
        runs = joined(found.names)
        fewest = min(own.pairs for own in powers)
        sentences.append(f"this comes from {fewest} pairs of {runs}; the true effects may be smaller, and then it takes more")
    return sentences
