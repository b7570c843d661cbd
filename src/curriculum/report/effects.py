"""The effects that the page draws: those of the comparison, pair by pair, with the seeds that they are of."""

from __future__ import annotations

from typing import Any

from curriculum.measure.comparison import Comparison
from curriculum.measure.effects import SCALED
from curriculum.measure.plain import plain_values
from curriculum.measure.verdicts import Verdict


def effects(found: Comparison) -> list[dict[str, Any]]:
    """List what was judged, for the live figure: numbers as the comparison has them, ratios of pairs not as logarithms."""
    rows = [(own, found) for own in (*found.verdicts, *found.guards)]
    listed: list[dict[str, Any]] = plain_values([_row(*row) for row in rows])
    return listed


def _row(verdict: Verdict, found: Comparison) -> dict[str, Any]:
    scaled = verdict.effect in SCALED
    shared = sorted(set(found.runs[verdict.first].seeds) & set(found.runs[verdict.other].seeds))
    pairs = [10**value if scaled else value for value in verdict.pair_effects]
    seeds = shared if len(shared) == len(pairs) else []
    return {
        "first": verdict.first,
        "other": verdict.other,
        "label": verdict.label,
        "unit": verdict.unit,
        "scaled": scaled,
        "better": verdict.better,
        "value": verdict.value,
        "low": verdict.low,
        "high": verdict.high,
        "margin": verdict.margin,
        "pairs": pairs,
        "seeds": seeds,
        "verdict": verdict.verdict,
        "sentence": verdict.sentence(found.names),
    }
