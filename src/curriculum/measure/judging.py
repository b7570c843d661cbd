"""Judge what was measured: the verdicts on each measure, what qualifies them, and what they say of the hypotheses."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from curriculum.measure import effects, verdicts
from curriculum.measure.exact import pairs_needed, smallest_p
from curriculum.measure.measures import FINAL
from curriculum.measure.measuring import Measured, Measurements
from curriculum.measure.pairing import ComparedRun, Lineup, Pairing
from curriculum.measure.verdicts import ALPHA, SmallestEffect, Verdict
from curriculum.store.manifest import HypothesisManifest

TRAINED_ALIKE = 100  # times the final error of one run is that of the other, beyond which their stability is not judged


@dataclass(frozen=True)
class Hypothesis:
    """What the verdicts say of one hypothesis, for the run at the place `first` against the one at the place `other`.

    `measures` are the ids of the measures that it is about.
    """

    id: str
    question: str
    measures: tuple[str, ...]
    first: int
    other: int
    verdict: str


@dataclass(frozen=True)
class Judgement:
    """What is found: of the measures and of the final errors, which are one family of `tests`, and of exploratory measures.

    `notes` say what was not judged, and what could not be decided.
    """

    tests: int
    verdicts: tuple[Verdict, ...]
    guards: tuple[Verdict, ...]
    explored: tuple[Verdict, ...]
    hypotheses: tuple[Hypothesis, ...]
    notes: tuple[str, ...]


def judge(
    found: Sequence[Measurements],
    lineup: Lineup,
    questions: Mapping[str, HypothesisManifest],
    smallest: SmallestEffect,
    primary: Collection[str] | None = None,
    share: float = 1.0,
) -> Judgement:
    """Judge the effects of the pairs of runs that have enough seeds; `questions` are the hypotheses.

    Of the measures that could be judged only those with `primary` ids are, if any are given; the others are exploratory.
    All verdicts together may spend a `share` of the error that is allowed.
    """
    tested = [own for own in found if own.pairing.tested]
    able = [(own, row) for own in tested for row in (*own.measures, *own.final) if _is_judged(row, own)]
    explored = [(own, row) for own in tested for row in own.exploratory if row.judged and not math.isnan(row.value)]
    rows, others = able, explored
    if primary is not None:
        every = [(own, row) for own in tested for row in (*own.measures, *own.exploratory, *own.final) if _is_judged(row, own)]
        rows = [(own, row) for own, row in every if row.id in primary]
        others = [(own, row) for own, row in (*able, *explored) if row.id not in primary]
    family = verdicts.correct([estimated(row, own.pairing, smallest, len(rows), share) for own, row in rows], share)
    guards = [verdict for verdict in family if verdict.id == FINAL]
    judged = [
        replace(verdict, caveats=tuple(_caveats(verdict, row, own, guards, lineup.runs)))
        for verdict, (own, row) in zip(family, rows, strict=True)
    ]
    return Judgement(
        tests=len(rows),
        verdicts=tuple(verdict for verdict in judged if verdict.id != FINAL),
        guards=tuple(verdict for verdict in judged if verdict.id == FINAL),
        explored=tuple(verdicts.explore([estimated(row, own.pairing, smallest, 1) for own, row in others])),
        hypotheses=tuple(hypothesis for own in tested for hypothesis in _hypotheses(judged, own, questions, primary)),
        notes=(*(note for own in tested for note in _not_judged(own, lineup.runs)), *_undecidable(judged, share)),
    )


def _is_judged(row: Measured, found: Measurements) -> bool:
    """Tell whether a row has an effect that is judged: stability only of runs that both trained beyond the first descent."""
    stability = row.window in found.windows
    if not row.judged or math.isnan(row.value):
        return False
    return not stability or (found.long_enough and not _apart(found) and not found.untrained)


def _apart(found: Measurements) -> bool:
    """Tell whether the final errors on the main probe are so far apart that the runs are in different regimes."""
    value = found.final[0].value if found.final else 1.0
    return value < 1 / TRAINED_ALIKE or value > TRAINED_ALIKE


def _not_judged(found: Measurements, runs: Sequence[ComparedRun]) -> Iterator[str]:
    """Say which measures are not judged although they have an effect, and why."""
    first, other = runs[found.pairing.first].name, runs[found.pairing.other].name
    rows = [row for row in found.measures if row.judged and row.window in found.windows and not math.isnan(row.value)]
    start = f"the stability of {first} and {other} is not judged: "
    if rows and found.untrained:
        names = " and ".join(runs[place].name for place in found.untrained)
        yield f"{start}in most seeds of {names}, the error ends no lower than it began, or error or latents stand still"
    elif rows and _apart(found):
        apart = effects.text(found.final[0].value, "ratio", "")
        yield f"{start}the final error of {first} is {apart} of {other}'s, beyond a factor of {TRAINED_ALIKE}"


def _undecidable(judged: Sequence[Verdict], share: float) -> Iterator[str]:
    """Say how small p can get, where that is not small enough to find anything."""
    fewest = min((verdict.estimate.n for verdict in judged if verdict.estimate.paired), default=0)
    least = smallest_p(fewest, len(judged) / share)
    if fewest and least > ALPHA:
        yield (
            f"with {fewest} pairs and {len(judged)} tests, p cannot be below {least:.2g}, so that no difference "
            f"can be found: {pairs_needed(len(judged) / share)} pairs or fewer tests are needed"
        )


def estimated(row: Measured, pairing: Pairing, smallest: SmallestEffect, tests: int, share: float = 1.0) -> Verdict:
    """Make the verdict of one measure as one of so many tests, not yet corrected for its family."""
    first, other = pairing.pick(row.values)
    estimate = effects.estimate(first, other, row.kind, pairing.paired, tests, share)
    largest = smallest.margin(row, other)
    return Verdict(
        first=row.first,
        other=row.other,
        id=row.id,
        title=row.title,
        unit=row.unit,
        effect=row.effect,
        better=row.better,
        value=row.value,
        low=effects.unscaled(estimate.low, row.effect),
        high=effects.unscaled(estimate.high, row.effect),
        p=estimate.p,
        estimate=estimate,
        levels=row.levels,
        counts=row.counts,
        margin=None if largest is None else (effects.unscaled(-largest, row.effect), effects.unscaled(largest, row.effect)),
        pair_effects=tuple(map(float, effects.pair_effects(first, other, row.effect))) if pairing.paired else (),
    )


def _caveats(verdict: Verdict, row: Measured, found: Measurements, guards: Sequence[Verdict], runs: Sequence[ComparedRun]) -> Iterator[str]:
    """Say what qualifies a verdict: how often it happened, what it cost, and whether it holds for other settings of the measure."""
    if row.effect in ("share", "time"):
        pair = [(runs[place], own) for place, own in zip((row.first, row.other), row.values, strict=True)]
        yield " and ".join(f"{_happened(row, run, values)} of {len(values)} in {run.name}" for run, values in pair)
    costs = [guard for guard in guards if (guard.first, guard.other) == (row.first, row.other)]
    worse = [guard for guard in costs if guard.verdict.startswith(verdicts.CONTRADICTED)]
    if verdict.id != FINAL and verdict.verdict.startswith(verdicts.SUPPORTED) and worse:
        yield f"at the cost of a final error {max(worse, key=lambda guard: guard.value).amount}"
    yield from verdict.doubts()
    varied = found.variants.get(row.id, ())
    own = effects.direction(verdict.value, row.effect)
    if any(own * effects.direction(variant.value, row.effect) < 0 for variant in varied):
        yield "depends on the window"
    elif any(math.isnan(variant.value) for variant in varied):
        yield "not checked in every window"
    elif verdict.is_decided and any(_chance(variant, found.pairing) > ALPHA for variant in varied):
        yield "not significant in every window"


def _chance(row: Measured, pairing: Pairing) -> float:
    """Compute the p of a measure with other settings, by itself."""
    return effects.estimate(*pairing.pick(row.values), row.kind, pairing.paired).p


def _happened(row: Measured, run: ComparedRun, values: Sequence[float]) -> int:
    """Count the seeds of a run for which it holds, or has happened by the run's last step."""
    return sum(value == 1 if row.effect == "share" else value <= run.last_step for value in values)


def _hypotheses(
    judged: Sequence[Verdict], found: Measurements, questions: Mapping[str, HypothesisManifest], primary: Collection[str] | None
) -> Iterator[Hypothesis]:
    """Sum up the measures of each hypothesis for a pair of runs: the `primary` ones, if any are given."""
    known = [row.id for row in found.measures if row.judged]
    first, other = found.pairing.first, found.pairing.other
    here = [verdict for verdict in judged if (verdict.first, verdict.other) == (first, other)]
    for name, hypothesis in questions.items():
        # Old runs name no measures.
        ids = [own for own in known if own.startswith(name)] if hypothesis.measures is None else hypothesis.measures
        if primary is not None:
            ids = [id_ for id_ in ids if id_ in primary]
            if not ids:
                continue
        own = [word for id_ in ids for word in [verdict.verdict for verdict in here if verdict.id == id_] or [verdicts.NOT_JUDGED]]
        yield Hypothesis(name, hypothesis.question, tuple(ids), first, other, verdicts.hypothesis(own))
