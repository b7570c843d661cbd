"""What a launcher is: the contract between the loop that schedules jobs and whatever runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Job:
    """A command that trains a block: its name, its output, and what it needs besides the launcher's own environment."""

    name: str
    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Ended:
    """A job that ended: its exit code, None where whatever ran it is gone; `why` says so, or what else the code does not say."""

    name: str
    code: int | None
    why: str = ""


class Launcher(Protocol):
    """Runs jobs somewhere. `slots` jobs are started at a time; what waits elsewhere for room counts as started.

    `lasting` says whether jobs go on when this process ends.

    A launcher knows nothing of experiments, folders or retries. `start` must not wait for the job, nor `ended` for one to end.
    """

    slots: int
    lasting: bool

    def adopt(self, job: Job) -> bool:
        """Take over a job of an earlier process, if there is one: it counts as started then."""

    def start(self, job: Job) -> None:
        """Start a job. Raises `CurriculumError` where it cannot be started at all."""

    def ended(self) -> Sequence[Ended]:
        """List the jobs that ended since the last call."""

    def stop(self) -> None:
        """Ask every running job to store a checkpoint and to end (SIGTERM), and wait for it."""

    def close(self) -> None:
        """Let go of everything; jobs that run go on where they can."""
