"""Launch an experiment: decide its blocks, store the cut, run a job for each block, and join what they trained."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from curriculum.config.launching import LauncherSettings
from curriculum.errors import CurriculumError, InputError, InUseError, OutputExistsError
from curriculum.launch.jobs import Launcher
from curriculum.launch.of_study import StudyJobs, jobs_of
from curriculum.launch.schedule import INVALID, Failure, Standing, run_jobs
from curriculum.launch.shared_folder import lay_token
from curriculum.launch.trial import MARGIN, Need, largest_block
from curriculum.runner.arms import Study, study_of
from curriculum.runner.cutting import cut_seeds, make_run_folders, new_seeds
from curriculum.runner.execute import join_and_draw
from curriculum.store.experiment import read_experiment, write_experiment
from curriculum.store.joining import join
from curriculum.store.lock import Lock, is_held
from curriculum.store.names import LAUNCH, is_run
from curriculum.store.reader import Run

SHOWN = 3  # failures whose logs are shown
PATIENCE = 60.0  # seconds for the process that trained a block before to end: it stores a checkpoint
BETWEEN = 0.2  # seconds from one look for it to the next


@dataclass(frozen=True)
class Sized:
    """An experiment that is cut into blocks, with what was measured of blocks by their numbers of seeds."""

    study: Study
    needs: Mapping[int, Need]


def cut_study(study: Study, settings: LauncherSettings, slots: int, measure: Callable[[Sequence[int]], Need]) -> Sized:
    """Cut an experiment into blocks: as it was cut before, and new seeds so that each worker has a block that fits it.

    `measure` trains a few steps of a block; it is asked only where the settings limit memory or time. Raises `InputError` where the
    experiment was cut with seeds that are not asked for now.
    """
    if LAUNCH in study.names:
        raise InputError(f"an arm cannot be named {LAUNCH!r}: the logs of blocks are kept in a folder of that name")
    stored = read_experiment(study.folder)
    before = (stored.blocks if stored else None) or []
    new, needs = new_seeds(study), dict[int, Need]()

    def fits(size: int) -> bool:
        needs[size] = need = measure(new[:size])
        room = settings.megabytes is None or need.megabytes * MARGIN <= settings.megabytes
        return room and (settings.seconds is None or need.seconds * MARGIN <= settings.seconds)

    size = settings.block or max(1, math.ceil(len(new) / slots))
    if settings.block is None and new and (settings.memory or settings.time):
        size = largest_block(size, fits)
    cut = cut_seeds(study.plans[0].seeds, before, new, size)
    told = settings.model_dump(exclude_unset=True) | {"name": settings.name}
    record = study.record.model_copy(update={"blocks": [list(block) for block in cut], "launcher": told})
    found = study_of(study.names, study.plans, study.folder, record, cut)
    return Sized(replace(found, launcher=settings), needs)


def run_launched(
    study: Study,
    launcher: Launcher,
    settings: LauncherSettings,
    command: Sequence[str],
    watch: Callable[[StudyJobs, Standing], None] = lambda jobs, standing: None,
) -> list[Run]:
    """Train what is left of a cut experiment by a launcher, join it, and open the runs of all arms.

    Raises `CurriculumError` with the blocks that were given up, after all others have finished; `InputError` where they say that
    their input is invalid; `InUseError` if another command runs the experiment.
    """
    write_experiment(study.folder, study.record)
    place = study.folder / LAUNCH
    place.mkdir(exist_ok=True)
    try:
        lock = Lock(place)
    except InUseError:
        raise InUseError(f"{study.folder}: another command is running this experiment: wait for it, or stop it") from None
    try:
        make_run_folders(study)
        jobs = jobs_of(study, command, lay_token(place))
        standing = run_jobs(jobs.jobs, launcher, jobs.blocks(), settings.retries, lambda standing: watch(jobs, standing))
        for path, checked in zip(study.paths, study.plans, strict=True):
            join_and_draw(path, checked)
    finally:
        lock.release()
    if standing.failures:
        raise _failed(standing)
    return [Run(path) for path in study.paths]


def join_finished(study: Study) -> None:
    """Join what has finished of an experiment that was stopped."""
    for path in study.paths:
        with suppress(CurriculumError):
            join(path)


def train_block(study: Study, seeds: Sequence[int], train: Callable[[Study], object]) -> None:
    """Train some seeds of every arm, as one block; what is finished of it already is left as it is.

    A process that trains them is waited for: it may have been told to end. Raises `OutputExistsError` where other blocks have some of
    the seeds.
    """
    until = time.monotonic() + PATIENCE
    while True:
        block = study_of(study.names, study.plans, study.folder, study.record, [tuple(seeds)])
        if time.monotonic() > until or not any(is_run(path) and is_held(path) for _, _, path in block.parts):
            break
        time.sleep(BETWEEN)
    for number, checked, path in block.parts:
        if set(checked.seeds) != set(seeds):
            raise OutputExistsError(
                f"{study.paths[number]} has some of these seeds already: what is left to train there is {path.name} "
                f"with {len(checked.seeds)} of them"
            )
    make_run_folders(block)
    train(block)


def _failed(standing: Standing) -> CurriculumError:
    """Say which blocks were given up, with the ends of their logs."""
    failures: Sequence[Failure] = standing.failures
    shown = "\n".join(map(str, failures[:SHOWN]))
    more = f"\n... and {len(failures) - SHOWN} more" if len(failures) > SHOWN else ""
    left = standing.total - standing.finished
    text = f"{left} of {standing.total} blocks were not trained; run the same command again to retry\n{shown}{more}"
    kind = InputError if all(failure.code == INVALID for failure in failures) else CurriculumError
    return kind(text)
