"""Looks at an experiment that grows until it is decided: at how many seeds, and how much of the allowed error each may spend."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from curriculum.measure.exact import smallest_p
from curriculum.measure.verdicts import ALPHA
from curriculum.store.experiment import LookRecord, read_experiment
from curriculum.store.reader import Run


@dataclass(frozen=True)
class Look:
    """A look at runs of so many `seeds`, the `number`-th `of` those that were planned, which may spend `alpha` of the allowed error.

    It was `planned` for the number of seeds that there are, and it is `late` if the runs were there before the looks were planned.
    """

    number: int
    of: int
    seeds: int
    alpha: float
    planned: bool
    late: bool

    @property
    def share(self) -> float:
        """The share of the error that is allowed for all looks together."""
        return self.alpha / ALPHA


def spent(fraction: float) -> float:
    """Give the error that may have been spent when a fraction of all seeds has been looked at (Lan & DeMets 1983).

    It is their function that comes close to the limits of Pocock.
    """
    return ALPHA * math.log(1 + (math.e - 1) * fraction)


def plan_looks(first: int, most: int, tests: int) -> list[LookRecord]:
    """Plan looks at `first` seeds, at twice as many, and so on up to `most`.

    At each look so many `tests` are corrected together. Looks that could not find any difference are left out, and the error that they
    would have spent is left to the next.
    """
    counts = [first]
    while counts[-1] < most:
        counts.append(min(2 * counts[-1], most))
    looks: list[LookRecord] = []
    for seeds in counts:
        alpha = spent(seeds / most) - sum(look.alpha for look in looks)
        if smallest_p(seeds, tests * ALPHA / alpha) <= ALPHA:
            looks.append(LookRecord(seeds=seeds, alpha=alpha))
    return looks


def look_of(runs: Sequence[Run]) -> Look | None:
    """Find the look at which runs are, if one of them is of an experiment that has planned looks; of several the strictest."""
    found = []
    for folder in dict.fromkeys(run.path.resolve().parent for run in runs):
        record = read_experiment(folder)
        if record is not None and record.looks:
            seeds = max(len(run.seeds) for run in runs if run.path.resolve().parent == folder)
            number, look = next(
                ((number, look) for number, look in enumerate(record.looks, 1) if seeds <= look.seeds),
                (len(record.looks), record.looks[-1]),
            )
            found.append(Look(number, len(record.looks), seeds, look.alpha, seeds == look.seeds, record.looked_before))
    return min(found, key=lambda look: look.alpha, default=None)


def said(look: Look | None) -> Iterator[str]:
    """Say how a look was allowed for, and why it may not be enough."""
    if look is None:
        return
    yield (
        f"this is look {look.number} of {look.of} at an experiment that grows until it is decided: p and intervals allow for all looks, "
        f"and effects that are found early tend to be overestimated"
    )
    if not look.planned:
        yield f"no look was planned at {look.seeds} seeds: the verdicts are provisional"
    if look.late:
        yield "there were runs before --until-decided planned its looks: the error rate holds only if nobody had compared them"
