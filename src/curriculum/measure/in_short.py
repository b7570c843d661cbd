"""Say in short what a stored comparison has found."""

from __future__ import annotations

from curriculum.measure import effects
from curriculum.measure.verdicts import NOT_JUDGED
from curriculum.store.compared import ComparisonRecord, PairRecord


def answer(found: ComparisonRecord, pair: PairRecord) -> str:
    """Say what was found of a pair: of each hypothesis, and of the measures that belong to none."""
    here = (pair.first, pair.other)
    hypotheses = [own for own in found.hypotheses if (own.first, own.other) == here]
    named = {name for own in hypotheses for name in own.measures}
    verdicts = [own for own in (*found.verdicts, *found.guards) if (own.first, own.other) == here]
    said = [f"{own.id} {own.verdict}" for own in hypotheses]
    said += [f"{own.title} {effects.text(own.value, own.effect, own.unit)} ({own.verdict})" for own in verdicts if own.id not in named]
    return "; ".join(said) if verdicts else NOT_JUDGED
