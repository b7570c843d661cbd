"""Run jobs as processes of this machine, each on cores and GPUs of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from curriculum.config.launching import LauncherSettings
from curriculum.errors import InputError
from curriculum.launch.jobs import Ended, Job
from curriculum.launch.machine import gpus_here, thread_variables
from curriculum.processes import cores_here, start_logged, stop_all

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
        process = start_logged(job.command, {**self._environment, **more, **job.environment}, job.log, "ab")
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
        stop_all((process for process, _ in self._running.values()), GRACE)

    def close(self) -> None:
        """Processes go on by themselves."""
