"""Judge the differences between runs: estimates by pair of runs, and what qualifies them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from curriculum.measure import verdicts
from curriculum.measure.measuring import Figure
from curriculum.measure.verdicts import Verdict
from curriculum.store.reader import Run


def shared_seeds(first: Run, other: Run) -> list[int]:
    """List the seeds that pair: those in both runs."""
    return [seed for seed in first.seeds if seed in other.seeds]


def estimates(runs: Sequence[Run], figures: Sequence[Figure]) -> list[Verdict]:
    """Estimate every figure for the first run against each other one, where both have enough seeds."""
    found = []
    first = runs[0]
    for other in runs[1:]:
        shared = shared_seeds(first, other)
        if min(len(first.seeds), len(other.seeds)) < verdicts.FEWEST or 0 < len(shared) < verdicts.FEWEST:
            continue
        if max(diverged_share(first), diverged_share(other)) > verdicts.DIVERGED_SHARE:
            continue
        for figure in figures:
            a = np.array([figure.values[first.name][first.seeds.index(seed)] for seed in shared or first.seeds])
            b = np.array([figure.values[other.name][other.seeds.index(seed)] for seed in shared or other.seeds])
            if np.isnan(a).any() or np.isnan(b).any():
                continue
            estimate = verdicts.estimate(a, b, figure.effect, paired=bool(shared))
            pairs = verdicts.effects(a, b, figure.effect) if shared else np.empty(0)
            names = (first.name, other.name)
            made = verdicts.to_verdict(figure.id, figure.title, figure.effect, figure.better, names, estimate, pairs, len(runs) > 2)
            found.append(made)
    return found


def diverged_share(run: Run) -> float:
    """Give the share of a run's seeds that diverged."""
    return len(run.diverged) / len(run.seeds)


def caveats_of(
    runs: Sequence[Run], verdict: Verdict, guards: Sequence[Verdict], variants: dict[Any, Any], primary: Sequence[Figure]
) -> list[str]:
    """Qualify a verdict: what it cost, how often it happened, and whether it holds for other settings of the measure."""
    caveats = []
    figure = next(figure for figure in primary if figure.id == verdict.id)
    if verdict.effect in ("share", "time"):
        pair = [run for run in runs if run.name in (verdict.first, verdict.other)]
        caveats.append(" and ".join(f"{_happened(run, figure)} of {len(run.seeds)} in {run.name}" for run in pair))
    if verdict.verdict == verdicts.SUPPORTED:
        costs = [guard for guard in guards if guard.other == verdict.other and guard.verdict == verdicts.CONTRADICTED]
        if costs:
            worst = max(costs, key=lambda guard: guard.value)
            caveats.append(f"at the cost of a final error x{worst.value:.2f}")
    first, other = (next(run for run in runs if run.name == name) for name in (verdict.first, verdict.other))
    for (metric, _), values in variants.items():
        if metric == verdict.id:
            figure = Figure(metric, verdict.title, "", verdict.effect, verdict.better, "whole", values)
            again = estimates([first, other], [figure])
            if again and again[0].estimate.value * verdict.estimate.value < 0:
                return [*caveats, "depends on the window"]
    return caveats


def _happened(run: Run, figure: Figure) -> int:
    """Count the seeds of a run for which it holds, or has happened by the run's last step."""
    own = figure.values[run.name]
    return sum(value == 1 if figure.effect == "share" else value <= run.schedule.last_step for value in own)


def hypotheses_of(judged: Sequence[Verdict], questions: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Sum up each hypothesis for each run that the first is measured against."""
    return {
        other: {
            name: verdicts.hypothesis([verdict.verdict for verdict in judged if verdict.other == other and verdict.id.startswith(name)])
            for name in questions
        }
        for other in dict.fromkeys(verdict.other for verdict in judged)
    }
