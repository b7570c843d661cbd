"""Run the arms of an experiment: those that are not finished, in stacks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from curriculum.config.launching import LauncherSettings
from curriculum.errors import OutputExistsError
from curriculum.runner.execute import join_and_draw
from curriculum.runner.growing import grow
from curriculum.runner.opening import is_unfinished
from curriculum.runner.plan import Plan
from curriculum.runner.same import shared
from curriculum.store.blocks import run_of, sibling_of
from curriculum.store.checkpoint import steps_in
from curriculum.store.experiment import ArmRecord, ExperimentRecord, write_experiment
from curriculum.store.names import check_name, is_run
from curriculum.store.reader import Run


@dataclass(frozen=True)
class Study:
    """A fully checked experiment: the plan and the path of each arm, whether it is finished, and what the experiment says of the arms.

    `parts` are what is left to train, block by block: the place of the arm, the plan with the seeds of the block, and its path.
    """

    names: tuple[str, ...]
    plans: tuple[Plan, ...]
    paths: tuple[Path, ...]
    done: tuple[bool, ...]
    folder: Path
    record: ExperimentRecord
    parts: tuple[tuple[int, Plan, Path], ...]
    launcher: LauncherSettings | None = None  # of its file

    @property
    def baseline(self) -> int | None:
        """The place of the baseline among the arms."""
        return None if self.record.baseline is None else self.names.index(self.record.baseline)

    @property
    def stacks(self) -> list[tuple[int, ...]]:
        """The places of the arms that are not finished, in groups that train as one stack each."""
        return [tuple(self.parts[number][0] for number in numbers) for numbers in self.stacked_parts]

    @property
    def stacked_parts(self) -> list[tuple[int, ...]]:
        """The places of the parts in groups that train as one stack each: runs with runs, and blocks with blocks of the same name."""
        found: dict[str, list[int]] = {}
        for number, (_, checked, path) in enumerate(self.parts):
            block = path.name if run_of(path) is not None else ""
            found.setdefault(json.dumps([shared(checked), _begun(path), block]), []).append(number)
        return [tuple(numbers) for numbers in found.values()]


def study_of(
    names: Sequence[str],
    plans: Sequence[Plan],
    place: Path,
    record: ExperimentRecord | None = None,
    cut: Sequence[Sequence[int]] | None = None,
) -> Study:
    """Make an experiment of planned arms, whose runs are stored in the folder `place`; new seeds are trained in the blocks of `cut`.

    Raises `InputError` for a name that no run can have, `OutputExistsError` if a run there was created with different inputs.
    """
    for name in (place.name, *names):
        check_name(name)
    if is_run(place):
        raise OutputExistsError(f"{place} is a run: rename the run or the experiment")
    paths = tuple(place / name for name in names)
    growths = [grow(checked, path, "Remove or rename it first", cut) for checked, path in zip(plans, paths, strict=True)]
    parts = tuple((number, checked, path) for number, growth in enumerate(growths) for checked, path in growth.parts)
    told = record or ExperimentRecord(arms={name: ArmRecord() for name in names})
    return Study(tuple(names), tuple(plans), paths, tuple(not growth.parts for growth in growths), place, told, parts)


def run_study(study: Study, train: Callable[[Sequence[Plan], Sequence[Path]], object]) -> list[Run]:
    """Train the unfinished arms, as one stack where possible, and open the runs of all arms.

    `train` is called with the plans and paths of each stack, like `execute_all`.
    """
    write_experiment(study.folder, study.record)
    for numbers in study.stacked_parts:
        train([study.parts[number][1] for number in numbers], [study.parts[number][2] for number in numbers])
    for path, checked in zip(study.paths, study.plans, strict=True):
        join_and_draw(path, checked)
    return [Run(path) for path in study.paths]


def _begun(path: Path) -> list[str]:
    """Name the arms that have begun to train as one stack with this one; none where nothing of it is to be gone on with."""
    if not is_unfinished(path):
        return []
    run = Run(path)
    names = [name for name in (run.manifest.get("stack") or [path.name]) if os.sep not in name]
    own = run.manifest.get("block_of") or path.name
    return names if any(steps_in(path if name == own else sibling_of(path, run.manifest, name)) for name in names) else []
