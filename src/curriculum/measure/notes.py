"""What a reader of a comparison must know beside its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from curriculum.measure import verdicts
from curriculum.measure.judging import diverged_share, shared_seeds
from curriculum.measure.measuring import Figure
from curriculum.measure.windows import long_enough
from curriculum.sheet.schedule import Schedule
from curriculum.store.reader import Run


def notes_of(runs: Sequence[Run], stride: int) -> list[str]:
    """Say what the runs differ in beside their sheets, and how far they can be judged."""
    first, notes = runs[0], []
    for run in runs[1:]:
        if run.manifest["hashes"].get("sheet") == first.manifest["hashes"].get("sheet"):
            notes.append(f"the sheets of {first.name} and {run.name} are identical")
        if len(run.schedule) != len(first.schedule):
            notes.append(
                f"{first.name} has {len(first.schedule):,} steps and {run.name} {len(run.schedule):,}: "
                "stability is measured at the steps both have, the final error at each run's own end"
            )
        if run.manifest["hashes"].get("training") != first.manifest["hashes"].get("training"):
            notes.append(f"{first.name} and {run.name} were trained with different configs: the sheets are not all that differs")
        notes += _pairing_notes(first, run)
    for run in runs:
        if run.status != "finished":
            ended = "diverged" if run.status == "diverged" else "was interrupted"
            notes.append(f"{run.name} {ended} after {run.trained_steps:,} of its {run.manifest['steps']:,} steps")
        if run.diverged:
            lost = ", ".join(map(str, run.diverged))
            notes.append(f"{run.name}: {len(run.diverged)} of {len(run.seeds)} seeds diverged and rank worst (seed {lost})")
        if diverged_share(run) > verdicts.DIVERGED_SHARE:
            notes.append(f"more than {verdicts.DIVERGED_SHARE:.0%} of the seeds of {run.name} diverged: nothing else is tested")
    if stride > 1:
        notes.append(f"the error is compared every {stride} steps: what is faster is not seen")
    return notes


def unmeasured(primary: Sequence[Figure], schedules: Sequence[Schedule]) -> Iterator[str]:
    """Say what was not measured, and why."""
    if not long_enough(schedules):
        yield "the steps that all runs have end before the first phase does: what is measured is the first descent, and is not tested"
    missing = [figure.id for figure in primary if any(math.isnan(value) for own in figure.values.values() for value in own)]
    if missing:
        yield f"not measured, since there are too few steps: {', '.join(missing)}"


def _pairing_notes(first: Run, other: Run) -> list[str]:
    shared = shared_seeds(first, other)
    fewest = min(len(first.seeds), len(other.seeds))
    if fewest < verdicts.FEWEST or 0 < len(shared) < verdicts.FEWEST:
        pairs = f"{len(shared)} shared seed{'' if len(shared) == 1 else 's'}"
        return [
            f"too few seeds to test: {pairs} of {first.name} and {other.name}, at least {verdicts.FEWEST} are needed; "
            "this describes the runs and proves nothing"
        ]
    if not shared:
        return [f"{first.name} and {other.name} have no seed in common: they are compared unpaired, which needs larger effects"]
    left = len(set(first.seeds) | set(other.seeds)) - len(shared)
    return [f"{left} seeds of {first.name} and {other.name} have no partner and are left out of the tests"] if left else []
