"""Run jobs as processes of this machine, each on cores and GPUs of its own."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

from curriculum.config.launching import LauncherSettings
from curriculum.errors import CurriculumError, InputError
from curriculum.launch.jobs import Ended, Job
from curriculum.launch.machine import cores_here, gpus_here, thread_variables

GRACE = 30.0  # seconds that a process has to store a checkpoint in


class Local:
    """Runs `slots` processes at a time. They are in sessions of their own, and go on if this process is killed."""

    lasting = True

    def __init__(self, settings: LauncherSettings, threads: int):
        """Check what the settings ask for. Raises `InputError` where the machine has no such GPUs."""
        cores, gpus = settings.cores or threads, settings.gpus
        self.slots = settings.workers or max(1, cores_here() // cores)
        self._gpus: list[str] = []
        if gpus:
            there = gpus_here()
            if settings.workers is None:
                self.slots = max(1, min(self.slots, there // gpus))
            if gpus * self.slots > there:
                raise InputError(
                    f"{self.slots} worker(s) with {gpus} GPU(s) each need {gpus * self.slots}, but this machine has {there}: "
                    "choose fewer workers or GPUs"
                )
            named = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(there)))).split(",")
            self._gpus = [",".join(named[first : first + gpus]) for first in range(0, gpus * self.slots, gpus)]
        self._environment = {**os.environ, **thread_variables(cores), **settings.environment}
        self._running: dict[str, tuple[subprocess.Popen[bytes], str]] = {}

    def adopt(self, job: Job) -> bool:
        """Adopt none: a process has one parent."""
        return False

    def start(self, job: Job) -> None:
        """Start the process of a job."""
        gpus = self._gpus.pop() if self._gpus else ""
        more = {"CUDA_VISIBLE_DEVICES": gpus} if gpus else {}
        try:
            job.log.parent.mkdir(parents=True, exist_ok=True)
            with job.log.open("ab") as log:
                process = subprocess.Popen(
                    job.command,
                    env={**self._environment, **more, **job.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise CurriculumError(f"cannot start {shlex.join(job.command)}: {error.strerror or error}") from error
        self._running[job.name] = process, gpus

    def ended(self) -> Sequence[Ended]:
        """List the processes that ended."""
        found = [(name, *own) for name, own in self._running.items() if own[0].poll() is not None]
        for name, _, gpus in found:
            del self._running[name]
            if gpus:
                self._gpus.append(gpus)
        return [Ended(name, process.returncode) for name, process, _ in found]

    def stop(self) -> None:
        """Ask all processes, and what they have started, to end; kill those that do not."""
        for process, _ in self._running.values():
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGTERM)
        until = time.monotonic() + GRACE
        for process, _ in self._running.values():
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                with suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def close(self) -> None:
        """Processes go on by themselves."""
