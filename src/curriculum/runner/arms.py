"""Run the arms of an experiment: those that are not finished, in stacks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from curriculum.errors import OutputExistsError
from curriculum.runner.opening import is_unfinished
from curriculum.runner.plan import Plan
from curriculum.runner.same import differences, shared
from curriculum.store.checkpoint import steps_in
from curriculum.store.experiment import ArmRecord, ExperimentRecord, write_experiment
from curriculum.store.names import check_name, is_run
from curriculum.store.reader import Run


@dataclass(frozen=True)
class Study:
    """A fully checked experiment: the plan and the path of each arm, whether it is finished, and what the experiment says of the arms."""

    names: tuple[str, ...]
    plans: tuple[Plan, ...]
    paths: tuple[Path, ...]
    done: tuple[bool, ...]
    folder: Path
    record: ExperimentRecord

    @property
    def baseline(self) -> int | None:
        """The place of the baseline among the arms."""
        return None if self.record.baseline is None else self.names.index(self.record.baseline)

    @property
    def stacks(self) -> list[tuple[int, ...]]:
        """The places of the arms that are not finished, in groups that train as one stack each."""
        found: dict[str, list[int]] = {}
        for place, (checked, path, done) in enumerate(zip(self.plans, self.paths, self.done, strict=True)):
            if not done:
                found.setdefault(json.dumps([shared(checked), _begun(path)]), []).append(place)
        return [tuple(places) for places in found.values()]


def study_of(names: Sequence[str], plans: Sequence[Plan], place: Path, record: ExperimentRecord | None = None) -> Study:
    """Make an experiment of planned arms, whose runs are stored in the folder `place`.

    Raises `InputError` for a name that no run can have, `OutputExistsError` if a run there was created with different inputs.
    """
    for name in (place.name, *names):
        check_name(name)
    if is_run(place):
        raise OutputExistsError(f"{place} is a run: rename the run or the experiment")
    paths = tuple(place / name for name in names)
    done = tuple(_is_done(checked, path) for checked, path in zip(plans, paths, strict=True))
    told = record or ExperimentRecord(arms={name: ArmRecord() for name in names})
    return Study(tuple(names), tuple(plans), paths, done, place, told)


def _is_done(checked: Plan, path: Path) -> bool:
    """Tell whether an arm has nothing left to train. Raises an error where something else is stored in its place."""
    if not os.path.lexists(path):
        return False
    run = Run(path)
    found = differences(checked, run)
    if found:
        raise OutputExistsError(
            f"{path} already exists, but was created with different inputs: {'; '.join(found)}. Remove or rename it first"
        )
    return not is_unfinished(path)


def run_study(study: Study, train: Callable[[Sequence[Plan], Sequence[Path]], object]) -> list[Run]:
    """Train the unfinished arms, as one stack where possible, and open the runs of all arms.

    `train` is called with the plans and paths of each stack, like `execute_all`.
    """
    write_experiment(study.folder, study.record)
    for places in study.stacks:
        train([study.plans[place] for place in places], [study.paths[place] for place in places])
    return [Run(path) for path in study.paths]


def _begun(path: Path) -> list[str]:
    """Name the arms that have begun to train as one stack with this one; none where nothing of it is to be gone on with."""
    if not is_unfinished(path):
        return []
    names = [name for name in (Run(path).manifest.get("stack") or [path.name]) if os.sep not in name]
    return names if any(steps_in(path.parent / name) for name in names) else []
