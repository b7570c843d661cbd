"""The loop that drives a launcher: starts jobs, sends those again that were cut off, and gives up those that cannot succeed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from signal import Signals

from curriculum.launch.jobs import Ended, Job, Launcher
from curriculum.processes import last_lines

INVALID = 2  # the exit code for invalid input, which sending again does not mend
PAUSE = 0.05  # seconds between two looks at a launcher
APART = 1.0  # seconds between two looks at jobs that another command runs


@dataclass(frozen=True)
class Failure:
    """A job that was given up: why, and the last lines of its log."""

    job: Job
    why: str
    code: int | None
    lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = "".join(f"\n  | {line}" for line in self.lines)
        return f"block {self.job.name}: {self.why}; its log is {self.job.log}{shown}"


@dataclass
class Standing:
    """How far an experiment is: the names of jobs by what has become of them."""

    total: int
    waiting: deque[Job] = field(default_factory=deque)
    running: dict[str, Job] = field(default_factory=dict)
    elsewhere: dict[str, Job] = field(default_factory=dict)  # of another command that has not ended yet
    finished: int = 0
    failures: list[Failure] = field(default_factory=list)
    again: int = 0  # jobs that were sent again


@dataclass(frozen=True)
class Blocks:
    """What the loop asks about a job's block: whether it is finished, whether a process trains it, and how far it is."""

    finished: Callable[[Job], bool]
    busy: Callable[[Job], bool]
    step: Callable[[Job], int]


def run_jobs(
    jobs: Sequence[Job],
    launcher: Launcher,
    blocks: Blocks,
    retries: int = 3,
    watch: Callable[[Standing], None] = lambda standing: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Standing:
    """Run jobs until each is finished or given up.

    A job that fails is sent again, `retries` times without its block having got any further in between. One that says its input
    is invalid is not; where no other has ended well yet, none of those that wait is started then, as their input is the same.
    Takes constant time for each job and each look.
    """
    standing = Standing(len(jobs), deque(jobs))
    tries: dict[str, tuple[int, int]] = {}
    looked = float("-inf")
    while True:
        changed = False
        for ended in launcher.ended():
            changed = True
            _settle(standing, standing.running.pop(ended.name), ended, blocks, tries, retries)
        if standing.elsewhere and time.monotonic() - looked >= APART:
            looked = time.monotonic()
            for name, job in list(standing.elsewhere.items()):
                if not blocks.busy(job):
                    changed = True
                    standing.waiting.append(standing.elsewhere.pop(name))
        changed = _start_jobs(standing, launcher, blocks) or changed
        watch(standing)
        if not (standing.waiting or standing.running or standing.elsewhere):
            return standing
        if not changed:
            sleep(PAUSE)


def _start_jobs(standing: Standing, launcher: Launcher, blocks: Blocks) -> bool:
    """Start as many jobs as there is room for; those that need no training are settled."""
    changed = False
    while standing.waiting and len(standing.running) < launcher.slots:
        job = standing.waiting.popleft()
        changed = True
        if launcher.adopt(job):  # first: the end of a job is still at work where its block is finished already
            standing.running[job.name] = job
        elif blocks.finished(job):
            standing.finished += 1
        elif blocks.busy(job):
            standing.elsewhere[job.name] = job
        else:
            launcher.start(job)
            standing.running[job.name] = job
    return changed


def _settle(standing: Standing, job: Job, ended: Ended, blocks: Blocks, tries: dict[str, tuple[int, int]], retries: int) -> None:
    """Say what becomes of a job that ended."""
    if blocks.finished(job):
        standing.finished += 1
        return
    if ended.code == INVALID:
        standing.failures.append(Failure(job, ended.why or "its input is invalid", INVALID, last_lines(job.log)))
        if not standing.finished:
            standing.waiting.clear()
        return
    step = blocks.step(job)
    before, count = tries.get(job.name, (step, 0))
    count = count + 1 if step <= before else 1
    tries[job.name] = (step, count)
    if count <= retries:
        standing.again += 1
        standing.waiting.append(job)
        return
    often = f" {count} times in a row" if count > 1 else ""
    standing.failures.append(Failure(job, f"{_why(ended)}{often}", ended.code, last_lines(job.log)))


def _why(ended: Ended) -> str:
    if ended.code is None:
        return ended.why or "whatever ran it disappeared"
    if ended.code < 0:
        with suppress(ValueError):
            return f"it was ended by the signal {Signals(-ended.code).name}"
    return "it ended well, but has trained nothing" if ended.code == 0 else f"it failed with the exit code {ended.code}"
