"""Run jobs under Slurm, each as a batch job of our own command."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from curriculum.config.launching import LauncherSettings
from curriculum.errors import CurriculumError, InputError
from curriculum.launch.jobs import Ended, Job
from curriculum.launch.machine import thread_variables
from curriculum.launch.schedule import INVALID
from curriculum.store.files import write_file

COMMANDS = ("sbatch", "squeue", "scancel", "scontrol")
AT_A_TIME = 32  # jobs that are submitted, if the settings do not say otherwise
APART = 2.0  # seconds between two questions to Slurm
BETWEEN = 30.0  # seconds from one try to submit again what was refused to the next
PATIENCE = 600.0  # seconds of such tries without any job in the queue after which it is given up
WARNING = 90  # seconds before its time is over that a job is told to store a checkpoint, at most a quarter of its time
BY_ITSELF = ("COMPLETED", "FAILED")  # states of a job whose command ended, and has an exit code
GONE = "UNKNOWN"  # what we say of a job that Slurm does not remember
OVER = (*BY_ITSELF, GONE, "BOOT_FAIL", "CANCELLED", "DEADLINE", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT")
NO_LOG = 53  # the signal that Slurm gives as the end of a job whose output it cannot open
LONGEST_PATH = 4096


class Slurm:
    """Keeps up to `slots` batch jobs in the queue. They go on when this process ends, and are found there by the next."""

    lasting = True

    def __init__(self, settings: LauncherSettings, threads: int):
        """Check the settings with Slurm itself. Raises `InputError` with what it says."""
        if missing := [name for name in COMMANDS if shutil.which(name) is None]:
            raise InputError(f"the launcher slurm needs Slurm's commands, but there is no {missing[0]} here: run it on a login node")
        cores = settings.cores or threads
        warning = min(WARNING, (settings.seconds or 4 * WARNING) // 4)
        self.slots = settings.workers or AT_A_TIME
        self._setup = settings.setup
        self._environment = {**thread_variables(cores), **settings.environment}
        self._options = [f"--cpus-per-task={cores}", "--ntasks=1", "--no-requeue", f"--signal=B:TERM@{warning}", "--open-mode=append"]
        self._options += [f"--gres=gpu:{settings.gpus}"] if settings.gpus else []
        self._options += [f"--mem={settings.memory}"] if settings.memory else []
        self._options += [f"--time={settings.time}"] if settings.time else []
        self._options += [f"--partition={settings.partition}"] if settings.partition else []
        self._options += settings.options
        self._running: dict[str, Job] = {}  # by Slurm's numbers
        self._before: dict[str, str] | None = None  # numbers of what was in the queue before, by logs
        self._unsent: dict[str, Job] = {}  # that Slurm did not take, or of which it has not said so
        self._taken = self._asked = self._tried = float("-inf")
        if (tried := _call(["sbatch", "--test-only", *self._options, "--wrap=true"])).returncode:
            raise InputError(f"Slurm does not take such jobs: {_said(tried)}")

    def adopt(self, job: Job) -> bool:
        """Take over a job that is in the queue. It is known by its log, which no other block has."""
        if self._before is None:
            self._before = _queued()
        return self._found(job, self._before)

    def start(self, job: Job) -> None:
        """Submit a job. Where Slurm took others before, but not this one, it is submitted again from time to time."""
        self._unsent[job.name] = job
        try:
            self._submit(job)
        except CurriculumError:
            if self._taken < 0:
                raise

    def _found(self, job: Job, queued: dict[str, str]) -> bool:
        """Take a job from those of the queue, if it is there."""
        for log in (str(job.log), _pattern(job.log)):  # some releases of Slurm give the path, some the pattern
            if number := queued.pop(log, ""):
                self._sent(job, number)
                return True
        return False

    def _sent(self, job: Job, number: str) -> None:
        self._unsent.pop(job.name, None)
        self._running[number], self._taken = job, time.monotonic()

    def _submit(self, job: Job) -> None:
        """Submit a job. Raises `CurriculumError` with what Slurm says against it."""
        job.log.parent.mkdir(parents=True, exist_ok=True)
        script = job.log.with_suffix(".sh")
        write_file(script, _script(job.command, self._setup, {**self._environment, **job.environment}).encode())
        own = [f"--job-name=curriculum-{job.name}", f"--output={_pattern(job.log)}", f"--chdir={Path.cwd()}"]
        done = _call(["sbatch", "--parsable", *self._options, *own, str(script)])
        if done.returncode:
            raise CurriculumError(f"cannot submit block {job.name} to Slurm: {_said(done)}")
        self._sent(job, done.stdout.strip().partition(";")[0])

    def _submit_again(self) -> list[Ended]:
        """Submit what was refused: Slurm was away for the moment, or has a limit of jobs. List what is given up."""
        now = time.monotonic()
        self._taken = now if self._running else self._taken
        if not self._unsent or now - self._tried < BETWEEN:
            return []
        self._tried = now
        try:
            queued = _queued()  # a submission of which nothing was heard may have arrived
            for job in list(self._unsent.values()):
                if not self._found(job, queued):
                    self._submit(job)
        except CurriculumError as error:
            if now - self._taken >= PATIENCE:
                given_up, self._unsent = list(self._unsent), {}
                return [Ended(name, None, str(error)) for name in given_up]
        return []

    def ended(self) -> Sequence[Ended]:
        """List the jobs that are over, or no longer in the queue."""
        if not (self._running or self._unsent) or time.monotonic() - self._asked < APART:
            return []
        self._asked = time.monotonic()
        given_up = self._submit_again()
        asked = _call(["squeue", "--me", "--noheader", "--states=all", "--format=%i %T"])
        if asked.returncode:
            return given_up  # the controller is away for the moment; jobs do not need it
        states = dict(line.split(maxsplit=1) for line in asked.stdout.splitlines() if " " in line.strip())
        over = {number: state for number in self._running if (state := states.get(number, GONE)) in OVER}
        return given_up + [_ended(number, self._running.pop(number), state) for number, state in over.items()]

    def stop(self) -> None:
        """Cancel all jobs: those that run store checkpoints first, for as long as they are told before their time is over."""
        if self._unsent:
            with suppress(CurriculumError):
                queued = _queued()  # a submission that was interrupted may have arrived
                for job in list(self._unsent.values()):
                    self._found(job, queued)
            self._unsent.clear()
        if self._running:
            _call(["scancel", "--state=PENDING", *self._running])
            _call(["scancel", "--batch", "--signal=TERM", *self._running])
            until = time.monotonic() + WARNING
            while self._running and time.monotonic() < until:
                time.sleep(APART)
                self.ended()
            if self._running:
                _call(["scancel", *self._running])

    def close(self) -> None:
        """Jobs go on by themselves."""


def _script(command: Sequence[str], setup: Sequence[str], environment: Mapping[str, str]) -> str:
    """Write a batch script that becomes the command.

    A shell that stayed would have to pass signals on; but Slurm sends some to all processes of a job, and a second SIGTERM means not
    to wait for a checkpoint.
    """
    exports = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    return "\n".join(["#!/bin/bash", *exports, *setup, f"exec {shlex.join(command)}"]) + "\n"


def _queued() -> dict[str, str]:
    """List the jobs in the queue: their numbers by their logs. Raises `CurriculumError` if Slurm does not answer."""
    asked = _call(["squeue", "--me", "--noheader", f"--Format=JobID:20,STDOUT:{LONGEST_PATH}"])
    if asked.returncode:
        raise CurriculumError(f"cannot ask Slurm for the jobs in its queue: {_said(asked)}")
    return {line[20:].rstrip(): line[:20].strip() for line in asked.stdout.splitlines()}


def _pattern(path: Path) -> str:
    """Write a path as Slurm wants those of output files, in which % begins something to be filled in."""
    return str(path).replace("%", "%%")


def _ended(number: str, job: Job, state: str) -> Ended:
    """Ask Slurm for the exit code of a job that is over; it remembers that for some minutes."""
    said = _call(["scontrol", "--oneliner", "show", "job", number]).stdout
    found = re.search(r"\bExitCode=(\d+):(\d+)", said)
    if found is None or state not in BY_ITSELF:
        return Ended(job.name, None, f"its Slurm job {number} is over (state: {state})")
    code, signal = map(int, found.groups())
    if signal == NO_LOG:
        node = re.search(r"\bBatchHost=(\S+)", said)
        where = f"the node {node[1]}" if node else "its node"
        why = f"{where} cannot write in {job.log.parent}: name a folder that all nodes share with --runs"
        return Ended(job.name, INVALID, why)
    return Ended(job.name, -signal if signal else code)


def _call(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True, errors="replace", timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", f"{command[0]}: {error}")


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").replace("\n", " ")
