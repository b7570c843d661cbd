"""The jobs of an experiment: one for each block, with the command that trains it and the folders that it fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from curriculum.launch.jobs import Job
from curriculum.launch.schedule import Blocks
from curriculum.runner.arms import Study
from curriculum.store.blocks import block_name
from curriculum.store.checkpoint import steps_in
from curriculum.store.lock import is_held
from curriculum.store.names import LAUNCH, OVER, is_run
from curriculum.store.reader import Run


@dataclass(frozen=True)
class StudyJobs:
    """The jobs of what is left to train, and the folders that each fills: one in each arm."""

    jobs: tuple[Job, ...]
    paths: Mapping[str, tuple[Path, ...]]
    steps: int  # of training, in each

    def blocks(self) -> Blocks:
        """Look at the folders for what has become of jobs."""
        return Blocks(
            lambda job: all(is_run(path) and Run(path).status in OVER for path in self.paths[job.name]),
            lambda job: any(is_run(path) and is_held(path) for path in self.paths[job.name]),
            self.step,
        )

    def step(self, job: Job) -> int:
        """Say how far a block is: the step of the last checkpoint that all of its arms have."""
        return min(map(_step_of, self.paths[job.name]))


def jobs_of(study: Study, command: Sequence[str], environment: Mapping[str, str]) -> StudyJobs:
    """Make the jobs of what is left to train of an experiment; `command` trains a block when `--block SEEDS` is added to it."""
    by_seeds: dict[tuple[int, ...], list[Path]] = {}
    for _, checked, path in study.parts:
        by_seeds.setdefault(checked.seeds, []).append(path)
    folder = study.folder.resolve() / LAUNCH
    jobs = [
        Job(block_name(seeds), (*command, "--block", seeds_option(seeds)), folder / f"{block_name(seeds)}.log", dict(environment))
        for seeds in by_seeds
    ]
    paths = {block_name(seeds): tuple(own) for seeds, own in by_seeds.items()}
    return StudyJobs(tuple(jobs), paths, len(study.plans[0].schedule))


def seeds_option(seeds: Sequence[int]) -> str:
    """Write seeds as the command line reads them: `8:16`, or a list."""
    whole = list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]}:{seeds[-1] + 1}" if whole and len(seeds) > 1 else ",".join(map(str, seeds))


def _step_of(path: Path) -> int:
    if not is_run(path):
        return 0
    run = Run(path)
    return run.trained_steps if run.status in OVER else max(steps_in(path), default=0)
