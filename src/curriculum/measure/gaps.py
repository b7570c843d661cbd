"""What was not measured, and why as far as is known: no value is left out without a word."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from curriculum.measure.measuring import LAST, PER_THOUSAND, Measured, Measurements
from curriculum.measure.pairing import ComparedRun


def gaps(found: Measurements, runs: Sequence[ComparedRun]) -> Iterator[str]:
    """Say what cannot be seen or tested, and which seeds have no value of which measures.

    Measures of which the same is to say share a sentence.
    """
    if found.stride > 1:
        yield f"the error is compared every {found.stride} steps; faster changes are not visible"
    if not found.long_enough:
        yield "the steps common to all runs end within the first phase: only the initial descent is measured, and nothing is tested"
    alike: dict[str, list[str]] = {}
    for row in (*found.final, *found.measures, *found.exploratory, *found.gated):
        # A rate has no value where its count has none, and what is only shown none in a window without steps.
        empty = row.window in found.windows and not found.windows[row.window].any() and not row.judged
        if not row.window.endswith(PER_THOUSAND) and not empty and (gap := _gap(row, found, runs)):
            alike.setdefault(gap, []).append(row.title if row.window == LAST else row.id)
    for gap, measures in alike.items():
        yield f"{', '.join(measures)}{gap}"


def _gap(row: Measured, found: Measurements, runs: Sequence[ComparedRun]) -> str:
    """Say which seeds have no value of a measure, what follows, and what a value needs; nothing where all have one."""
    lost = [run.name for run, effect in zip(runs[1:], row.effects, strict=True) if math.isnan(effect)]
    seeds = [_seeds(run, own) for run, own in zip(runs, row.values, strict=True) if any(map(math.isnan, own))]
    if not seeds:
        return f": values are negative, so no ratio to {' and '.join(lost)} exists" if lost else ""
    gate = row.id in {own.id for own in found.gated}
    over = "" if row.judged or gate else f" over {row.window}"
    nowhere = all(math.isnan(value) for own in row.values for value in own)
    against = "" if len(lost) == len(row.effects) else f" against {' and '.join(lost)}"
    follows = ", which counts as not passed" if gate else f", so no effect{against} is estimated" if lost else ""
    recorded = row.window not in found.windows or found.windows[row.window][:: found.stride].any()
    needs = row.needs if recorded else "a recorded step in the window"
    return f"{over}: no value for {'any seed' if nowhere else ' and '.join(seeds)}{follows}{f' (needs {needs})' if needs else ''}"


def _seeds(run: ComparedRun, values: Sequence[float]) -> str:
    missing = [str(seed) for seed, value in zip(run.seeds, values, strict=True) if math.isnan(value)]
    if len(missing) == len(run.seeds):
        return f"any seed of {run.name}"
    return f"seed{'s' if len(missing) > 1 else ''} {', '.join(missing)} of {run.name}"
