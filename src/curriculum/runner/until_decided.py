"""Let an experiment grow by seeds until it is decided, with looks that are planned beforehand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from curriculum.errors import InputError
from curriculum.measure.comparison import Comparison
from curriculum.measure.looks import plan_looks
from curriculum.measure.pairing import FEWEST
from curriculum.runner.arms import Study, run_study, study_of
from curriculum.runner.experiment_file import plan_study, tests_of
from curriculum.runner.growing import with_own_seeds
from curriculum.runner.plan import Plan
from curriculum.store.experiment import LookRecord, read_experiment, write_experiment
from curriculum.store.reader import Run

LARGEST_BLOCK = 32  # seeds of each arm that train at once, or as many as the experiment's file has
Train = Callable[[Sequence[Plan], Sequence[Path]], object]


@dataclass(frozen=True)
class Growing:
    """A checked experiment that grows: the `study` with the seeds of its file, all `seeds` that it may have, and the looks at it."""

    study: Study
    seeds: tuple[int, ...]
    looks: tuple[LookRecord, ...]

    @property
    def block(self) -> int:
        """The number of seeds of each arm that train at once."""
        return max(LARGEST_BLOCK, len(self.study.plans[0].seeds))


def plan_growing(
    reference: str, folder: Path, most: int, *, overrides: Iterable[str] = (), seeds: str | None = None, steps: int | None = None
) -> Growing:
    """Read an experiment that may grow to `most` seeds, check every arm of it, and plan the looks.

    The seeds that are added follow the largest one. Raises `InputError` if the looks were planned otherwise when it began, or if
    nothing can be decided with so many seeds; otherwise as `plan_study` does.
    """
    study = plan_study(reference, folder, overrides=overrides, seeds=seeds, steps=steps)
    own, tests = study.plans[0].seeds, tests_of(study)
    if most < max(len(own), FEWEST):
        raise InputError(f"--max-seeds {most} is too few: the experiment has {len(own)} seeds, and at least {FEWEST} are judged")
    looks = plan_looks(max(len(own), FEWEST), most, tests)
    if not looks:
        raise InputError(
            f"with {most} seeds and {tests} tests, nothing can be decided: raise --max-seeds, or name fewer measures in 'primary'"
        )
    stored = read_experiment(study.folder) or study.record
    before = stored.looks
    if before is not None and [look.seeds for look in before] != [look.seeds for look in looks]:
        was, now = (", ".join(str(look.seeds) for look in planned) for planned in (before, looks))
        raise InputError(
            f"{study.folder} began with looks at {was} seeds, not at {now}: looks are planned before the first one. "
            f"Repeat it with the same seeds, measures and --max-seeds {before[-1].seeds}"
        )
    late = stored.looked_before or (before is None and any(study.done))
    record = study.record.model_copy(update={"looks": looks, "looked_before": late})
    first = max(own) + 1
    return Growing(replace(study, record=record), (*own, *range(first, first + most - len(own))), tuple(looks))


def train_until_decided(growing: Growing, train: Train, look: Callable[[int, list[Run]], Comparison]) -> Comparison:
    """Train seeds up to each look, and stop where every measure that is judged is decided.

    `train` is called with the plans and paths of each stack, `look` with the place of each look and the runs. Looks that were
    passed in an earlier call are not repeated. Returns the last comparison.
    """
    study = growing.study
    write_experiment(study.folder, study.record)
    stored = min(len(Run(path).seeds) if os.path.lexists(path) else 0 for path in study.paths)
    left = [place for place, own in enumerate(growing.looks) if own.seeds >= stored] or [len(growing.looks) - 1]
    for place in left:
        _train_up_to(growing, growing.looks[place].seeds, train)
        found = look(place, [Run(path) for path in study.paths])
        if not found.undecided:
            break
    return found


def _train_up_to(growing: Growing, count: int, train: Train) -> None:
    """Train what is missing of the first so many seeds of every arm, block by block."""
    study = growing.study
    for end in (*range(growing.block, count, growing.block), count):
        plans = [with_own_seeds(checked, growing.seeds[:end]) for checked in study.plans]
        run_study(study_of(study.names, plans, study.folder, study.record), train)
