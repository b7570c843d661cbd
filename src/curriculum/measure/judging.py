"""Judge what was measured: the verdicts on each measure, what qualifies them, and what they say of the hypotheses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from curriculum.measure import effects, verdicts
from curriculum.measure.measuring import Measured, Measurements
from curriculum.measure.pairing import ComparedRun, Lineup, Pairing
from curriculum.measure.verdicts import SmallestEffect, Verdict
from curriculum.store.manifest import HypothesisManifest


@dataclass(frozen=True)
class Hypothesis:
    """What the verdicts say of one hypothesis, for the first run against another, `other` being its place among the runs.

    `measures` are the ids of the measures that it is about.
    """

    id: str
    question: str
    measures: tuple[str, ...]
    other: int
    verdict: str


@dataclass(frozen=True)
class Judgement:
    """What is found: of the measures that are tested as one family, of the final errors, and of exploratory measures."""

    verdicts: tuple[Verdict, ...]
    guards: tuple[Verdict, ...]
    explored: tuple[Verdict, ...]
    hypotheses: tuple[Hypothesis, ...]


def judge(found: Measurements, lineup: Lineup, questions: Mapping[str, HypothesisManifest], smallest: SmallestEffect) -> Judgement:
    """Judge the effects of the first run against each other one, where both have enough seeds; `questions` are the hypotheses."""
    guards = [verdicts.correct([guard])[0] for guard in estimates(found.final, lineup.pairings, smallest)]
    # What counts at the end of training does not depend on the first descent.
    rows = [row for row in found.measures if found.long_enough or row.window not in found.windows]
    family = estimates(rows, lineup.pairings, smallest)
    judged = [replace(verdict, caveats=tuple(_caveats(verdict, found, guards, lineup.runs))) for verdict in verdicts.correct(family)]
    return Judgement(
        verdicts=tuple(judged),
        guards=tuple(guards),
        explored=tuple(verdicts.explore(estimates(found.exploratory, lineup.pairings, smallest))),
        hypotheses=tuple(_hypotheses([*judged, *guards], found, lineup.pairings, questions)),
    )


def estimates(rows: Sequence[Measured], pairings: Sequence[Pairing], smallest: SmallestEffect) -> list[Verdict]:
    """Estimate the effects that are judged, each with its interval and test; what has no effect is left out."""
    return [
        _estimate(row, pairing, smallest)
        for pairing in pairings
        for row in rows
        if pairing.tested and row.judged and not math.isnan(row.effects[pairing.other - 1])
    ]


def _estimate(row: Measured, pairing: Pairing, smallest: SmallestEffect) -> Verdict:
    """Make the verdict of one measure, not yet corrected for its family."""
    first, other = pairing.pick(row.values)
    found = effects.estimate(first, other, row.effect, pairing.paired)
    low, high = (effects.unscaled(end, row.effect) for end in (found.low, found.high))
    pairs = tuple(map(float, effects.pair_effects(first, other, row.effect))) if pairing.paired else ()
    largest = smallest.margin(row, other)
    margin = None if largest is None else (effects.unscaled(-largest, row.effect), effects.unscaled(largest, row.effect))
    what, medians = (row.id, row.title, row.unit, row.effect, row.better), (row.median(0), row.median(pairing.other))
    return Verdict(*what, pairing.other, row.effects[pairing.other - 1], low, high, found.p, found, medians, margin, pairs)


def _caveats(verdict: Verdict, found: Measurements, guards: Sequence[Verdict], runs: Sequence[ComparedRun]) -> Iterator[str]:
    """Say what qualifies a verdict: how often it happened, what it cost, and whether it holds for other settings of the measure."""
    row = next(row for row in found.measures if row.id == verdict.id and row.judged)
    if row.effect in ("share", "time"):
        pair = [(runs[place], row.values[place]) for place in (0, verdict.other)]
        yield " and ".join(f"{_happened(row, run, values)} of {len(values)} in {run.name}" for run, values in pair)
    costs = [guard for guard in guards if guard.other == verdict.other and guard.verdict.startswith(verdicts.CONTRADICTED)]
    if verdict.verdict.startswith(verdicts.SUPPORTED) and costs:
        yield f"at the cost of a final error {max(costs, key=lambda guard: guard.value).amount}"
    if verdict.margin is None and verdict.verdict in (verdicts.SUPPORTED, verdicts.CONTRADICTED):
        yield "direction only: the measure has no smallest effect of interest"
    varied = [variant.effects[verdict.other - 1] for variant in found.variants[row.id]]
    own = effects.direction(verdict.value, row.effect)
    if any(own * effects.direction(value, row.effect) < 0 for value in varied):
        yield "depends on the window"
    elif any(math.isnan(value) for value in varied):
        yield "not checked in every window"


def _happened(row: Measured, run: ComparedRun, values: Sequence[float]) -> int:
    """Count the seeds of a run for which it holds, or has happened by the run's last step."""
    return sum(value == 1 if row.effect == "share" else value <= run.last_step for value in values)


def _hypotheses(
    judged: Sequence[Verdict], found: Measurements, pairings: Sequence[Pairing], questions: Mapping[str, HypothesisManifest]
) -> Iterator[Hypothesis]:
    """Sum up the measures of each hypothesis, for each run with which the first is tested."""
    known = [row.id for row in found.measures if row.judged]
    for other in [pairing.other for pairing in pairings if pairing.tested]:
        for name, hypothesis in questions.items():
            # Old runs name no measures.
            ids = [own for own in known if own.startswith(name)] if hypothesis.measures is None else hypothesis.measures
            own = [_verdicts_of(id_, [verdict for verdict in judged if verdict.other == other]) for id_ in ids]
            yield Hypothesis(name, hypothesis.question, tuple(ids), other, verdicts.hypothesis([one for found in own for one in found]))


def _verdicts_of(id_: str, judged: Sequence[Verdict]) -> list[str]:
    return [verdict.verdict for verdict in judged if verdict.id == id_] or [verdicts.NOT_JUDGED]
