"""Run jobs under Slurm, each as a batch job of our own command."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from curriculum.config.launching import LauncherSettings
from curriculum.errors import CurriculumError, InputError
from curriculum.launch.jobs import Ended, Job
from curriculum.launch.machine import thread_variables
from curriculum.store.files import write_file

AT_A_TIME = 32  # jobs that are submitted, if the settings do not say otherwise
APART = 2.0  # seconds between two questions to Slurm
GRACE = 15.0  # seconds after the end of a job in which a shared folder may still hide its exit code
WARNING = 90  # seconds before its time is over that a job is told to store a checkpoint
OVER = ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT")


@dataclass
class _Submitted:
    name: str
    code: Path
    gone: float | None = None  # when it was first missing in the queue


class Slurm:
    """Keeps up to `slots` batch jobs in the queue. They go on when this process ends."""

    def __init__(self, settings: LauncherSettings, threads: int):
        """Check the settings with Slurm itself. Raises `InputError` with what it says."""
        if missing := [name for name in ("sbatch", "squeue", "scancel") if shutil.which(name) is None]:
            raise InputError(f"the launcher slurm needs Slurm's commands, but there is no {missing[0]} here: run it on a login node")
        cores = settings.cores or threads
        self.slots = settings.workers or AT_A_TIME
        self._setup = settings.setup
        self._environment = {**thread_variables(cores), **settings.environment}
        self._options = [f"--cpus-per-task={cores}", "--ntasks=1", "--no-requeue", f"--signal=B:TERM@{WARNING}", "--open-mode=append"]
        self._options += [f"--gres=gpu:{settings.gpus}"] if settings.gpus else []
        self._options += [f"--mem={settings.memory}"] if settings.memory else []
        self._options += [f"--time={settings.time}"] if settings.time else []
        self._options += [f"--partition={settings.partition}"] if settings.partition else []
        self._options += settings.options
        self._running: dict[str, _Submitted] = {}
        self._asked = float("-inf")
        if (tried := _call(["sbatch", "--test-only", *self._options, "--wrap=true"])).returncode:
            raise InputError(f"Slurm does not take such jobs: {_said(tried)}")

    def start(self, job: Job) -> None:
        """Submit a job."""
        job.log.parent.mkdir(parents=True, exist_ok=True)
        script, code = job.log.with_suffix(".sh"), job.log.with_suffix(".code")
        code.unlink(missing_ok=True)
        write_file(script, _script(job, self._setup, {**self._environment, **job.environment}, code).encode())
        own = [f"--job-name=curriculum-{job.name}", f"--output={job.log}", f"--chdir={Path.cwd()}"]
        done = _call(["sbatch", "--parsable", *self._options, *own, str(script)])
        if done.returncode:
            raise CurriculumError(f"cannot submit block {job.name} to Slurm: {_said(done)}")
        self._running[done.stdout.strip().partition(";")[0]] = _Submitted(job.name, code)

    def ended(self) -> Sequence[Ended]:
        """List the jobs that are no longer in the queue: with the exit code that they left, or without one."""
        if not self._running or time.monotonic() - self._asked < APART:
            return []
        self._asked = time.monotonic()
        asked = _call(["squeue", "--noheader", "--me", "--states=all", "--format=%i %T"])
        if asked.returncode:
            return []  # the controller is away for the moment; jobs do not need it
        states = dict(line.split(maxsplit=1) for line in asked.stdout.splitlines() if " " in line.strip())
        found = []
        for number, job in list(self._running.items()):
            state = states.get(number, "gone")
            if state not in OVER and state != "gone":
                continue
            code = _read_code(job.code)
            job.gone = job.gone or time.monotonic()
            if code is None and time.monotonic() - job.gone < GRACE:
                continue
            del self._running[number]
            found.append(Ended(job.name, code, f"its Slurm job {number} ended without an exit code (state: {state.lower()})"))
        return found

    def stop(self) -> None:
        """Cancel all jobs: those that run store checkpoints first."""
        if self._running:
            _call(["scancel", "--batch", "--signal=TERM", *self._running])
            _call(["scancel", "--state=PENDING", *self._running])
            until = time.monotonic() + WARNING
            while self._running and time.monotonic() < until:
                time.sleep(APART)
                self.ended()
            if self._running:
                _call(["scancel", *self._running])

    def close(self) -> None:
        """Jobs go on by themselves."""


def _script(job: Job, setup: Sequence[str], environment: Mapping[str, str], code: Path) -> str:
    """Write the batch script of a job. It passes SIGTERM on to the command, and leaves the exit code in a file."""
    exports = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    lines = [
        "#!/bin/bash",
        *exports,
        *setup,
        f"{shlex.join(job.command)} &",
        "child=$!",
        "trap 'kill -TERM \"$child\"' TERM",
        'while true; do wait "$child"; code=$?; kill -0 "$child" 2>/dev/null || break; done',
        f'echo "$code" > {shlex.quote(f"{code}.new")} && mv {shlex.quote(f"{code}.new")} {shlex.quote(str(code))}',
        'exit "$code"',
    ]
    return "\n".join(lines) + "\n"


def _read_code(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _call(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", f"{command[0]}: {error}")


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").replace("\n", " ")
